"""Knows an event source mapping: every field that AWS has, ours beside them, and what follows from them."""

from typing import Literal

from pydantic import BaseModel, Field, PrivateAttr

from outboard.config import fields as types
from outboard.config import structures
from outboard.config.arns import Arn, FunctionTarget, SourceType, source_type_of
from outboard.config.support import DEFAULT_WINDOW


class EventSourceMapping(BaseModel):
    """One mapping, checked and complete: what was left out has the value that its source takes for it.

    Build it by `resolving.resolve` (or `loading`), which knows the rules between fields and each source's defaults.
    """

    model_config = types.STRUCTURE

    name: types.MappingName = Field(description="Ours: the mapping's unique name; its UUID if left out.")
    uuid: types.Uuid = Field(alias="UUID", description="The mapping's id; by default made of Installation and Name.")
    event_source_arn: types.SourceArn | None = Field(None, description="The queue, stream, cluster or broker to read.")
    function_name: types.FunctionName = Field(description="The function: a name, NAME:ALIAS, a partial or a full ARN.")
    enabled: types.Flag = Field(True, description="Whether the mapping polls.")
    batch_size: types.Whole = Field(
        ge=1, le=10_000, description="Records in one invoke, at most; 10 for SQS, 100 for others if left out."
    )
    maximum_batching_window_in_seconds: types.Whole | None = Field(
        None, ge=0, le=300, description="Seconds to wait for a batch to fill; 0 sends what one read returned."
    )
    function_response_types: tuple[Literal["ReportBatchItemFailures"], ...] = Field(
        (), max_length=1, description="Whether the function names the records that failed."
    )
    filter_criteria: structures.FilterCriteria | None = Field(None, description="Which records reach the function.")
    scaling_config: structures.ScalingConfig | None = Field(None, description="SQS: how many invokes run at once.")
    starting_position: structures.StartingPosition | None = Field(
        None, description="Where a stream or topic is read from."
    )
    starting_position_timestamp: types.Timestamp | None = Field(
        None, description="With AT_TIMESTAMP: epoch seconds, or ISO 8601 with its zone."
    )
    parallelization_factor: types.Whole = Field(1, ge=1, le=10, description="Batches of one shard at once.")
    tumbling_window_in_seconds: types.Whole = Field(0, ge=0, le=900, description="Seconds of a window; 0 is off.")
    maximum_record_age_in_seconds: types.Whole = Field(
        -1, ge=-1, le=604_800, description="Seconds after which a record is given up, 60 or more; -1 is never."
    )
    maximum_retry_attempts: types.Whole = Field(
        -1, ge=-1, le=10_000, description="Retries after which a record is given up; -1 is never."
    )
    bisect_batch_on_function_error: types.Flag = Field(False, description="Whether a failed batch is split in two.")
    destination_config: structures.DestinationConfig | None = Field(
        None, description="Where records go that are given up."
    )
    topics: tuple[types.Topic, ...] = Field((), max_length=1, description="Kafka: the topic.")
    queues: tuple[types.Queue, ...] = Field((), max_length=1, description="Amazon MQ: the queue.")
    source_access_configurations: tuple[structures.SourceAccessConfiguration, ...] = Field(
        (), max_length=23, description="How to get at the source; references to secrets, never secrets."
    )
    self_managed_event_source: structures.SelfManagedEventSource | None = Field(
        None, description="A Kafka that is not MSK."
    )
    self_managed_kafka_event_source_config: structures.SelfManagedKafkaConfig | None = Field(
        None, description="What only a mapping of a self-managed Kafka says."
    )
    amazon_managed_kafka_event_source_config: structures.AmazonManagedKafkaConfig | None = Field(
        None, description="What only a mapping of MSK says."
    )
    document_db_event_source_config: structures.DocumentDBConfig | None = Field(
        None, alias="DocumentDBEventSourceConfig", description="Which change stream is read."
    )
    provisioned_poller_config: structures.ProvisionedPollerConfig | None = Field(
        None,
        description="Kafka: MaximumPollers is how many invokes run at once, at most; MinimumPollers has no effect.",
    )
    kms_key_arn: str | None = Field(
        None, alias="KMSKeyArn", max_length=2048, description="The key that encrypts the filter criteria at AWS."
    )
    # Harmless to ignore: they say what AWS shows of a mapping, not what the mapping does.
    metrics_config: structures.MetricsConfig | None = Field(None, description="Accepted, unused: all metrics are on.")
    logging_config: structures.LoggingConfig | None = Field(None, description="Accepted, unused: see Logging.")
    tags: dict[str, str] | None = Field(None, description="Accepted, unused.")

    source_endpoint_url: str | None = Field(
        None, min_length=1, max_length=2048, description="Ours: where the source is, instead of AWS; MSK: its brokers."
    )
    function_endpoint_url: types.HttpUrl | None = Field(
        None, description="Ours: where the Invoke API is, instead of AWS."
    )
    source_role_arn: types.RoleArn | None = Field(None, description="Ours: the role assumed to read the source.")
    function_role_arn: types.RoleArn | None = Field(None, description="Ours: the role assumed to invoke the function.")
    invoke_timeout_seconds: types.Seconds = Field(
        905.0, ge=0.1, le=7200, description="Ours: seconds to wait for the function's answer."
    )
    maximum_concurrency: types.Whole | None = Field(
        None, ge=1, le=10_000, description="Ours, any source: concurrent invokes of this mapping, at most."
    )
    tls: types.Flag | None = Field(None, description="Ours: Kafka, MQ: whether connections use TLS.")

    #: `Aws.Region`: part of the mapping, so that a change of it is a change of every mapping that follows it.
    _aws_region: str | None = PrivateAttr(None)

    def in_region(self, aws_region: str | None) -> "EventSourceMapping":
        """The same mapping under a configuration's `Aws.Region`."""
        copied = self.model_copy()
        copied._aws_region = aws_region  # noqa: SLF001  its own class
        return copied

    @property
    def self_managed(self) -> bool:
        """Whether the source is a Kafka cluster without an ARN."""
        return self.event_source_arn is None

    @property
    def source(self) -> Arn:
        """The event source. A self-managed Kafka has none: LookupError."""
        if self.event_source_arn is None:
            raise LookupError(f"mapping {self.name} reads a self-managed Kafka, which has no ARN")
        return Arn.parse(self.event_source_arn)

    @property
    def source_type(self) -> SourceType:
        """The kind of source."""
        if self.self_managed:
            return SourceType.KAFKA
        access = [entry.type for entry in self.source_access_configurations]
        return source_type_of(self.source, access, self.source_endpoint_url)

    @property
    def function(self) -> FunctionTarget:
        """The function, in the region of its ARN, else `Aws.Region`."""
        source = None if self.self_managed else self.source
        return FunctionTarget.parse(self.function_name, default_region=self._aws_region, source=source)

    def function_region(self, sdk_region: str | None) -> str | None:
        """Where the function is invoked: its ARN's region, else `Aws.Region`, else the SDK's, else the source's."""
        return self.function.region or sdk_region or (None if self.self_managed else self.source.region)

    @property
    def queue_name(self) -> str:
        """SQS: the last part of the queue's ARN and URL."""
        return self.source.resource

    @property
    def stream_name(self) -> str:
        """Kinesis: the stream's name, the last part of its ARN."""
        return self.source.resource.rpartition("/")[2]

    @property
    def fifo(self) -> bool:
        """SQS: whether the queue keeps the order of its message groups."""
        return self.source_type is SourceType.SQS and self.source.resource.endswith(".fifo")

    @property
    def topic(self) -> str:
        """Kafka: the one topic."""
        return self.topics[0]

    @property
    def consumer_group(self) -> str:
        """Kafka: `ConsumerGroupId`, else the mapping's UUID."""
        own = self.self_managed_kafka_event_source_config or self.amazon_managed_kafka_event_source_config
        return (own.consumer_group_id if own else None) or self.uuid

    @property
    def brokers(self) -> str:
        """Kafka: HOST:PORT, several joined by commas; empty where MSK's API is to be asked for them."""
        if self.self_managed_event_source is not None:
            return ",".join(self.self_managed_event_source.endpoints.kafka_bootstrap_servers)
        return self.source_endpoint_url or ""

    @property
    def uses_tls(self) -> bool:
        """Kafka: whether the brokers are spoken to through TLS."""
        return bool(self.tls)

    @property
    def ca_reference(self) -> str | None:
        """Kafka: where the certificates are by which the brokers are known; None: those of the system count."""
        access = self.source_access_configurations
        return next((it.uri for it in access if it.type == "SERVER_ROOT_CA_CERTIFICATE"), None)

    @property
    def report_batch_item_failures(self) -> bool:
        """Whether the function's answer is read."""
        return bool(self.function_response_types)

    @property
    def retry_attempts(self) -> int | None:
        """Retries after which records are given up; None if never."""
        return None if self.maximum_retry_attempts < 0 else self.maximum_retry_attempts

    @property
    def record_age(self) -> float | None:
        """Seconds after which a record is given up; None if never."""
        return None if self.maximum_record_age_in_seconds < 0 else float(self.maximum_record_age_in_seconds)

    @property
    def window(self) -> float:
        """Seconds to wait for a batch to fill, the source's own default included."""
        given = self.maximum_batching_window_in_seconds
        return DEFAULT_WINDOW if given is None else float(given)

    @property
    def concurrency_limit(self) -> int | None:
        """The smaller of `MaximumConcurrency` and what AWS has for the source: `ScalingConfig.MaximumConcurrency`, or
        Kafka's `ProvisionedPollerConfig.MaximumPollers`; None if the user set neither.
        """
        scaling = self.scaling_config.maximum_concurrency if self.scaling_config else None
        kafka = self.source_type is SourceType.KAFKA and self.provisioned_poller_config
        pollers = kafka.maximum_pollers if kafka else None
        return min((it for it in (self.maximum_concurrency, scaling, pollers) if it is not None), default=None)
