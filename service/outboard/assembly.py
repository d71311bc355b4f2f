"""Knows how a mapping is put together: its source, its function, its policy and what it works with."""

import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from outboard.aws.calls import CallFailed, JsonService, LambdaService
from outboard.config.arns import SourceType
from outboard.config.models import EventSourceMapping
from outboard.core.batcher import BatchLimits
from outboard.core.delivery import OnFailure, Policy
from outboard.core.ports import Checkpoints, Feed, Source, SourceFailed
from outboard.core.records import Record
from outboard.core.shards import Beginning, Position, Since
from outboard.events import sqs as sqs_events
from outboard.invoke.function import function_of
from outboard.observe.mapping import MappingObserver
from outboard.runtime.budget import ByteBudget, Share
from outboard.runtime.gate import Gate
from outboard.runtime.lane import Work
from outboard.runtime.mapping import MappingRun
from outboard.sources.kafka import KafkaSource
from outboard.sources.kafka import consumer as kafka_consumer
from outboard.sources.kafka.beginning import FirstStart
from outboard.sources.kafka.consumer import Consumer, ConsumerSpec, Earliest, FetchLimits, Latest, Start
from outboard.sources.kafka.desk import TopicDesk
from outboard.sources.kafka.feed import PartitionFeed
from outboard.sources.kafka.source import KafkaSettings
from outboard.sources.kinesis import KinesisSource
from outboard.sources.kinesis.desk import ShardDesk
from outboard.sources.kinesis.feed import ShardFeed
from outboard.sources.kinesis.source import KinesisSettings
from outboard.sources.kinesis.stream import KinesisStream
from outboard.sources.sqs import SqsSource
from outboard.sources.sqs.feed import Desk, SqsFeed
from outboard.sources.sqs.queue import SqsQueue, url_of
from outboard.sources.sqs.source import SqsSettings
from outboard.state.memory import MemoryCheckpoints

#: Concurrent invokes of a mapping that names no limit; AWS stops at 1,250.
DEFAULT_CONCURRENCY = 1_000


class Connections(Protocol):
    """How AWS is reached; a simulation puts its own world behind this."""

    @property
    def region(self) -> str | None: ...

    def sqs_endpoint(self, region: str, endpoint: str | None) -> str: ...

    def sqs(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService: ...

    def kinesis(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService: ...

    def lambda_(self, region: str, endpoint: str | None, role_arn: str | None) -> LambdaService: ...

    async def caller_arn(self, region: str, *, beside_aws: bool) -> str | None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is not decided by the configuration: epoch time, chance, where positions are kept, who makes the feeds."""

    wall: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random
    checkpoints: Checkpoints = field(default_factory=MemoryCheckpoints)
    sqs_feed: Callable[[Desk], Feed] = SqsFeed
    shard_feed: Callable[[ShardDesk, str, Position], Feed] = ShardFeed
    consumer: Callable[[ConsumerSpec, FetchLimits], Consumer] | None = None
    partition_feed: Callable[[TopicDesk, int, int], PartitionFeed] = PartitionFeed


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all mappings of a process are made with.

    Attributes:
        memory: MaximumBufferedBytes.
        saturated: whether no CPU is left.
        topics: how many mappings read topics, whose consumers share what comes off the wire.
    """

    connections: Connections
    surroundings: Surroundings
    budget: ByteBudget
    memory: int
    saturated: Callable[[], bool]
    topics: Callable[[], int]

    def mapping_run(self, mapping: EventSourceMapping, observer: MappingObserver) -> MappingRun:
        """Raises `CallFailed` for a function that cannot be reached as it is configured."""
        work = Work(
            function=function_of(self.connections, mapping),
            limits=BatchLimits(mapping.batch_size, mapping.window),
            policy=_policy(mapping),
            gate=Gate(mapping.concurrency_limit or DEFAULT_CONCURRENCY, observer.concurrency),
            observer=observer,
            trace=sqs_events.trace if mapping.source_type is SourceType.SQS else _no_trace,
            wall=self.surroundings.wall,
            jitter=self.surroundings.jitter,
        )
        make = self._maker(mapping, observer, self.budget.share(mapping.uuid))

        def build() -> Source:
            try:
                return make()
            except CallFailed as failure:
                raise SourceFailed(failure.code, failure.message) from None

        return MappingRun(mapping.name, build, work, self.saturated)

    def release(self, mapping: EventSourceMapping) -> None:
        """What ran the mapping has ended: its part of the memory is the others'."""
        self.budget.leave(mapping.uuid)

    def _maker(self, mapping: EventSourceMapping, observer: MappingObserver, share: Share) -> Callable[[], Source]:
        """What makes the mapping's source, for each of its runs."""
        match mapping.source_type:
            case SourceType.SQS:
                return lambda: self._sqs(mapping, observer, share)
            case SourceType.KINESIS:
                return lambda: self._kinesis(mapping, observer, share)
            case SourceType.KAFKA:
                first = FirstStart(_kafka_start(mapping))
                return lambda: self._kafka(mapping, observer, share, first)
            case other:  # the configuration refuses what is not supported
                raise CallFailed("NotSupported", f"sources of type {other} are not supported yet")

    def _sqs(self, mapping: EventSourceMapping, observer: MappingObserver, share: Share) -> Source:
        region, endpoint = mapping.source.region, mapping.source_endpoint_url
        service = self.connections.sqs(region, endpoint, mapping.source_role_arn)
        settings = SqsSettings(
            facts=sqs_events.QueueFacts(str(mapping.source), region, md5_null=mapping.window >= 1),
            window=mapping.window,
            allowance=share,
            observer=observer,
            jitter=self.surroundings.jitter,
            memory=self.memory,
        )
        url = url_of(self.connections.sqs_endpoint(region, endpoint), mapping.source)
        return SqsSource(SqsQueue(service, url), settings, self.surroundings.sqs_feed)

    def _kinesis(self, mapping: EventSourceMapping, observer: MappingObserver, share: Share) -> Source:
        region = mapping.source.region
        service = self.connections.kinesis(region, mapping.source_endpoint_url, mapping.source_role_arn)
        settings = KinesisSettings(
            uuid=mapping.uuid,
            start=lambda: _start(mapping, self.surroundings.wall()),
            identity=self._identity(mapping),
            region=region,
            checkpoints=self.surroundings.checkpoints,
            allowance=share,
            observer=observer,
            wall=self.surroundings.wall,
            jitter=self.surroundings.jitter,
            memory=self.memory,
            latest=mapping.starting_position == "LATEST",
        )
        return KinesisSource(KinesisStream(service, mapping.source), settings, self.surroundings.shard_feed)

    def _kafka(self, mapping: EventSourceMapping, observer: MappingObserver, share: Share, first: FirstStart) -> Source:
        spec = consumer_spec(mapping)
        make = self.surroundings.consumer
        if make is None:
            raise SourceFailed("NoConsumer", "Kafka is not within reach of this process")
        settings = KafkaSettings(
            topic=spec.topic,
            arn=spec.arn,
            first=first,
            allowance=share,
            observer=observer,
            jitter=self.surroundings.jitter,
            memory=self.memory // max(1, self.topics()),
        )
        return KafkaSource(lambda fetch: make(spec, fetch), settings, self.surroundings.partition_feed)

    def _identity(self, mapping: EventSourceMapping) -> Callable[[], Awaitable[str]]:
        """Who `invokeIdentityArn` says is invoking."""
        source = mapping.source
        anybody = f"arn:{source.partition}:iam::{source.account}:root"

        async def identity() -> str:
            if role := mapping.function_role_arn or mapping.source_role_arn:
                return role
            beside_aws = bool(mapping.source_endpoint_url and mapping.function_endpoint_url)
            try:
                return await self.connections.caller_arn(source.region, beside_aws=beside_aws) or anybody
            except CallFailed as failure:
                structlog.get_logger().warning(
                    "identity unknown", mapping=mapping.name, invoke_identity_arn=anybody, error_message=failure.message
                )
                return anybody

        return identity


def consumer_spec(mapping: EventSourceMapping) -> ConsumerSpec:
    """What the consumer of a Kafka mapping needs to know."""
    return ConsumerSpec(
        mapping=mapping.name,
        uuid=mapping.uuid,
        topic=mapping.topic,
        group=mapping.consumer_group,
        brokers=mapping.brokers,
        tls=mapping.uses_tls,
        arn=mapping.event_source_arn,
        ca=mapping.ca_reference,
        role=mapping.source_role_arn,
    )


def _policy(mapping: EventSourceMapping) -> Policy:
    if mapping.source_type is SourceType.SQS:
        return Policy(OnFailure.RETURN, partial_responses=mapping.report_batch_item_failures)
    return Policy(
        OnFailure.RETRY_LISTED if mapping.source_type is SourceType.KAFKA else OnFailure.RETRY_FROM_LOWEST,
        partial_responses=mapping.report_batch_item_failures,
        maximum_retry_attempts=mapping.retry_attempts,
        maximum_record_age=mapping.record_age,
        bisect=mapping.bisect_batch_on_function_error,
    )


def _start(mapping: EventSourceMapping, wall: float) -> Position:
    """Where the mapping starts if it does so now. Kinesis knows arrivals to the millisecond."""
    match mapping.starting_position:
        case "LATEST":
            return Since(math.floor(wall * 1000) / 1000)
        case "AT_TIMESTAMP" if mapping.starting_position_timestamp is not None:
            return Since(float(mapping.starting_position_timestamp))
        case _:
            return Beginning()


def _kafka_start(mapping: EventSourceMapping) -> Start:
    match mapping.starting_position:
        case "LATEST":
            return Latest()
        case "AT_TIMESTAMP" if mapping.starting_position_timestamp is not None:
            return kafka_consumer.Since(float(mapping.starting_position_timestamp))
        case _:
            return Earliest()


def _no_trace(_records: Sequence[Record]) -> str | None:
    return None
