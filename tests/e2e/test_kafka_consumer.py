"""The consumer that reads from Apache Kafka does what every consumer does."""

import time
import uuid
from collections.abc import Mapping

import pytest

from outboard.sources.kafka.consumer import Consumer, ConsumerSpec, FetchLimits
from outboard.sources.kafka.member import GroupMember, Way
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
