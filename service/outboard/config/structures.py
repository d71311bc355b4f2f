"""Knows the structures inside a mapping: AWS's blocks, their fields and ranges."""

from typing import Literal

from pydantic import BaseModel, Field

from outboard.config.fields import STRUCTURE, Broker, Whole

StartingPosition = Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]
SourceAccessType = Literal[
    "BASIC_AUTH",
    "VPC_SUBNET",
    "VPC_SECURITY_GROUP",
    "SASL_SCRAM_512_AUTH",
    "SASL_SCRAM_256_AUTH",
    "VIRTUAL_HOST",
    "CLIENT_CERTIFICATE_TLS_AUTH",
    "SERVER_ROOT_CA_CERTIFICATE",
    "OAUTHBEARER_AUTH",
    "OAUTHBEARER_SCOPE",
    "OAUTHBEARER_AUDIENCE",
    "OAUTHBEARER_LOGICAL_CLUSTER",
    "OAUTHBEARER_IDENTITY_POOL",
    "IAM_AUTH",
    "IAM_OAUTHBEARER_AUTH",
]


class Filter(BaseModel):
    """One pattern; a record passes if any pattern matches."""

    model_config = STRUCTURE

    pattern: str = Field(max_length=4096, description="An EventBridge-style pattern, as JSON text.")


class FilterCriteria(BaseModel):
    """Which records reach the function."""

    model_config = STRUCTURE

    filters: tuple[Filter, ...] = Field((), max_length=10, description="Patterns of which one must match.")


class Destination(BaseModel):
    """Where something is sent to."""

    model_config = STRUCTURE

    destination: str = Field("", max_length=350, description="The ARN of a queue, topic or bucket, or kafka://TOPIC.")


class DestinationConfig(BaseModel):
    """Where records go that are given up."""

    model_config = STRUCTURE

    on_failure: Destination = Field(Destination(), description="Where records go that are given up.")
    on_success: Destination = Field(Destination(), description="Not for event source mappings; AWS may print it empty.")


class SourceAccessConfiguration(BaseModel):
    """One thing needed to get at the source."""

    model_config = STRUCTURE

    type: SourceAccessType = Field(description="What the entry is for.")
    uri: str | None = Field(
        None,
        alias="URI",
        min_length=1,
        max_length=1024,
        description="A Secrets Manager ARN, file:///PATH or env:NAME; never the secret itself.",
    )


class Endpoints(BaseModel):
    """The addresses of a cluster of one's own."""

    model_config = STRUCTURE

    kafka_bootstrap_servers: tuple[Broker, ...] = Field(
        alias="KAFKA_BOOTSTRAP_SERVERS", min_length=1, max_length=10, description="Brokers, each HOST:PORT."
    )


class SelfManagedEventSource(BaseModel):
    """A Kafka cluster that is not MSK."""

    model_config = STRUCTURE

    endpoints: Endpoints = Field(description="Where the cluster is.")


class SchemaRegistryAccess(BaseModel):
    """One thing needed to get at the schema registry."""

    model_config = STRUCTURE

    type: Literal["BASIC_AUTH", "CLIENT_CERTIFICATE_TLS_AUTH", "SERVER_ROOT_CA_CERTIFICATE", "OAUTHBEARER_AUTH"] = (
        Field(description="What the entry is for.")
    )
    uri: str = Field(
        alias="URI", min_length=1, max_length=1024, description="A Secrets Manager ARN, file:///PATH or env:NAME."
    )


class SchemaValidation(BaseModel):
    """A part of the record that is deserialised."""

    model_config = STRUCTURE

    attribute: Literal["KEY", "VALUE"] = Field(description="The part.")


class SchemaRegistryConfig(BaseModel):
    """The registry by which keys and values are deserialised."""

    model_config = STRUCTURE

    schema_registry_uri: str = Field(
        alias="SchemaRegistryURI", min_length=1, max_length=10_000, description="A Glue registry's ARN, or a URL."
    )
    event_record_format: Literal["JSON", "SOURCE"] = Field(description="What the function gets: JSON, or the bytes.")
    access_configs: tuple[SchemaRegistryAccess, ...] = Field(
        (), description="How to get at a registry that is not Glue."
    )
    schema_validation_configs: tuple[SchemaValidation, ...] = Field(min_length=1, description="What is deserialised.")


class AmazonManagedKafkaConfig(BaseModel):
    """What only an MSK mapping says."""

    model_config = STRUCTURE

    consumer_group_id: str | None = Field(
        None, min_length=1, max_length=200, description="The consumer group; the mapping's UUID if left out."
    )
    schema_registry_config: SchemaRegistryConfig | None = Field(None, description="How records are deserialised.")


class SelfManagedKafkaConfig(BaseModel):
    """What only a mapping of a self-managed cluster says."""

    model_config = STRUCTURE

    consumer_group_id: str | None = Field(
        None, min_length=1, max_length=200, description="The consumer group; the mapping's UUID if left out."
    )
    consumption_mode: Literal["Stream", "Queue"] = Field("Stream", description="Queue reads by a share group.")
    schema_registry_config: SchemaRegistryConfig | None = Field(None, description="How records are deserialised.")


class ScalingConfig(BaseModel):
    """How far an SQS mapping scales."""

    model_config = STRUCTURE

    maximum_concurrency: Whole | None = Field(
        None, ge=2, le=1000, description="Concurrent invokes of this mapping, at most."
    )


class ProvisionedPollerConfig(BaseModel):
    """How many pollers AWS keeps for the mapping."""

    model_config = STRUCTURE

    minimum_pollers: Whole | None = Field(None, ge=1, le=200, description="Pollers, at least.")
    maximum_pollers: Whole | None = Field(None, ge=1, le=10_000, description="Pollers, at most.")
    poller_group_name: str | None = Field(None, max_length=128, description="Mappings that share pollers.")


class DocumentDBConfig(BaseModel):
    """Which change stream is read."""

    model_config = STRUCTURE

    database_name: str = Field(min_length=1, max_length=63, description="The database.")
    collection_name: str | None = Field(
        None, min_length=1, max_length=57, description="The collection; all if left out."
    )
    full_document: Literal["Default", "UpdateLookup"] = Field("Default", description="What an update event carries.")


class MetricsConfig(BaseModel):
    """Which of AWS's opt-in metrics are on; Outboard's always are."""

    model_config = STRUCTURE

    metrics: tuple[Literal["EventCount", "ErrorCount", "KafkaMetrics"], ...] = Field(
        (), description="Accepted, unused."
    )


class LoggingConfig(BaseModel):
    """How much AWS's own poller logs; Outboard's log level is at the top level."""

    model_config = STRUCTURE

    system_log_level: Literal["DEBUG", "INFO", "WARN"] | None = Field(None, description="Accepted, unused.")
