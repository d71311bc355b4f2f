"""Knows how to make a client for a mapping: which endpoint, region and identity; shares connections and credentials."""

from outboard.aws.calls import JsonService, LambdaService
from outboard.aws.client import SQS, JsonClient, LambdaClient, Protocol, SignedCalls, Told
from outboard.aws.identity import Identity, Sdk
from outboard.aws.signing import Scope
from outboard.aws.transport import Transport


class Services:
    """AWS, as this process reaches it. Clients of one endpoint, region and identity share their connections."""

    def __init__(self, told: Told) -> None:
        """`told` hears of each call: service, operation, `OK` or the error's code."""
        self._told = told
        self._sdk = Sdk()
        self._identities: dict[tuple[str | None, str], Identity] = {}
        self._calls: dict[tuple[str, str, str, str | None], SignedCalls] = {}

    @property
    def region(self) -> str | None:
        """The region that the SDK's chain names, if any."""
        return self._sdk.region

    def sqs_endpoint(self, region: str, endpoint: str | None) -> str:
        """Where a queue's URL begins."""
        return endpoint or self._sdk.endpoint("sqs", region)

    def sqs(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService:
        return self._json(SQS, region, endpoint, role_arn)

    def lambda_(self, region: str, endpoint: str | None, role_arn: str | None) -> LambdaService:
        return LambdaClient(self._signed("lambda", region, endpoint, role_arn), self._told)

    async def close(self) -> None:
        for calls in self._calls.values():
            await calls.close()

    def _json(self, protocol: Protocol, region: str, endpoint: str | None, role_arn: str | None) -> JsonService:
        return JsonClient(self._signed(protocol.service, region, endpoint, role_arn), protocol, self._told)

    def _signed(self, service: str, region: str, endpoint: str | None, role_arn: str | None) -> SignedCalls:
        url = endpoint or self._sdk.endpoint(service, region)
        key = (service, region, url, role_arn)
        if key not in self._calls:
            identity = self._identities.get((role_arn, region))
            if identity is None:
                identity = self._identities[role_arn, region] = Identity(self._sdk, role_arn, region)
            transport = Transport(url, self._sdk.ca_bundle)
            self._calls[key] = SignedCalls(transport, identity, Scope(service, region))
        return self._calls[key]
