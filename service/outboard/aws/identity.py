"""Knows under which credentials and at which endpoints AWS is reached: the SDK's own chain, loaded when first needed."""

import asyncio
from collections.abc import Mapping
from typing import Any

from outboard.aws.calls import Unreachable
from outboard.aws.signing import Credentials

_NO_CREDENTIALS = (
    "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or give the process a role"
)


class Identity:
    """The process's own identity, or a role that it assumes. Credentials are refreshed by the SDK before they expire."""

    def __init__(self, sdk: "Sdk", role_arn: str | None, region: str) -> None:
        self._sdk = sdk
        self._role_arn = role_arn
        self._region = region
        self._credentials: Any = None
        self._loading = asyncio.Lock()

    async def credentials(self) -> Credentials:
        """Valid now. Raises `Unreachable`."""
        try:
            if self._credentials is None:
                async with self._loading:
                    if self._credentials is None:
                        self._credentials = await self._load()
            frozen = await self._credentials.get_frozen_credentials()
        except Unreachable:
            raise
        except Exception as error:  # noqa: BLE001 - the chain raises whatever its providers and their transports raise
            whose = f"for the role {self._role_arn}" if self._role_arn else "from the SDK's chain"
            raise Unreachable("NoCredentials", f"no credentials {whose}: {error}") from error
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    def forget(self) -> None:
        """Look again from the start: AWS says that what we have is expired."""
        self._credentials = None

    async def _load(self) -> Any:
        session = self._sdk.session()
        own = await session.get_credentials()
        if own is None:
            raise Unreachable("NoCredentials", _NO_CREDENTIALS)
        return own if self._role_arn is None else _assumed(session, own, self._role_arn, self._region)


class Sdk:
    """The SDK's session of this process, one for all; importing it costs a third of a second, so it waits until asked."""

    def __init__(self) -> None:
        self._session: Any = None
        self._resolver: Any = None

    def session(self) -> Any:
        if self._session is None:
            from aiobotocore.session import get_session  # noqa: PLC0415 - see above

            self._session = get_session()
        return self._session

    @property
    def region(self) -> str | None:
        """The region that the SDK's own chain names, if any."""
        region: str | None = self.session().get_config_variable("region")
        return region

    @property
    def ca_bundle(self) -> str | None:
        bundle: str | None = self.session().get_config_variable("ca_bundle")
        return bundle

    def endpoint(self, service: str, region: str) -> str:
        """Where a service answers: `AWS_ENDPOINT_URL*` and the shared configuration first, then AWS's own hosts, in their
        FIPS and dual-stack variants where the user asks for them."""
        session = self.session()
        if not session.get_config_variable("ignore_configured_endpoint_urls"):
            from botocore.configprovider import ConfiguredEndpointProvider  # noqa: PLC0415

            configured: str | None = ConfiguredEndpointProvider(
                full_config=session.full_config, scoped_config=session.get_scoped_config(), client_name=service
            ).provide()
            if configured:
                return configured
        if self._resolver is None:
            self._resolver = session.get_component("endpoint_resolver")
        variants: Mapping[str, bool] = {
            "use_dualstack_endpoint": bool(session.get_config_variable("use_dualstack_endpoint")),
            "use_fips_endpoint": bool(session.get_config_variable("use_fips_endpoint")),
        }
        partition = self._resolver.get_partition_for_region(region)
        found = self._resolver.construct_endpoint(service, region, partition_name=partition, **variants)
        return f"https://{found['hostname']}"


def _assumed(session: Any, own: Any, role_arn: str, region: str) -> Any:
    from aiobotocore.credentials import (  # noqa: PLC0415 - only with the SDK
        AioAssumeRoleCredentialFetcher,
        AioDeferredRefreshableCredentials,
    )

    def sts(service: str, **arguments: Any) -> Any:
        return session.create_client(service, region_name=region, **arguments)

    fetcher = AioAssumeRoleCredentialFetcher(
        client_creator=sts, source_credentials=own, role_arn=role_arn, extra_args={"RoleSessionName": "outboard"}
    )
    return AioDeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
