"""Knows how to get at the AWS SDK's session, which is imported and made only when it is first needed."""

from collections.abc import Callable
from typing import Any

from outboard.aws.calls import Unreachable


def new_session() -> Any:
    """A session of the SDK with nothing loaded yet; the import alone takes a tenth of a second."""
    from aiobotocore.session import AioSession  # noqa: PLC0415 - slow to import, and not always needed

    return AioSession()


class Sdk:
    """The SDK's session and its settings: environment, shared config file, profile."""

    def __init__(self, create: Callable[[], Any] = new_session) -> None:
        self._create = create
        self._session: Any = None

    @property
    def session(self) -> Any:
        if self._session is None:
            self._session = self._create()
        return self._session

    def fresh(self) -> Any:
        """Forget what was loaded: files and environment are read again."""
        self._session = None
        return self.session

    def setting(self, name: str) -> Any:
        """A setting of the SDK by botocore's name for it, such as `region` or `use_fips_endpoint`."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - see new_session

        try:
            return self.session.get_config_variable(name)
        except BotoCoreError as error:
            message = f"the AWS configuration cannot be read: {error}; correct AWS_PROFILE or the shared config file"
            raise Unreachable("BadAwsConfig", message) from error
