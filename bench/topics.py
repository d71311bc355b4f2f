"""The topic that is worked off from its beginning, again and again, and what works it off."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from tests.servers import topics
from tests.servers.elasticmq import REGION
from tests.servers.kafka import kafka

from bench.stage import Stage

PARTITIONS = 8

#: Bytes that the producer sends at once, less than a broker takes.
_LARGEST_PUT = 512 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """One preloaded topic, and the HOST:PORT of its broker."""

    name: str
    bootstrap: str
    records: int


class TopicSubject(Protocol):
    """What is measured."""

    name: str

    def command(self, stage: Stage, topic: Topic, batch: int, function: str) -> list[str]:
        """The arguments of Python that work off `topic` from its beginning with `function`, in batches of `batch`."""


class TopicService:
    """`outboard run`, with nothing tuned; its positions are its group's offsets."""

    name = "Outboard"

    def command(self, stage: Stage, topic: Topic, batch: int, function: str) -> list[str]:
        group = _group()
        mapping = {
            "Name": group,
            "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [topic.bootstrap]}},
            "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": group},
            "Topics": [topic.name],
            "FunctionName": function,
            "BatchSize": batch,
            "StartingPosition": "TRIM_HORIZON",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        }
        return stage.service(group, [mapping], Aws={"Region": REGION})


class TopicScript:
    """The plain script; its positions are its group's offsets."""

    name = "script"

    def command(self, stage: Stage, topic: Topic, batch: int, function: str) -> list[str]:
        place = [topic.bootstrap, topic.name, _group()]
        return ["-m", "bench.topic_script", *place, function, stage.invoke, str(batch)]


def _group() -> str:
    """One that nobody has read with yet."""
    return f"bench-{uuid4().hex[:12]}"


@contextmanager
def preloaded(stage: Stage, records: int, size: int) -> Iterator[Topic]:
    """A topic with `records` records of `size` bytes, evenly over its partitions; its broker ends with the block."""
    folder = stage.folder / "kafka"
    folder.mkdir()
    with kafka(folder, measured=True) as broker:
        yield asyncio.run(_filled(broker.bootstrap, records, size))


async def _filled(bootstrap: str, records: int, size: int) -> Topic:
    # The partitions of a new topic have no leader for a moment; the library tries again, which is not worth a line.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    made = topics.Topics(bootstrap)
    try:
        topic = await made.create(PARTITIONS)
    finally:
        await made.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=_LARGEST_PUT) as producer:
        for partition in range(PARTITIONS):
            await _fill(producer, topic.name, partition, range(partition, records, PARTITIONS), size)
    return Topic(topic.name, bootstrap, records)


async def _fill(producer: AIOKafkaProducer, topic: str, partition: int, numbers: range, size: int) -> None:
    batch, now = producer.create_batch(), int(time.time() * 1000)
    for number in numbers:
        entry = {"timestamp": now, "key": b"device-%d" % (number % 1000), "value": _value(number, size)}
        if batch.append(**entry) is None:
            await (await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(**entry)
    await (await producer.send_batch(batch, topic, partition=partition))


def _value(number: int, size: int) -> bytes:
    bare = json.dumps({"n": number, "filler": ""})
    return (bare[:-2] + "x" * (size - len(bare)) + bare[-2:]).encode()
