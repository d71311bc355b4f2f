"""Knows where credentials come from, how long they are trusted, and that one refresh at a time is enough."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from outboard.aws.calls import Unreachable
from outboard.aws.sdk import Sdk
from outboard.aws.signing import Credentials

#: The name under which assumed roles show in the account's audit log.
SESSION_NAME = "outboard"

#: How often the SDK is asked whether its credentials are due; it refreshes them ten minutes before they end.
_LOOK_EVERY = 30.0
#: A failure is handed to everybody who asks within this time, instead of being repeated by each of them.
_FAILURE_STANDS = 5.0
_NOT_FOUND = (
    "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile in AWS_PROFILE, "
    "or give the pod or instance a role"
)


class Identity(Protocol):
    """Whom calls are signed as."""

    def current(self) -> Credentials | None:
        """The credentials, if they are at hand; None: `obtain` has to be awaited."""

    async def obtain(self) -> Credentials:
        """Load or refresh them. Raises `Unreachable` when there are none to be had."""

    async def renew(self, refused: Credentials) -> Credentials:
        """What replaces credentials that a service called expired; the same ones when nothing newer is to be had."""


class SdkCredentials(Protocol):
    """The SDK's credentials object: it knows when to refresh itself."""

    async def get_frozen_credentials(self) -> Any:
        """An object with `access_key`, `secret_key`, `token`; refreshed first when that is due."""


class SdkIdentity:
    """An identity whose credentials the SDK loads and refreshes.

    `load` makes the SDK's credentials object from nothing, None when it finds none; `explain` words its failure.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[SdkCredentials | None]],
        explain: Callable[[Exception], Unreachable],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._explain = explain
        self._clock = clock
        self._lock = asyncio.Lock()
        self._source: SdkCredentials | None = None
        self._frozen: Credentials | None = None
        self._look_at = 0.0
        self._failure: Unreachable | None = None
        self._loaded_at = float("-inf")

    def current(self) -> Credentials | None:
        return self._frozen if self._clock() < self._look_at else None

    async def obtain(self) -> Credentials:
        if self._frozen is None or self._source is None:
            async with self._lock:
                return self._frozen or await self._reload()
        # Whoever comes while this one asks goes on with what there is.
        self._look_at = self._clock() + _LOOK_EVERY
        try:
            self._frozen = await _freeze(self._source)
        except Exception:  # noqa: BLE001 - providers raise what they like; the SDK has logged it
            # They were good a moment ago: they are used until a service calls them expired.
            return self._frozen
        return self._frozen

    async def renew(self, refused: Credentials) -> Credentials:
        async with self._lock:
            recent = self._clock() - self._loaded_at < _FAILURE_STANDS
            if self._frozen is not None and (self._frozen != refused or recent):
                return self._frozen
            return await self._reload()

    async def sdk_credentials(self) -> SdkCredentials:
        """The SDK's own object, for it to assume roles with. Raises `Unreachable`."""
        await self.obtain()
        assert self._source is not None
        return self._source

    async def _reload(self) -> Credentials:
        now = self._clock()
        if self._failure is not None and now - self._loaded_at < _FAILURE_STANDS:
            raise Unreachable(self._failure.code, self._failure.message)
        try:
            source = await self._load()
            frozen = None if source is None else await _freeze(source)
        except Unreachable as failure:
            self._failure = failure
        except Exception as error:  # noqa: BLE001 - a provider may run a program, read files, call anything
            self._failure = self._explain(error)
        else:
            self._failure = None if frozen else Unreachable("NoCredentials", _NOT_FOUND)
            self._source, self._frozen = source, frozen
        self._loaded_at = self._clock()
        if self._failure is not None:
            raise Unreachable(self._failure.code, self._failure.message)
        assert self._frozen is not None
        self._look_at = self._loaded_at + _LOOK_EVERY
        return self._frozen


def chain(sdk: Sdk) -> SdkIdentity:
    """The SDK's own chain: environment, profile, web identity, container, instance metadata."""

    async def load() -> SdkCredentials | None:
        found: SdkCredentials | None = await sdk.fresh().get_credentials()
        return found

    def explain(error: Exception) -> Unreachable:
        return Unreachable("NoCredentials", f"AWS credentials could not be loaded: {error}; correct their source")

    return SdkIdentity(load, explain)


def assumed(role_arn: str, region: str, base: SdkIdentity, sdk: Sdk) -> SdkIdentity:
    """The role, assumed from `base` through STS in `region`, and again before its credentials expire."""

    async def load() -> SdkCredentials | None:
        source = await base.sdk_credentials()
        return _role(role_arn, region, source, sdk)

    def explain(error: Exception) -> Unreachable:
        message = (
            f"the role {role_arn} could not be assumed: {error}; allow sts:AssumeRole on it to the identity that "
            "Outboard runs under, and name that identity in the role's trust policy"
        )
        return Unreachable("AssumeRoleFailed", message)

    return SdkIdentity(load, explain)


def _role(role_arn: str, region: str, source: SdkCredentials, sdk: Sdk) -> SdkCredentials:
    from aiobotocore.config import AioConfig  # noqa: PLC0415 - slow to import
    from aiobotocore.credentials import (  # noqa: PLC0415 - slow to import
        AioAssumeRoleCredentialFetcher,
        AioDeferredRefreshableCredentials,
    )

    config = AioConfig(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2, "mode": "standard"})

    def client(service: str, **keys: str) -> Any:
        return sdk.session.create_client(service, region_name=region, config=config, **keys)

    fetcher = AioAssumeRoleCredentialFetcher(client, source, role_arn, extra_args={"RoleSessionName": SESSION_NAME})
    role: SdkCredentials = AioDeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return role


async def _freeze(source: SdkCredentials) -> Credentials:
    frozen = await source.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)
