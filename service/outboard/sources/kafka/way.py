"""Knows how a mapping's cluster is found: its brokers, and the certificates by which they are known."""

from collections.abc import Callable

from outboard.aws.asking import SdkCalls
from outboard.aws.calls import CallFailed
from outboard.aws.msk import bootstrap_brokers
from outboard.aws.secrets import certificate_in, read_secret, secret_manager
from outboard.config.arns import Arn
from outboard.sources.kafka.consumer import Consumer, ConsumerError, ConsumerSpec, FetchLimits, Way
from outboard.sources.kafka.member import GroupMember
from outboard.sources.kafka.tls import ssl_context


def consumers(calls: Callable[[str | None], SdkCalls]) -> Callable[[ConsumerSpec, FetchLimits], Consumer]:
    """Makes the consumers of all mappings; MSK and Secrets Manager are asked through `calls` under the mapping's role,
    where they must be.
    """
    return lambda spec, fetch: GroupMember(spec, fetch, lambda: way_to(spec, calls(spec.role)))


async def way_to(spec: ConsumerSpec, calls: SdkCalls) -> Way:
    """How the cluster is reached as of now: brokers move, and certificates are replaced. Raises `ConsumerError`."""
    try:
        brokers = spec.brokers
        if not brokers and spec.arn:
            brokers = await bootstrap_brokers(calls, Arn.parse(spec.arn).region, spec.arn, tls=spec.tls)
        pem = None
        if spec.tls and spec.ca:
            pem = certificate_in(await read_secret(spec.ca, secret_manager(calls)), spec.ca)
    except CallFailed as failure:
        raise ConsumerError(failure.code, failure.message, fatal=True) from None
    return Way(brokers, ssl_context(pem) if spec.tls else None, pem)
