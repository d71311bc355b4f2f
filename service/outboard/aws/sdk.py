"""Knows how to get at the AWS SDK's session, which is imported and made only when it is first needed."""

import logging
from collections.abc import Callable
from typing import Any

from outboard.aws.calls import Unreachable


def new_session() -> Any:
    """A session of the SDK with nothing loaded yet; the import alone takes a tenth of a second."""
    from aiobotocore.session import AioSession  # noqa: PLC0415 - slow to import, and not always needed

    logging.getLogger("aiobotocore.credentials").addFilter(_in_one_line)
    return AioSession()


def _in_one_line(record: logging.LogRecord) -> bool:
    """That credentials could not be refreshed is worth a line, with its cause; not a traceback for each call."""
    if record.exc_info:
        record.msg = f"{record.getMessage()} ({' '.join(str(record.exc_info[1]).split())})"
        record.args = record.exc_info = None
    return True


def _impatient() -> Any:
    """For STS: whoever needs credentials asks again, and is to learn soon what is wrong."""
    from aiobotocore.config import AioConfig  # noqa: PLC0415 - see new_session

    return AioConfig(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})


class Sdk:
    """The SDK's settings (environment, shared config file, profile) and the sessions that know them."""

    def __init__(self, create: Callable[[], Any] = new_session) -> None:
        self._create = create
        self._session: Any = None
        self._chain: Any = None
        self._models: Any = None

    @property
    def session(self) -> Any:
        if self._session is None:
            self._session = self._new()
        return self._session

    def chain(self, region: str) -> Any:
        """The session that credentials come from. Where nothing else names one, STS is called in `region`."""
        if self._chain is None:
            chain = self._new()
            chain.set_default_client_config(_impatient())
            if chain.get_config_variable("region") is None:
                chain.set_config_variable("region", region)
            self._chain = chain
        return self._chain

    def forget_chain(self) -> None:
        """Look for credentials from the start next time: files and environment are read again."""
        self._chain = None

    def setting(self, name: str) -> Any:
        """A setting of the SDK by botocore's name for it, such as `region` or `use_fips_endpoint`."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - see new_session

        try:
            return self.session.get_config_variable(name)
        except BotoCoreError as error:
            self._session = None
            message = f"the AWS configuration cannot be read: {error}; correct AWS_PROFILE or the shared config file"
            raise Unreachable("BadAwsConfig", message) from error

    def _new(self) -> Any:
        """A session; what it knows of the services' APIs is read once, and not for each."""
        made = self._create()
        if self._models is None:
            self._models = made.get_component("data_loader")
        made.register_component("data_loader", self._models)
        return made
