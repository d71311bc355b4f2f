"""Knows how Amazon MSK is asked where a cluster's brokers are."""

from outboard.aws.asking import SdkCalls
from outboard.aws.calls import CallFailed, Refused

_OR_NAME = "or name the brokers in SourceEndpointUrl"
_REMEDIES = {
    "NotFoundException": "the cluster does not exist; create it or correct EventSourceArn",
    "ForbiddenException": f"not allowed to ask MSK for the brokers; grant kafka:GetBootstrapBrokers, {_OR_NAME}",
    "AccessDeniedException": f"not allowed to ask MSK for the brokers; grant kafka:GetBootstrapBrokers, {_OR_NAME}",
}


async def bootstrap_brokers(calls: SdkCalls, region: str, arn: str, *, tls: bool) -> str:
    """The brokers of a cluster's listener that asks for no login, as HOST:PORT joined by commas: the one with TLS, or
    the one in the clear. Raises `CallFailed`.
    """
    try:
        answer = await calls.call("kafka", region, "get_bootstrap_brokers", ClusterArn=arn)
    except Refused as failure:
        remedy = _REMEDIES.get(failure.code)
        if remedy is None:
            raise
        said = f"{remedy} ({failure.message})"
        raise Refused(failure.status, failure.code, said, request_id=failure.request_id) from failure
    brokers = answer.get("BootstrapBrokerStringTls" if tls else "BootstrapBrokerString")
    if not brokers:
        raise CallFailed("NoSuchListener", _no_listener(arn, answer, tls=tls))
    return str(brokers).replace(" ", "")


def _no_listener(arn: str, answer: dict[str, object], *, tls: bool) -> str:
    if tls and answer.get("BootstrapBrokerString"):
        return f"the cluster {arn} has no listener with TLS; set Tls: false, {_OR_NAME}"
    if not tls and answer.get("BootstrapBrokerStringTls"):
        return f"the cluster {arn} has no listener without TLS; remove Tls: false, {_OR_NAME}"
    if not any(name.startswith("BootstrapBrokerString") for name in answer):
        return f"MSK named no brokers of the cluster {arn}; see to the cluster, {_OR_NAME}"
    return (
        f"the cluster {arn} has no listener that asks for no login, and logins are not supported yet;"
        f" allow unauthenticated access, {_OR_NAME}"
    )
