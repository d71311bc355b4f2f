"""Knows, in one table each: which source has which field, what a source takes for a field left out, what runs today."""

from collections.abc import Mapping

from outboard.config.arns import LABELS, SourceType

SQS = frozenset({SourceType.SQS})
KINESIS = frozenset({SourceType.KINESIS})
STREAMS = frozenset({SourceType.KINESIS, SourceType.DYNAMODB})
KAFKA = frozenset({SourceType.KAFKA})
MQ = frozenset({SourceType.RABBITMQ, SourceType.ACTIVEMQ})
DOCUMENTDB = frozenset({SourceType.DOCUMENTDB})
EVERY = frozenset(SourceType)

#: Field -> the sources that have it. A field that is not listed here is had by every source.
SOURCES_OF: Mapping[str, frozenset[SourceType]] = {
    "StartingPosition": STREAMS | KAFKA | DOCUMENTDB,
    "StartingPositionTimestamp": STREAMS | KAFKA | DOCUMENTDB,
    "ParallelizationFactor": STREAMS,
    "TumblingWindowInSeconds": STREAMS,
    "MaximumRecordAgeInSeconds": STREAMS | KAFKA,
    "MaximumRetryAttempts": STREAMS | KAFKA,
    "BisectBatchOnFunctionError": STREAMS | KAFKA,
    "DestinationConfig": STREAMS | KAFKA,
    "FunctionResponseTypes": SQS | STREAMS | KAFKA,
    "FilterCriteria": EVERY - DOCUMENTDB,
    "KMSKeyArn": EVERY - DOCUMENTDB,
    "ScalingConfig": SQS,
    "ProvisionedPollerConfig": SQS | KAFKA,
    "Topics": KAFKA,
    "Queues": MQ,
    "SelfManagedEventSource": KAFKA,
    "SelfManagedKafkaEventSourceConfig": KAFKA,
    "AmazonManagedKafkaEventSourceConfig": KAFKA,
    "SourceAccessConfigurations": KAFKA | MQ | DOCUMENTDB,
    "DocumentDBEventSourceConfig": DOCUMENTDB,
    "Tls": KAFKA | MQ,
}

#: Of Kafka's fields, those that only MSK has and those that only a self-managed cluster has.
MSK_ONLY = frozenset({"EventSourceArn", "AmazonManagedKafkaEventSourceConfig", "SourceEndpointUrl"})
SELF_MANAGED_ONLY = frozenset({"SelfManagedEventSource", "SelfManagedKafkaEventSourceConfig"})

#: Sources that Outboard carries out. A mapping of another one is checked completely, then refused.
CARRIED_OUT = SQS | KINESIS | KAFKA

#: Sources that do not keep their readers' positions themselves: State does.
STATEFUL = STREAMS | DOCUMENTDB

#: Field -> the carried-out sources for which AWS has it and Outboard does not carry it out yet. Parts of Kafka's blocks
#: that wait are in `kafka_rules.waiting`.
NOT_CARRIED_OUT: Mapping[str, frozenset[SourceType]] = {
    "FilterCriteria": CARRIED_OUT,
    "KMSKeyArn": CARRIED_OUT,
    "ProvisionedPollerConfig": SQS,
    "ParallelizationFactor": KINESIS,
    "TumblingWindowInSeconds": KINESIS,
    "DestinationConfig": KINESIS | KAFKA,
}

#: What becomes of a mapping without the field: whether it can do without is the user's to say.
WITHOUT: Mapping[str, str] = {
    "FilterCriteria": "leave this mapping with AWS, since without filters the function would get every record",
    "KMSKeyArn": "remove it, since FilterCriteria, which it encrypts, is not supported either",
    "ProvisionedPollerConfig": "remove it; pollers follow the load, and MaximumConcurrency bounds them",
    "ParallelizationFactor": "remove it if one batch of a shard at a time is enough, or leave this mapping with AWS",
    "TumblingWindowInSeconds": "leave this mapping with AWS, since without windows the function would get no state",
    "DestinationConfig": "leave this mapping with AWS, since without destinations records given up are dropped",
}

#: What AWS prints for a field that is not in use; nothing, and blocks of nothing, are neutral for every field.
NEUTRAL: Mapping[str, object] = {
    "ParallelizationFactor": 1,
    "TumblingWindowInSeconds": 0,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "BisectBatchOnFunctionError": False,
}

#: What a field that was left out becomes, where that depends on the source.
DEFAULTS: Mapping[SourceType, Mapping[str, object]] = {
    SourceType.SQS: {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0},
    SourceType.KINESIS: {"BatchSize": 100, "MaximumBatchingWindowInSeconds": 0},
    SourceType.DYNAMODB: {"BatchSize": 100, "MaximumBatchingWindowInSeconds": 0},
    SourceType.KAFKA: {"BatchSize": 100},
    SourceType.RABBITMQ: {"BatchSize": 100},
    SourceType.ACTIVEMQ: {"BatchSize": 100},
    SourceType.DOCUMENTDB: {"BatchSize": 100},
}

#: Seconds: the window of the sources which AWS gives one that its field, whole seconds, cannot express.
DEFAULT_WINDOW = 0.5

#: Fields of AWS's answers that say nothing about what to do; read and dropped.
IGNORED_OUTPUT = frozenset(
    {"EventSourceMappingArn", "LastModified", "LastProcessingResult", "StateTransitionReason", "FilterCriteriaError"}
)
#: Fields of AWS's answers that stand for a field of the request.
UNDERSTOOD_OUTPUT = frozenset({"FunctionArn", "State"})

#: Instead of "remove it": what does on that source what the field does on others.
INSTEAD: Mapping[tuple[SourceType, str], str] = {
    (SourceType.SQS, "MaximumRetryAttempts"): "remove it and set maxReceiveCount in the queue's redrive policy",
    (SourceType.SQS, "MaximumRecordAgeInSeconds"): "remove it and set the queue's MessageRetentionPeriod",
    (SourceType.SQS, "DestinationConfig"): "remove it and give the queue a dead-letter queue by its redrive policy",
    (SourceType.SQS, "ParallelizationFactor"): "remove it and set ScalingConfig.MaximumConcurrency",
    (SourceType.KINESIS, "ScalingConfig"): "remove it and set MaximumConcurrency",
    (SourceType.KAFKA, "ScalingConfig"): "remove it and set MaximumConcurrency",
    (SourceType.KAFKA, "ParallelizationFactor"): "remove it and give the topic more partitions",
    (
        SourceType.SQS,
        "BisectBatchOnFunctionError",
    ): "remove it and use FunctionResponseTypes: [ReportBatchItemFailures]",
}


def has(field: str, source: SourceType, *, self_managed: bool) -> bool:
    """Whether a mapping of that source may say anything in that field."""
    if source is SourceType.KAFKA and field in (MSK_ONLY if self_managed else SELF_MANAGED_ONLY):
        return False
    return source in SOURCES_OF.get(field, EVERY)


def is_neutral(field: str, value: object) -> bool:
    """Whether the value says that the field is not in use."""
    if field == "SourceAccessConfigurations" and isinstance(value, list):
        return all(isinstance(it, dict) and str(it.get("Type", "")).startswith("VPC_") for it in value)
    neutral = NEUTRAL.get(field)
    return _is_empty(value) or (neutral is not None and type(value) is type(neutral) and value == neutral)


def _is_empty(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_empty, value.values()))
    return value is None or value in ("", [])


def owners(field: str) -> str:
    """The sources that have a field, for a sentence."""
    return labels(SOURCES_OF.get(field, EVERY))


def labels(sources: frozenset[SourceType]) -> str:
    """The names of sources, for a sentence."""
    names = [LABELS[source] for source in SourceType if source in sources]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
