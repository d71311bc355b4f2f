"""The simulated consumer does what every consumer does, and its group what Kafka's do where members die or hang."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from outboard.sources.kafka.consumer import Consumer, ConsumerError, NotOurs
from tests import consumer_suite
from tests.consumer_suite import BEHAVIOURS, BOTH, Told, until
from tests.simulation.group import Coordinator
from tests.simulation.history import Caller, History
from tests.simulation.kafka import SimulatedConsumer
from tests.simulation.loop import Process, VirtualTimeLoop, run
from tests.simulation.network import Faults, Network
from tests.simulation.topic import Topic


class SimulatedCluster:
    """The suite's `Cluster` in virtual time."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.loop = loop
        self.history = History()
        self.topic = Topic(loop, random.Random(1), "t", partitions=2)
        self.group = Coordinator(loop, random.Random(2), self.topic, self.history)
        self.processes: list[Process] = []
        self.faults: list[Faults] = []

    def consumer(self) -> SimulatedConsumer:
        return self._of(self.topic, self.group)

    def of_another_topic(self) -> Consumer:
        other = Topic(self.loop, random.Random(3), "nowhere", exists=False)
        return self._of(other, Coordinator(self.loop, random.Random(4), other, self.history))

    def _of(self, topic: Topic, group: Coordinator) -> SimulatedConsumer:
        number = len(self.processes)
        self.processes.append(Process(f"p{number}"))
        self.faults.append(Faults())
        network = Network(self.loop, random.Random(number), self.faults[-1], self.history)
        return SimulatedConsumer(topic, group, Caller(self.processes[-1], "t"), network)

    async def write(self, partition: int, *values: bytes) -> None:
        for value in values:
            self.topic.write_to(self.topic.logs[partition], f"{partition}-{len(self.topic.ever)}", "k", value)

    async def write_in_vain(self, partition: int) -> None:
        self.topic.skip(partition, 3)

    async def forget(self, partition: int, before: int) -> None:
        self.topic.expire(partition, before)

    async def give(self, offsets: Mapping[int, int]) -> None:
        self.group.offsets.update(offsets)

    def wall(self) -> float:
        return self.loop.wall_clock()

    async def joined(self) -> tuple[SimulatedConsumer, Told]:
        consumer, told = self.consumer(), Told()
        await consumer.start()
        consumer.join(told)
        await until(lambda: bool(told.assignments))
        return consumer, told


def with_cluster(body: Callable[[SimulatedCluster], Awaitable[Any]]) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        await body(SimulatedCluster(loop))

    run(main)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_the_simulated_consumer_does_what_every_consumer_does(name: str) -> None:
    with_cluster(lambda cluster: consumer_suite.run(cluster, name))


def test_a_member_that_dies_is_taken_for_dead_after_its_session() -> None:
    async def body(cluster: SimulatedCluster) -> None:
        mortal, told = cluster.consumer(), Told()
        process = cluster.processes[-1]

        async def live() -> None:
            await mortal.start()
            mortal.join(told)
            await asyncio.sleep(3600)

        cluster.loop.spawn(process, live(), "mortal")
        await until(lambda: bool(told.assignments))
        _, others = await cluster.joined()
        assert len(others.assignments[-1]) == 1
        cluster.loop.kill(process)
        died = cluster.loop.time()

        await until(lambda: others.assignments[-1] == BOTH)
        assert 6.0 < cluster.loop.time() - died < 14.0

    with_cluster(body)


def test_a_member_that_does_not_come_back_in_time_is_out_and_can_commit_nothing() -> None:
    async def body(cluster: SimulatedCluster) -> None:
        slow, told = await cluster.joined()

        async def dawdle() -> None:
            await asyncio.sleep(70.0)
            with pytest.raises(NotOurs):
                await slow.commit({0: 1})

        told.before_letting_go = dawdle
        began = cluster.loop.time()
        other, others = cluster.consumer(), Told()
        await other.start()
        other.join(others)
        await asyncio.sleep(66.0)
        assert others.assignments == [BOTH]
        await other.commit({0: 3, 1: 3})

        await until(lambda: len(told.assignments) > 1)
        assert cluster.loop.time() - began > 70.0
        assert cluster.group.offsets == {0: 3, 1: 3}

    with_cluster(body)


def test_who_is_cut_off_learns_of_its_loss_when_it_can_be_reached_again() -> None:
    async def body(cluster: SimulatedCluster) -> None:
        consumer, told = await cluster.joined()
        cluster.faults[0].always = "silent"
        await asyncio.sleep(20.0)
        assert cluster.group.empty
        assert told.revocations == 1
        with pytest.raises(ConsumerError) as caught:
            await consumer.commit({0: 1})
        assert caught.value.error_type == "KafkaTimeout"

        cluster.faults[0].always = ""
        await until(lambda: len(told.assignments) > 1)
        assert told.revocations == 2

    with_cluster(body)


def test_a_commit_whose_answer_is_lost_took_effect_and_is_made_again() -> None:
    async def body(cluster: SimulatedCluster) -> None:
        consumer, _ = await cluster.joined()
        cluster.faults[0].always = "lost"
        async with asyncio.TaskGroup() as group:
            committing = group.create_task(consumer.commit({0: 4}))
            await asyncio.sleep(0.2)
            assert cluster.group.offsets == {0: 4}
            assert not committing.done()
            cluster.faults[0].always = ""

    with_cluster(body)


def test_a_partition_more_divides_the_group_anew() -> None:
    async def body(cluster: SimulatedCluster) -> None:
        _, told = await cluster.joined()
        cluster.topic.grow()

        await until(lambda: told.assignments[-1] == frozenset({0, 1, 2}))

    with_cluster(body)


def test_a_commit_is_never_taken_for_an_outsiders_once_the_member_was_forgotten() -> None:
    """Kafka would take it, if the group has no members any more, and undo what another member had committed."""

    async def body(cluster: SimulatedCluster) -> None:
        consumer, told = await cluster.joined()
        told.before_letting_go = lambda: asyncio.sleep(15.0)
        cluster.faults[0].always = "silent"
        await asyncio.sleep(20.0)
        cluster.faults[0].always = ""
        await until(lambda: told.revocations == 2)

        with pytest.raises(NotOurs):
            await consumer.commit({0: 1})
        assert cluster.group.offsets == {}

    with_cluster(body)
