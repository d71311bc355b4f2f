"""Knows which URL a service is called at: the user's own, the SDK's configured one, or AWS's for the region."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from yarl import URL

from outboard.aws.calls import Unreachable
from outboard.aws.sdk import Sdk

_AS_IN = "write it as https://HOST or http://HOST:PORT"


class Endpoints:
    """Resolves endpoints with botocore's own rules, so that partitions, FIPS and dual-stack are the SDK's.

    `environ` is where AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE> are looked up.
    """

    def __init__(self, sdk: Sdk, environ: Mapping[str, str]) -> None:
        self._sdk = sdk
        self._environ = environ

    def resolve(self, service: str, region: str, own: str | None = None) -> str:
        """The URL for `service` (botocore's name for it). `own` is the mapping's, and wins. Raises `Unreachable`."""
        url = own or self.configured(service) or self._aws(service, region)
        return _checked(url, service)

    def configured(self, service: str) -> str | None:
        """The URL that the environment or the SDK's configuration names for `service`. Raises `Unreachable`."""
        from botocore.configprovider import ConfiguredEndpointProvider  # noqa: PLC0415 - slow to import
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - slow to import

        if self._sdk.setting("ignore_configured_endpoint_urls"):
            return None
        session = self._sdk.session
        try:
            provider = ConfiguredEndpointProvider(
                full_config=session.full_config,
                scoped_config=session.get_scoped_config(),
                client_name=service,
                environ=self._environ,
            )
            url: str | None = provider.provide()
        except BotoCoreError as error:
            message = f"the endpoint of {service} cannot be read from the AWS configuration: {error}; correct it there"
            raise Unreachable("BadEndpoint", message) from error
        return url

    def _aws(self, service: str, region: str) -> str:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - slow to import

        loader = self._sdk.session.get_component("data_loader")
        try:
            url: str = (
                _rules(loader, service)
                .resolve_endpoint(
                    Region=region,
                    UseFIPS=bool(self._sdk.setting("use_fips_endpoint")),
                    UseDualStack=bool(self._sdk.setting("use_dualstack_endpoint")),
                )
                .url
            )
        except BotoCoreError as error:
            message = f"AWS has no endpoint of {service} in region {region!r}: {error}; correct the region or the ARN"
            raise Unreachable("BadEndpoint", message) from error
        return url


@lru_cache(maxsize=16)
def _rules(loader: Any, service: str) -> Any:
    from botocore.endpoint_provider import EndpointProvider  # noqa: PLC0415 - slow to import

    return EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), loader.load_data("partitions"))


def _checked(url: str, service: str) -> str:
    try:
        parsed = URL(url)
        usable = parsed.scheme in {"http", "https"} and bool(parsed.raw_host)
    except ValueError:
        usable = False
    if "@" in url.partition("://")[2].partition("/")[0]:  # a password perhaps: not shown
        message = f"the endpoint URL of {service} names a user, which has no use here: {_AS_IN}"
        raise Unreachable("BadEndpoint", message)
    if not usable:
        message = f"the endpoint URL of {service}, {url!r}, is not one: {_AS_IN}"
        raise Unreachable("BadEndpoint", message)
    return url
