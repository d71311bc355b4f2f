"""Knows under which credentials AWS is called: those of the SDK's own chain, or those of a role assumed with them."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from outboard.aws.calls import Unreachable
from outboard.aws.sdk import Sdk
from outboard.aws.signing import Credentials

_NO_CREDENTIALS = (
    "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile, "
    "or give the process a role"
)

#: Seconds for which credentials are used without asking the SDK whether they are due: where they are short-lived, it
#: would start a program or call STS for every call of ours.
_KEPT = 30.0

#: Seconds to wait for credentials: for new ones while those at hand are valid, and for any.
_REFRESH = 5.0
_PATIENCE = 20.0

#: What STS calls a role that is in use, and the role that this is.
_ASSUMED = re.compile(r"arn:([^:]+):sts::(\d{12}):assumed-role/([^/]+)/.+")

#: Seconds for STS to say who we are: it goes into events, and nothing else depends on it.
_WHO_AM_I = 5.0


class Identity:
    """The process's own identity, or a role that it assumes.

    Credentials are refreshed before they expire. Where that fails those at hand serve to their end; there is one
    look-up at a time, and all who wait for it share what came of it.
    """

    def __init__(self, sdk: Sdk, role_arn: str | None, region: str) -> None:
        self._sdk = sdk
        self._role_arn = role_arn
        self._region = region
        self._provider: Any = None
        self._given: Credentials | None = None
        self._failure: Unreachable | None = None
        self._ask_at = 0.0
        self._asked = 0
        self._asking = asyncio.Lock()

    async def credentials(self) -> Credentials:
        """Valid now. Raises `Unreachable`."""
        if self._given is not None and (
            asyncio.get_running_loop().time() < self._ask_at or (self._asking.locked() and self._last(0.0))
        ):
            return self._given
        asked = self._asked
        async with self._asking:
            if asked == self._asked or (self._given is None and self._failure is None):
                await self._ask()
                self._asked += 1
        if self._given is None:
            assert self._failure is not None
            raise Unreachable(self._failure.code, self._failure.message) from self._failure
        return self._given

    def forget(self, expired: Credentials) -> None:
        """Look again from the start: AWS says that `expired` is. Of many calls that hear so, the first one acts."""
        if self._given == expired:
            self._start_again()

    def _start_again(self) -> None:
        self._given = self._provider = None
        self._sdk.forget_chain()

    def _last(self, seconds: float) -> bool:
        """Whether what was given last is still valid in so many seconds."""
        if self._given is None or self._provider is None:
            return False
        needs_refresh = getattr(self._provider, "refresh_needed", None)  # what does not expire has no such method
        return needs_refresh is None or not needs_refresh(seconds)

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        patience = _REFRESH if self._last(0.0) else _PATIENCE
        self._failure = None
        try:
            async with asyncio.timeout(patience):
                if self._provider is None:
                    self._provider = await self._load()
                found = await self._provider.get_frozen_credentials()
            self._given = _trimmed(found)
            self._ask_at = loop.time() + (_KEPT if self._last(2 * _KEPT) else 0.0)
        except Exception as error:  # noqa: BLE001 - the chain runs programs and plug-ins: anything can come out
            self._ask_at = loop.time() + (_REFRESH if self._last(_REFRESH) else 0.0)
            if not self._last(0.0):
                self._start_again()
                self._failure = self._worded(error, patience)

    def _worded(self, error: Exception, patience: float) -> Unreachable:
        if isinstance(error, Unreachable):
            return error
        whose = f"for the role {self._role_arn}" if self._role_arn else "from the SDK's chain"
        late = f"nothing within {patience:g} s; check the way to their source"
        reason = late if isinstance(error, TimeoutError) else " ".join(str(error).split()) or type(error).__name__
        return Unreachable("NoCredentials", f"no credentials {whose}: {reason}")

    async def _load(self) -> Any:
        own = await self._sdk.chain(self._region).get_credentials()
        if own is None:
            raise Unreachable("NoCredentials", _NO_CREDENTIALS)
        return own if self._role_arn is None else self._assume(own, self._role_arn)

    def _assume(self, own: Any, role_arn: str) -> Any:
        from aiobotocore.credentials import (  # noqa: PLC0415 - only where a role is assumed
            AioAssumeRoleCredentialFetcher,
            AioDeferredRefreshableCredentials,
        )

        def client(service: str, **arguments: Any) -> Any:
            return self._sdk.chain(self._region).create_client(service, region_name=self._region, **arguments)

        fetcher = AioAssumeRoleCredentialFetcher(
            client_creator=client, source_credentials=own, role_arn=role_arn, extra_args={"RoleSessionName": "outboard"}
        )
        return AioDeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)


def _trimmed(found: Any) -> Credentials:
    """A line break behind a key in a secret or a file is a common accident, and never part of the key."""
    return Credentials(found.access_key.strip(), found.secret_key.strip(), found.token and found.token.strip())


async def caller_arn(sdk: Sdk, region: str, environ: Mapping[str, str]) -> str:
    """The ARN of the user or the role that the SDK's own credentials are of. Raises `Unreachable`."""
    if role := environ.get("AWS_ROLE_ARN"):
        return role
    try:
        async with asyncio.timeout(_WHO_AM_I), sdk.chain(region).create_client("sts", region_name=region) as sts:
            arn = str((await sts.get_caller_identity())["Arn"])
    except TimeoutError:
        raise Unreachable("Timeout", f"STS did not say within {_WHO_AM_I:g} s who is calling") from None
    except Exception as error:
        raise Unreachable("NoIdentity", f"STS did not say who is calling: {error}") from error
    assumed = _ASSUMED.fullmatch(arn)
    return f"arn:{assumed[1]}:iam::{assumed[2]}:role/{assumed[3]}" if assumed else arn
