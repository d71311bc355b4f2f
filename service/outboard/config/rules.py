"""Knows the rules between the fields of one mapping, as AWS has them; each is a sentence away from its remedy.

The rules read what the user wrote, defaults merged, before any type is checked: so that a wrong type in one field hides
no problem in another. What is not of the expected type counts as absent here; the models complain about it.
"""

from collections.abc import Callable, Iterator, Mapping

from outboard.config.arns import Arn, SourceType, source_type_of
from outboard.config.fields import wrong_with_url
from outboard.config.kafka_rules import kafka
from outboard.config.problems import Broken
from outboard.config.written import NO_REFERENCE, Written, is_secret_reference

Rule = Callable[[Written], Iterator[Broken]]

#: Access entries whose URI is no secret: it names something, or says it outright.
_PLAIN_ACCESS = frozenset(
    {
        "VPC_SUBNET",
        "VPC_SECURITY_GROUP",
        "VIRTUAL_HOST",
        "OAUTHBEARER_SCOPE",
        "OAUTHBEARER_AUDIENCE",
        "OAUTHBEARER_LOGICAL_CLUSTER",
        "OAUTHBEARER_IDENTITY_POOL",
    }
)
#: In epoch seconds; in milliseconds it is a moment of 1973.
_YEAR_5138 = 100_000_000_000.0
#: Access entries that say everything by their type.
_BARE_ACCESS = frozenset({"IAM_AUTH", "IAM_OAUTHBEARER_AUTH"})


def source_type(fields: Mapping[str, object]) -> SourceType | None:
    """The kind of source of a mapping as written; None if that cannot be told."""
    written = Written(fields)
    arn = written.text("EventSourceArn")
    if arn is None:
        return SourceType.KAFKA if "SelfManagedEventSource" in fields else None
    try:
        return source_type_of(Arn.parse(arn), written.access_types(), fields.get("SourceEndpointUrl"))
    except ValueError:
        return None


def broken_rules(fields: Mapping[str, object], source: SourceType) -> Iterator[Broken]:
    """Every rule that the mapping breaks. `fields` has only fields which that source has."""
    written = Written(fields)
    for rule in (*_EVERY, *_RULES[source]):
        yield from rule(written)


def _sqs_batch(fields: Written) -> Iterator[Broken]:
    fifo = (fields.text("EventSourceArn") or "").endswith(".fifo")
    size, window = fields.number("BatchSize"), fields.number("MaximumBatchingWindowInSeconds") or 0
    if fifo and size is not None and size > 10:
        yield Broken(("BatchSize",), f"is {size:g}, and a FIFO queue allows 10 at most; lower it to 10")
    if fifo and window > 0:
        yield Broken(("MaximumBatchingWindowInSeconds",), "is not for FIFO queues; remove it")
    if not fifo and size is not None and size > 10 and window == 0:
        yield Broken(
            ("BatchSize",),
            f"is {size:g}, and more than 10 needs a batching window;"
            " set MaximumBatchingWindowInSeconds to 1 or more, or lower BatchSize to 10",
        )


def _sqs_scaling(fields: Written) -> Iterator[Broken]:
    low, high = _pollers(fields)
    if low is not None and low < 2:
        yield Broken(("ProvisionedPollerConfig", "MinimumPollers"), "is below 2, the least for SQS; raise it to 2")
    if high is not None and high < 2:
        yield Broken(("ProvisionedPollerConfig", "MaximumPollers"), "is below 2, the least for SQS; raise it to 2")
    if fields.at("ScalingConfig", "MaximumConcurrency") is not None and (low is not None or high is not None):
        yield Broken(("ScalingConfig",), "excludes ProvisionedPollerConfig; remove one of the two")


def _pollers(fields: Written) -> tuple[float | None, float | None]:
    at = "ProvisionedPollerConfig"
    return fields.number(at, "MinimumPollers"), fields.number(at, "MaximumPollers")


def _poller_order(fields: Written) -> Iterator[Broken]:
    low, high = _pollers(fields)
    if low is not None and high is not None and low > high:
        yield Broken(
            ("ProvisionedPollerConfig", "MinimumPollers"),
            f"is {low:g}, above MaximumPollers, which is {high:g}; lower the one or raise the other",
        )


def _starting_position(fields: Written) -> Iterator[Broken]:
    position, moment = fields.at("StartingPosition"), fields.at("StartingPositionTimestamp")
    if position is None and not fields.queue_mode:
        yield Broken(
            ("StartingPosition",), "is missing; say where to start: TRIM_HORIZON (the oldest record) or LATEST"
        )
    if position == "AT_TIMESTAMP" and moment is None:
        yield Broken(("StartingPositionTimestamp",), "is missing; StartingPosition AT_TIMESTAMP needs it")
    if (fields.number("StartingPositionTimestamp") or 0) >= _YEAR_5138:
        yield Broken(("StartingPositionTimestamp",), "is thousands of years ahead; write seconds, not milliseconds")
    if position != "AT_TIMESTAMP" and moment is not None:
        yield Broken(("StartingPositionTimestamp",), "is only for StartingPosition AT_TIMESTAMP; remove it")


def _no_consumer(fields: Written) -> Iterator[Broken]:
    stream, consumer, _ = (fields.text("EventSourceArn") or "").partition("/consumer/")
    if consumer:
        yield Broken(
            ("EventSourceArn",),
            f"names a consumer, and enhanced fan-out is not supported yet; name the stream itself: {stream}",
        )


def _no_timestamp(fields: Written) -> Iterator[Broken]:
    if fields.at("StartingPosition") == "AT_TIMESTAMP":
        yield Broken(("StartingPosition",), "cannot be AT_TIMESTAMP for a DynamoDB stream; use TRIM_HORIZON or LATEST")


def _record_age(fields: Written) -> Iterator[Broken]:
    age = fields.number("MaximumRecordAgeInSeconds")
    if age is not None and 0 <= age < 60:
        yield Broken(("MaximumRecordAgeInSeconds",), f"is {age:g}; use -1 for no limit, or 60 to 604800 seconds")


def _destination(fields: Written) -> Iterator[Broken]:
    if fields.at("DestinationConfig", "OnSuccess", "Destination"):
        yield Broken(("DestinationConfig", "OnSuccess"), "is not for event source mappings; remove it")
    path = ("DestinationConfig", "OnFailure", "Destination")
    target = fields.text(*path)
    if not target or target.startswith("kafka://"):
        return
    try:
        arn = Arn.parse(target)
    except ValueError as error:
        yield Broken(path, str(error))
        return
    if arn.service not in {"sqs", "sns", "s3"}:
        yield Broken(path, f"names the service {arn.service}; use an SQS queue, an SNS topic or an S3 bucket")
    elif arn.resource.endswith(".fifo"):
        yield Broken(path, "is a FIFO queue or topic, which a destination cannot be; use a standard one")


def _kafka_topic_destination(fields: Written) -> Iterator[Broken]:
    path = ("DestinationConfig", "OnFailure", "Destination")
    if (fields.text(*path) or "").startswith("kafka://"):
        yield Broken(
            path, "is a Kafka topic, which only a Kafka source can have; use a queue, a topic of SNS or a bucket"
        )


def _queue(fields: Written) -> Iterator[Broken]:
    if not fields.at("Queues"):
        yield Broken(("Queues",), "is missing; name the one queue to read: [QUEUE]")


def _database(fields: Written) -> Iterator[Broken]:
    if fields.at("DocumentDBEventSourceConfig") is None:
        yield Broken(("DocumentDBEventSourceConfig",), "is missing; name at least its DatabaseName")


def _secrets(fields: Written) -> Iterator[Broken]:
    """No sentence here repeats a URI: it may be the secret itself."""
    for index, (kind, uri) in enumerate(fields.access()):
        path = ("SourceAccessConfigurations", index, "URI")
        if kind in _BARE_ACCESS:
            if uri is not None:
                yield Broken(path, f"is not for {kind}; remove it")
        elif uri is None:
            yield Broken(path, f"is missing; {kind or 'the entry'} needs it")
        elif kind not in _PLAIN_ACCESS and not is_secret_reference(uri):
            yield Broken(path, NO_REFERENCE)


def _source_endpoint(fields: Written) -> Iterator[Broken]:
    endpoint, arn = fields.text("SourceEndpointUrl"), fields.text("EventSourceArn") or ""
    if endpoint is None or arn.split(":")[2:3] in (["kafka"], ["mq"], ["rds"]):
        return
    wrong = wrong_with_url(endpoint)
    if wrong is not None:
        yield Broken(("SourceEndpointUrl",), wrong)


_EVERY: tuple[Rule, ...] = (_poller_order, _secrets, _source_endpoint)
_STREAM: tuple[Rule, ...] = (_starting_position, _record_age, _destination)
_RULES: Mapping[SourceType, tuple[Rule, ...]] = {
    SourceType.SQS: (_sqs_batch, _sqs_scaling),
    SourceType.KINESIS: (*_STREAM, _kafka_topic_destination, _no_consumer),
    SourceType.DYNAMODB: (*_STREAM, _kafka_topic_destination, _no_timestamp),
    SourceType.KAFKA: (*_STREAM, kafka),
    SourceType.RABBITMQ: (_queue,),
    SourceType.ACTIVEMQ: (_queue,),
    SourceType.DOCUMENTDB: (_starting_position, _database),
}
