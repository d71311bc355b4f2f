"""The consumer that reads from Apache Kafka does what every consumer does."""

import asyncio
import time
import uuid
from collections.abc import Mapping

import pytest

from outboard.sources.kafka.consumer import Consumer, ConsumerSpec, FetchLimits, Way
from outboard.sources.kafka.member import GroupMember
from tests import consumer_suite
from tests.consumer_suite import BEHAVIOURS
from tests.servers.topics import Topic, Topics


class RealCluster:
    """The suite's `Cluster`: a topic and a group of a broker that runs."""

    def __init__(self, topics: Topics, topic: Topic) -> None:
        self._topics = topics
        self._topic = topic
        self._group = f"group-{uuid.uuid4().hex[:8]}"

    def consumer(self) -> Consumer:
        return self._of(self._topic.name)

    def of_another_topic(self) -> Consumer:
        return self._of("nowhere")

    def _of(self, topic: str) -> Consumer:
        brokers = self._topic.endpoint
        spec = ConsumerSpec("m", "u", topic, self._group, brokers, tls=False)

        async def way() -> Way:
            return Way(brokers)

        return GroupMember(spec, FetchLimits(65_536, 1_048_576), way)

    async def write(self, partition: int, *values: bytes) -> None:
        await self._topics.put(self._topic, values, partition=partition)

    async def write_in_vain(self, partition: int) -> None:
        await self._topics.put_in_transaction(self._topic, [b"aborted"] * 3, commit=False, partition=partition)

    async def forget(self, partition: int, before: int) -> None:
        await self._topics.delete_before(self._topic, partition, before)

    async def give(self, offsets: Mapping[int, int]) -> None:
        await self._topics.commit(self._group, self._topic, offsets)

    def wall(self) -> float:
        return time.time()


@pytest.mark.parametrize("name", BEHAVIOURS)
async def test_a_group_member_does_what_every_consumer_does(name: str, topics: Topics) -> None:
    await consumer_suite.run(RealCluster(topics, await topics.create(2)), name)


async def test_a_pause_keeps_nothing_in_memory_of_what_was_fetched(topics: Topics) -> None:
    topic = await topics.create(1)
    await topics.put(topic, [b"x" * 1000] * 500, partition=0)
    spec = ConsumerSpec("m", "u", topic.name, f"group-{uuid.uuid4().hex[:8]}", topic.endpoint, tls=False)

    async def way() -> Way:
        return Way(topic.endpoint)

    member = GroupMember(spec, FetchLimits(65_536, 1_048_576), way)
    joined = asyncio.Event()

    class Joined:
        async def revoked(self) -> None: ...

        def assigned(self, partitions: frozenset[int]) -> None:
            joined.set()

    try:
        await member.start()
        member.join(Joined())
        async with asyncio.timeout(30):
            await joined.wait()
        member.seek(0, 0)
        assert [message.offset for message in await member.take(0, 1, 10.0)] == [0]
        kept = member._consumer._fetcher._records
        assert len(kept) == 1
        member.pause(0)
        assert len(kept) == 0
        await asyncio.sleep(0.5)
        member.seek(0, 1)
        taken: list[int] = []
        async with asyncio.timeout(30):
            while len(taken) < 499:
                taken += [message.offset for message in await member.take(0, 1000, 2.0)]
        assert taken == list(range(1, 500))
    finally:
        await member.stop()
