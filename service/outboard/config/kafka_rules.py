"""Knows the rules between the fields of a Kafka mapping, MSK and self-managed."""

import re
from collections.abc import Iterator

from outboard.config.fields import BROKER
from outboard.config.problems import Broken
from outboard.config.written import NO_REFERENCE, Written, is_secret_reference

#: Access entries that say who connects, of which there can be one.
AUTHENTICATION = frozenset(
    {
        "BASIC_AUTH",
        "SASL_SCRAM_512_AUTH",
        "SASL_SCRAM_256_AUTH",
        "CLIENT_CERTIFICATE_TLS_AUTH",
        "OAUTHBEARER_AUTH",
        "IAM_AUTH",
        "IAM_OAUTHBEARER_AUTH",
    }
)
_NETWORK = frozenset({"VPC_SUBNET", "VPC_SECURITY_GROUP"})
_OAUTH_DETAILS = frozenset(
    {"OAUTHBEARER_SCOPE", "OAUTHBEARER_AUDIENCE", "OAUTHBEARER_LOGICAL_CLUSTER", "OAUTHBEARER_IDENTITY_POOL"}
)
_OAUTH = frozenset({"OAUTHBEARER_AUTH", "IAM_OAUTHBEARER_AUTH"})
_CA = "SERVER_ROOT_CA_CERTIFICATE"
_MSK_ACCESS = _NETWORK | {"SASL_SCRAM_512_AUTH", "CLIENT_CERTIFICATE_TLS_AUTH", _CA}
_SELF_MANAGED_ACCESS = _NETWORK | AUTHENTICATION | _OAUTH_DETAILS | {_CA}
_OWN_BLOCKS = ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig")
_WITH_AWS = "leave this mapping with AWS"
_BROKERS = re.compile(rf"{BROKER}(?:,{BROKER})*")


def kafka(fields: Written) -> Iterator[Broken]:
    """Every rule that a Kafka mapping breaks, but those it shares with streams."""
    if not fields.at("Topics"):
        yield Broken(("Topics",), "is missing; name the one topic to read: [TOPIC]")
    yield from _access(fields)
    yield from _certificates(fields)
    yield from _pollers(fields)
    yield from _queue_mode(fields)
    yield from _destination_topic(fields)
    yield from _registry(fields)
    endpoint = fields.text("SourceEndpointUrl")
    if endpoint is not None and _BROKERS.fullmatch(endpoint) is None:
        yield Broken(("SourceEndpointUrl",), "is not a list of MSK's brokers; write HOST:PORT,HOST:PORT")


def waiting(fields: Written) -> Iterator[Broken]:
    """What AWS has for Kafka inside of blocks that Outboard carries out, and Outboard does not carry out yet."""
    for index, kind in enumerate(fields.access_types()):
        if kind in AUTHENTICATION | _OAUTH_DETAILS:
            remedy = f"use a listener without a login, or {_WITH_AWS}"
            yield Broken(("SourceAccessConfigurations", index, "Type"), f"{kind} is not supported yet; {remedy}")
    if fields.queue_mode:
        mode = ("SelfManagedKafkaEventSourceConfig", "ConsumptionMode")
        yield Broken(mode, f"Queue is not supported yet; use Stream, or {_WITH_AWS}")
    for path in (("ProvisionedPollerConfig", "PollerGroupName"), *((it, "SchemaRegistryConfig") for it in _OWN_BLOCKS)):
        if fields.at(*path) not in (None, ""):
            yield Broken(path, f"is not supported yet; remove it, or {_WITH_AWS}")


def default_tls(fields: Written) -> bool:
    """MSK speaks TLS, and so does whatever asks for a login or names a CA."""
    wanted = AUTHENTICATION | {_CA}
    return not fields.self_managed or not wanted.isdisjoint(fields.access_types())


def _access(fields: Written) -> Iterator[Broken]:
    allowed, cluster = (_SELF_MANAGED_ACCESS, "a self-managed cluster") if fields.self_managed else (_MSK_ACCESS, "MSK")
    kinds = fields.access_types()
    seen: str | None = None
    for index, kind in enumerate(kinds):
        path = ("SourceAccessConfigurations", index, "Type")
        if kind in AUTHENTICATION | _OAUTH_DETAILS | {"VIRTUAL_HOST"} and kind not in allowed:
            yield Broken(path, f"{kind} is not for {cluster}; use one of {', '.join(sorted(allowed))}")
        elif kind in AUTHENTICATION:
            if seen is not None:
                yield Broken(path, f"{kind} is a second way to log in beside {seen}; keep one")
            seen = kind
        elif kind in _OAUTH_DETAILS and _OAUTH.isdisjoint(kinds):
            yield Broken(path, f"{kind} needs an entry OAUTHBEARER_AUTH or IAM_OAUTHBEARER_AUTH beside it; add one")
    if "IAM_OAUTHBEARER_AUTH" in kinds and "OAUTHBEARER_AUDIENCE" not in kinds:
        yield Broken(
            ("SourceAccessConfigurations",), "IAM_OAUTHBEARER_AUTH needs an entry OAUTHBEARER_AUDIENCE; add one"
        )


def _certificates(fields: Written) -> Iterator[Broken]:
    given = [index for index, kind in enumerate(fields.access_types()) if kind == _CA]
    for index in given[1:]:
        path = ("SourceAccessConfigurations", index, "Type")
        yield Broken(path, f"{_CA} is given twice; put all certificates into one secret")
    if given and fields.at("Tls") is False:
        yield Broken(("Tls",), f"is false beside {_CA}, which only TLS has a use for; remove one of the two")


def _pollers(fields: Written) -> Iterator[Broken]:
    most = fields.number("ProvisionedPollerConfig", "MaximumPollers")
    if most is not None and most > 2000:
        path = ("ProvisionedPollerConfig", "MaximumPollers")
        yield Broken(path, f"is {most:g}, and Kafka allows 2000 at most; lower it")
    name = fields.text("ProvisionedPollerConfig", "PollerGroupName")
    if name is not None and re.fullmatch(r"[a-zA-Z0-9_-]*", name) is None:
        path = ("ProvisionedPollerConfig", "PollerGroupName")
        yield Broken(path, "holds other characters than letters, digits, '_' and '-'; rename it")


def _queue_mode(fields: Written) -> Iterator[Broken]:
    if not fields.queue_mode:
        return
    for field in ("StartingPosition", "MaximumBatchingWindowInSeconds"):
        if fields.at(field) is not None:
            yield Broken((field,), "is not for ConsumptionMode Queue; remove it")
    if fields.number("MaximumRetryAttempts") == -1:
        yield Broken(("MaximumRetryAttempts",), "cannot be -1 with ConsumptionMode Queue; use 0 to 10000")


def _destination_topic(fields: Written) -> Iterator[Broken]:
    path = ("DestinationConfig", "OnFailure", "Destination")
    target, topics = fields.text(*path) or "", fields.at("Topics")
    if not target.startswith("kafka://"):
        return
    topic = target.removeprefix("kafka://")
    if re.fullmatch(r"[^.][a-zA-Z0-9._-]{0,248}", topic) is None:
        yield Broken(path, "names no topic; write kafka://TOPIC")
    elif isinstance(topics, list) and topic in topics:
        yield Broken(path, "is the topic that the mapping reads; name another one")


def _registry(fields: Written) -> Iterator[Broken]:
    for block in _OWN_BLOCKS:
        path = (block, "SchemaRegistryConfig", "SchemaRegistryURI")
        uri = fields.text(*path)
        if uri is None:
            continue
        if uri.startswith("arn:"):
            if fields.at(block, "SchemaRegistryConfig", "AccessConfigs"):
                yield Broken((*path[:2], "AccessConfigs"), "is not for a Glue registry; remove it")
        elif not uri.startswith(("https://", "http://")):
            yield Broken(path, "is neither a Glue registry's ARN nor a URL; write one of the two")
        yield from _registry_secrets(fields, block)


def _registry_secrets(fields: Written, block: str) -> Iterator[Broken]:
    entries = fields.at(block, "SchemaRegistryConfig", "AccessConfigs")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        uri = entry.get("URI") if isinstance(entry, dict) else None
        if isinstance(uri, str) and not is_secret_reference(uri):
            yield Broken((block, "SchemaRegistryConfig", "AccessConfigs", index, "URI"), NO_REFERENCE)
