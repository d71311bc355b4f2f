"""Knows how `check --live` asks: each source what it is like, each function by a dry run. Advice only."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from outboard.assembly import consumer_spec
from outboard.aws.calls import CallFailed, JsonService, LambdaService
from outboard.aws.services import Services
from outboard.config.arns import SourceType
from outboard.config.models import Configuration, EventSourceMapping
from outboard.invoke.function import function_of
from outboard.sources.kafka.consumer import Consumer, ConsumerError, ConsumerSpec, FetchLimits
from outboard.sources.kafka.way import consumers
from outboard.sources.kinesis.stream import KinesisStream, StreamDescription, with_remedy
from outboard.sources.sqs.queue import SqsQueue, url_of

#: A stream that is being resharded can be read.
_READABLE = frozenset({"ACTIVE", "UPDATING"})

#: Bytes; nothing is fetched.
_FETCH = FetchLimits(partition=65_536, broker=65_536)
#: Seconds for a cluster to say what its topic is like.
_PATIENCE = 60.0


class Reach(Protocol):
    """How AWS is reached."""

    @property
    def region(self) -> str | None: ...

    def sqs_endpoint(self, region: str, endpoint: str | None) -> str: ...

    def sqs(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService: ...

    def kinesis(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService: ...

    def lambda_(self, region: str, endpoint: str | None, role_arn: str | None) -> LambdaService: ...


#: Makes a consumer that has not started yet.
Consumers = Callable[[ConsumerSpec, FetchLimits], Consumer]


async def advise(configuration: Configuration) -> Sequence[str]:
    """One line for each thing that is not as the mappings need it; or that all is well."""
    services = Services(lambda *_: None)
    try:
        return await advice(configuration, services, consumers(services.sdk_calls), time.time)
    finally:
        await services.close()


async def advice(
    configuration: Configuration, reach: Reach, consumer: Consumers, wall: Callable[[], float]
) -> Sequence[str]:
    """What `advise` prints. `wall` gives the epoch time."""
    mappings = configuration.event_source_mappings
    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(_ask(reach, consumer, mapping, wall()), name=f"check {mapping.name}")
            for mapping in mappings
        ]
    lines = [
        f"mapping {mapping.name}: {line}"
        for mapping, task in zip(mappings, asked, strict=True)
        for line in task.result()
    ]
    return lines or [f"all {len(mappings)} sources and functions answered"]


async def _ask(reach: Reach, consumer: Consumers, mapping: EventSourceMapping, now: float) -> list[str]:
    match mapping.source_type:
        case SourceType.SQS:
            lines = await _ask_queue(reach, mapping)
        case SourceType.KINESIS:
            lines = await _ask_stream(reach, mapping, now)
        case SourceType.KAFKA:
            lines = await _ask_topic(consumer(consumer_spec(mapping), _FETCH), mapping, now)
        case _:  # the configuration refuses what is not supported
            lines = []
    try:
        wrong = await function_of(reach, mapping).dry_run()
    except CallFailed as failure:
        wrong = f"{failure.code}: {failure.message}"
    return lines if wrong is None else [*lines, f"FunctionName: {wrong}"]


async def _ask_queue(reach: Reach, mapping: EventSourceMapping) -> list[str]:
    region, url = mapping.source.region, mapping.source_endpoint_url
    try:
        service = reach.sqs(region, url, mapping.source_role_arn)
        queue = SqsQueue(service, url_of(reach.sqs_endpoint(region, url), mapping.source))
        attributes = await queue.attributes()
    except CallFailed as failure:
        return [f"EventSourceArn: {failure.code}: {failure.message}"]
    if attributes.visibility_timeout < 1:
        return ["the queue's VisibilityTimeout is 0: failed messages come back at once"]
    return []


async def _ask_stream(reach: Reach, mapping: EventSourceMapping, now: float) -> list[str]:
    try:
        service = reach.kinesis(mapping.source.region, mapping.source_endpoint_url, mapping.source_role_arn)
        stream = await KinesisStream(service, mapping.source).describe()
    except CallFailed as failure:
        return [f"EventSourceArn: {failure.code}: {with_remedy(failure)}", *_about_start(mapping, now)]
    return [*_about_stream(mapping, stream), *_about_start(mapping, now)]


async def _ask_topic(consumer: Consumer, mapping: EventSourceMapping, now: float) -> list[str]:
    """The consumer joins no group."""
    where = "SelfManagedEventSource" if mapping.self_managed else "EventSourceArn"
    try:
        async with asyncio.timeout(_PATIENCE):
            await consumer.start()
            partitions = await consumer.partitions()
    except TimeoutError:
        return [f"{where}: the cluster did not answer within {_PATIENCE:.0f} s; check its addresses and the network"]
    except ConsumerError as error:
        return [f"{where}: {error.error_type}: {error.message}"]
    finally:
        await consumer.stop()
    return _about_topic(mapping, len(partitions), now)


def _about_topic(mapping: EventSourceMapping, partitions: int, now: float) -> list[str]:
    lines = []
    if not partitions:
        lines.append(
            f"Topics: the topic {mapping.topic} does not exist, or may not be seen; create it or correct Topics;"
            " the mapping waits for it"
        )
    moment = mapping.starting_position_timestamp
    if moment is not None and moment > now:
        lines.append("StartingPositionTimestamp: is in the future; the mapping starts behind the newest record instead")
    if mapping.record_age is None and mapping.retry_attempts is None:
        lines.append(
            "MaximumRetryAttempts: is -1, as is MaximumRecordAgeInSeconds; a record that the function always fails"
            " blocks its partition; set one of the two unless that is meant"
        )
    return lines


def _about_stream(mapping: EventSourceMapping, stream: StreamDescription) -> list[str]:
    lines = []
    hours, age = stream.retention_hours, mapping.record_age
    if stream.status not in _READABLE:
        lines.append(f"EventSourceArn: the stream is {stream.status}; it can be read once it is ACTIVE")
    if age is not None and age > hours * 3600:
        lines.append(
            f"MaximumRecordAgeInSeconds: is {age:g}, and the stream keeps records for {hours} hours only;"
            f" lower it to {hours * 3600} at most, or raise the stream's retention"
        )
    if age is None and mapping.retry_attempts is None:
        lines.append(
            "MaximumRetryAttempts: is -1, as is MaximumRecordAgeInSeconds; a record that the function always fails"
            f" blocks its shard, and what follows expires after {hours} hours; set one of the two unless that is meant"
        )
    return lines


def _about_start(mapping: EventSourceMapping, now: float) -> list[str]:
    moment = mapping.starting_position_timestamp
    if moment is None or moment <= now:
        return []
    return ["StartingPositionTimestamp: is in the future, and Kinesis refuses it until then; the mapping waits"]
