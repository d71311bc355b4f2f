"""What every `Consumer` does, whatever stands behind it: run on the simulated one in virtual time, and on Apache Kafka.

Each behaviour gets a cluster with one topic of two partitions and a group that never was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from outboard.sources.kafka.consumer import (
    Consumer,
    ConsumerError,
    Earliest,
    Latest,
    NotOurs,
    OffsetOutOfRange,
    Since,
)

BOTH = frozenset({0, 1})

#: Seconds in which whatever a behaviour waits for must have happened.
_PATIENCE = 30.0


class Cluster(Protocol):
    """One topic, and one group."""

    def consumer(self) -> Consumer:
        """One more, not yet started."""

    def of_another_topic(self) -> Consumer:
        """One whose topic there is not."""

    async def write(self, partition: int, *values: bytes) -> None: ...

    async def write_in_vain(self, partition: int) -> None:
        """Take up offsets that hold nothing which a consumer may see."""

    async def forget(self, partition: int, before: int) -> None:
        """What lies before that offset is older than the retention."""

    async def give(self, offsets: Mapping[int, int]) -> None:
        """The group has these offsets, before it has members."""

    def wall(self) -> float:
        """Epoch seconds by the clock that records are stamped with."""


@dataclass
class Told:
    """A `Group` that keeps what it is told; with `before_letting_go`, it does that when it is asked to let go."""

    assignments: list[frozenset[int]] = field(default_factory=list)
    revocations: int = 0
    before_letting_go: Callable[[], Awaitable[None]] | None = None

    async def revoked(self) -> None:
        self.revocations += 1
        if self.before_letting_go is not None and self.assignments:
            await self.before_letting_go()

    def assigned(self, partitions: frozenset[int]) -> None:
        self.assignments.append(partitions)


class _Stage:
    """The consumers of one behaviour, which are stopped after it."""

    def __init__(self, cluster: Cluster, stack: AsyncExitStack) -> None:
        self.cluster = cluster
        self._stack = stack

    async def started(self, consumer: Consumer | None = None) -> Consumer:
        made = consumer or self.cluster.consumer()
        await made.start()
        self._stack.push_async_callback(made.stop)
        return made

    async def begun(self) -> None:
        """The group has offsets already."""
        await self.cluster.give(dict.fromkeys(BOTH, 0))

    async def joined(self, told: Told | None = None) -> tuple[Consumer, Told]:
        consumer, told = await self.started(), told or Told()
        await consumer.committed(await consumer.partitions())
        consumer.join(told)
        await until(lambda: bool(told.assignments))
        return consumer, told


Behaviour = Callable[[_Stage], Awaitable[None]]
BEHAVIOURS: dict[str, Behaviour] = {}


def _behaviour(body: Behaviour) -> Behaviour:
    BEHAVIOURS[body.__name__] = body
    return body


async def run(cluster: Cluster, name: str) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(4 * _PATIENCE):
        await BEHAVIOURS[name](_Stage(cluster, stack))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not holds():  # noqa: ASYNC110 - a port that is asked has nothing to wait for
            await asyncio.sleep(0.02)


async def values(consumer: Consumer, partition: int, count: int) -> Sequence[bytes | None]:
    """So many records' values, in as many turns as it takes."""
    found: list[bytes | None] = []
    async with asyncio.timeout(_PATIENCE):
        while len(found) < count:
            found += [message.value for message in await consumer.take(partition, count - len(found), 0.5)]
    return found


@_behaviour
async def a_topic_has_partitions_and_one_that_is_not_there_has_none(stage: _Stage) -> None:
    there, nowhere = await stage.started(), await stage.started(stage.cluster.of_another_topic())

    assert await there.partitions() == BOTH
    assert await nowhere.partitions() == frozenset()


@_behaviour
async def the_only_member_is_assigned_everything_and_reads_nothing_until_seek(stage: _Stage) -> None:
    await stage.begun()
    await stage.cluster.write(0, b"a")
    consumer, told = await stage.joined()

    assert told.assignments == [BOTH]
    assert await consumer.take(0, 10, 0.5) == ()
    consumer.seek(0, 0)
    assert await values(consumer, 0, 1) == [b"a"]


@_behaviour
async def records_come_in_order_from_where_seek_says_no_more_than_asked_for(stage: _Stage) -> None:
    await stage.cluster.write(0, b"a", b"b", b"c", b"d")
    consumer, _ = await stage.joined()
    consumer.seek(0, 1)

    first = []
    async with asyncio.timeout(_PATIENCE):
        while not first:
            first = list(await consumer.take(0, 2, 1.0))
    assert [(message.offset, message.value) for message in first] == [(1, b"b"), (2, b"c")]
    assert await consumer.position(0) == 3
    assert await values(consumer, 0, 1) == [b"d"]


@_behaviour
async def what_is_written_while_it_is_waited_for_comes(stage: _Stage) -> None:
    consumer, _ = await stage.joined()
    consumer.seek(1, 0)
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(consumer.take(1, 10, _PATIENCE))
        await asyncio.sleep(0.3)
        await stage.cluster.write(1, b"late")

    assert [message.value for message in taking.result()] == [b"late"]


@_behaviour
async def a_position_passes_offsets_that_hold_nothing(stage: _Stage) -> None:
    await stage.cluster.write(0, b"a")
    await stage.cluster.write_in_vain(0)
    consumer, _ = await stage.joined()
    end = (await consumer.offsets(BOTH, Latest()))[0]
    consumer.seek(0, 0)

    assert await values(consumer, 0, 1) == [b"a"]
    async with asyncio.timeout(_PATIENCE):
        while await consumer.position(0) < end:
            assert await consumer.take(0, 10, 0.2) == ()
    assert end > 1


@_behaviour
async def a_pause_forgets_what_was_fetched_and_seek_reads_it_again(stage: _Stage) -> None:
    await stage.cluster.write(0, b"a", b"b")
    consumer, _ = await stage.joined()
    consumer.seek(0, 0)
    assert await values(consumer, 0, 1) == [b"a"]
    consumer.pause(0)

    assert await consumer.take(0, 10, 0.5) == ()
    consumer.seek(0, 0)
    assert await values(consumer, 0, 2) == [b"a", b"b"]


@_behaviour
async def the_earliest_the_latest_and_the_first_offset_since_a_moment_are_known(stage: _Stage) -> None:
    await stage.cluster.write(0, b"a", b"b")
    await asyncio.sleep(0.05)
    moment = stage.cluster.wall()
    await asyncio.sleep(0.05)
    await stage.cluster.write(0, b"c")
    await stage.cluster.forget(0, 1)
    consumer = await stage.started()
    await consumer.partitions()

    assert await consumer.offsets(BOTH, Earliest()) == {0: 1, 1: 0}
    assert await consumer.offsets(BOTH, Latest()) == {0: 3, 1: 0}
    assert await consumer.offsets(BOTH, Since(moment)) == {0: 2, 1: 0}


@_behaviour
async def the_end_is_known_once_something_was_fetched(stage: _Stage) -> None:
    await stage.cluster.write(0, b"a", b"b")
    consumer, _ = await stage.joined()
    consumer.seek(0, 0)

    assert await values(consumer, 0, 1) == [b"a"]
    assert consumer.end(0) == 2
    assert abs(consumer.fetched(0) - stage.cluster.wall()) < _PATIENCE


@_behaviour
async def an_offset_that_is_gone_is_out_of_range_until_seek_says_anew(stage: _Stage) -> None:
    await stage.cluster.write(0, b"a", b"b", b"c")
    await stage.cluster.forget(0, 2)
    consumer, _ = await stage.joined()
    consumer.seek(0, 0)

    with pytest.raises(OffsetOutOfRange) as caught:
        await values(consumer, 0, 1)
    assert caught.value.offset == 0
    consumer.seek(0, 2)
    assert await values(consumer, 0, 1) == [b"c"]


@_behaviour
async def offsets_that_were_committed_are_the_groups(stage: _Stage) -> None:
    await stage.cluster.write(0, b"a", b"b")
    consumer, _ = await stage.joined()
    assert await consumer.committed(BOTH) == {}

    await consumer.commit({0: 2})

    assert await consumer.committed(BOTH) == {0: 2}
    assert await (await stage.started()).committed(BOTH) == {0: 2}


@_behaviour
async def who_is_no_member_gives_the_group_no_offsets(stage: _Stage) -> None:
    await stage.begun()
    outsider = await stage.started()
    await outsider.partitions()

    with pytest.raises(NotOurs):
        await outsider.commit({0: 7})
    with pytest.raises(NotOurs):
        await outsider.give_start({0: 7})
    assert await outsider.committed(BOTH) == {0: 0, 1: 0}


@_behaviour
async def a_member_gives_a_start_to_what_others_have_too(stage: _Stage) -> None:
    first, told = await stage.joined()
    await stage.joined()
    await until(lambda: len(told.assignments) > 1)
    await first.give_start({0: 5, 1: 6})

    assert await first.committed(BOTH) == {0: 5, 1: 6}


@_behaviour
async def a_second_member_gets_its_part_once_the_first_has_let_go(stage: _Stage) -> None:
    first, told = await stage.joined()
    joining: list[Told] = []

    async def let_go() -> None:
        await asyncio.sleep(1.0)
        assert not joining[0].assignments
        await first.commit({0: 5, 1: 6})  # the last word on what was done

    told.before_letting_go = let_go
    second, others = await stage.started(), Told()
    joining.append(others)
    await second.committed(await second.partitions())
    second.join(others)
    await until(lambda: len(told.assignments) > 1 and bool(others.assignments))

    mine, theirs = told.assignments[-1], others.assignments[-1]
    assert len(mine) == len(theirs) == 1
    assert mine | theirs == BOTH
    assert await second.committed(BOTH) == {0: 5, 1: 6}


@_behaviour
async def what_went_elsewhere_can_neither_be_committed_nor_read(stage: _Stage) -> None:
    await stage.cluster.write(0, b"a")
    await stage.cluster.write(1, b"a")
    first, told = await stage.joined()
    for partition in BOTH:
        first.seek(partition, 0)
    _, others = await stage.joined()
    await until(lambda: len(told.assignments) > 1)
    (lost,) = others.assignments[-1]

    with pytest.raises(NotOurs):
        await first.commit({lost: 1})
    with pytest.raises(ConsumerError):
        first.seek(lost, 0)
    assert await first.take(lost, 10, 0.5) == ()


@_behaviour
async def what_came_back_is_read_from_nowhere_until_seek(stage: _Stage) -> None:
    await stage.begun()
    await stage.cluster.write(0, b"a", b"b")
    await stage.cluster.write(1, b"a", b"b")
    first, told = await stage.joined()
    for partition in BOTH:
        first.seek(partition, 0)
        assert await values(first, partition, 1) == [b"a"]
    await stage.joined()
    await until(lambda: len(told.assignments) > 1)
    (kept,) = told.assignments[-1]

    assert await first.take(kept, 10, 0.5) == ()
    first.seek(kept, 1)
    assert await values(first, kept, 1) == [b"b"]


@_behaviour
async def who_stops_leaves_its_part_to_the_others_at_once(stage: _Stage) -> None:
    first, _ = await stage.joined()
    _, others = await stage.joined()
    await first.stop()

    await until(lambda: others.assignments[-1] == BOTH)
