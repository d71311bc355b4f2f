"""Knows under which credentials AWS is called: those of the SDK's own chain, or those of a role assumed with them."""

import asyncio
from typing import Any

from outboard.aws.calls import Unreachable
from outboard.aws.sdk import Sdk
from outboard.aws.signing import Credentials

_NO_CREDENTIALS = (
    "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile, "
    "or give the process a role"
)


class Identity:
    """The process's own identity, or a role that it assumes; the SDK refreshes credentials before they expire."""

    def __init__(self, sdk: Sdk, role_arn: str | None, region: str) -> None:
        self._sdk = sdk
        self._role_arn = role_arn
        self._region = region
        self._provider: Any = None
        self._given: Credentials | None = None
        self._loading = asyncio.Lock()

    async def credentials(self) -> Credentials:
        """Valid now. Raises `Unreachable`."""
        try:
            if self._provider is None:
                async with self._loading:
                    if self._provider is None:
                        self._provider = await self._load()
            found = await self._provider.get_frozen_credentials()
        except Unreachable:
            raise
        except Exception as error:
            whose = f"for the role {self._role_arn}" if self._role_arn else "from the SDK's chain"
            raise Unreachable("NoCredentials", f"no credentials {whose}: {error}") from error
        self._given = Credentials(found.access_key, found.secret_key, found.token)
        return self._given

    def forget(self, expired: Credentials) -> None:
        """Look again from the start: AWS says that `expired` is. Of many calls that hear so, the first one acts."""
        if self._given == expired:
            self._given = self._provider = None
            self._sdk.fresh()

    async def _load(self) -> Any:
        own = await self._sdk.session.get_credentials()
        if own is None:
            raise Unreachable("NoCredentials", _NO_CREDENTIALS)
        return own if self._role_arn is None else self._assume(own, self._role_arn)

    def _assume(self, own: Any, role_arn: str) -> Any:
        from aiobotocore.credentials import (  # noqa: PLC0415 - only where a role is assumed
            AioAssumeRoleCredentialFetcher,
            AioDeferredRefreshableCredentials,
        )

        def client(service: str, **arguments: Any) -> Any:
            return self._sdk.session.create_client(service, region_name=self._region, **arguments)

        fetcher = AioAssumeRoleCredentialFetcher(
            client_creator=client, source_credentials=own, role_arn=role_arn, extra_args={"RoleSessionName": "outboard"}
        )
        return AioDeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
