"""Knows how to make a client for a mapping: endpoint, region and identity; connections and credentials are shared."""

import os
from collections.abc import Mapping

from outboard.aws.asking import SdkCalls
from outboard.aws.calls import JsonService, LambdaService
from outboard.aws.client import KINESIS, SQS, Clock, JsonClient, LambdaClient, Protocol, SignedCalls, Told
from outboard.aws.endpoints import Endpoints
from outboard.aws.identity import Identity, caller_arn
from outboard.aws.sdk import Sdk
from outboard.aws.transport import Transport


class Services:
    """AWS, as this process reaches it. Clients of one endpoint, region and identity share their connections."""

    def __init__(self, told: Told, environ: Mapping[str, str] = os.environ) -> None:
        """`told` hears of each call: service, operation, `OK` or the error's code."""
        self._told = told
        self._environ = environ
        self._sdk = Sdk()
        self._endpoints = Endpoints(self._sdk, environ)
        self._identities: dict[tuple[str | None, str], Identity] = {}
        self._calls: dict[tuple[str, str, str | None], SignedCalls] = {}

    @property
    def region(self) -> str | None:
        """The region that the SDK's chain names, if any."""
        region: str | None = self._sdk.setting("region")
        return region

    def sqs_endpoint(self, region: str, endpoint: str | None) -> str:
        """Where a queue's URL begins."""
        return self._endpoints.resolve("sqs", region, endpoint)

    def sqs(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService:
        return self._json(SQS, region, endpoint, role_arn)

    def kinesis(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService:
        return self._json(KINESIS, region, endpoint, role_arn)

    async def caller_arn(self, region: str, *, beside_aws: bool) -> str | None:
        """The ARN of the identity that calls are made under where no role is assumed. `beside_aws`: neither source nor
        function is AWS's, so that STS is asked only if its endpoint is configured; else None. Raises `CallFailed`.
        """
        if beside_aws and self._endpoints.configured("sts") is None:
            return None
        return await caller_arn(self._sdk, region, self._environ)

    def lambda_(self, region: str, endpoint: str | None, role_arn: str | None) -> LambdaService:
        return LambdaClient(self._signed("lambda", region, endpoint, role_arn), self._told)

    def sdk_calls(self, role_arn: str | None) -> SdkCalls:
        """For the calls that are not hot."""
        return SdkCalls(self._sdk, role_arn)

    async def close(self) -> None:
        for calls in self._calls.values():
            await calls.close()

    def _json(self, protocol: Protocol, region: str, endpoint: str | None, role_arn: str | None) -> JsonService:
        return JsonClient(self._signed(protocol.service, region, endpoint, role_arn), protocol, self._told)

    def _signed(self, service: str, region: str, endpoint: str | None, role_arn: str | None) -> SignedCalls:
        url = self._endpoints.resolve(service, region, endpoint)
        key = (url, region, role_arn)
        if key not in self._calls:
            identity = self._identities.setdefault((role_arn, region), Identity(self._sdk, role_arn, region))
            bundle = self._sdk.setting("ca_bundle") or self._environ.get("REQUESTS_CA_BUNDLE")
            self._calls[key] = SignedCalls(url, region, identity, Transport(url, bundle), Clock())
        return self._calls[key]
