"""When the group is divided anew, lanes end, go on where they were or begin, and nothing is sent while it is not known
whose the partitions are.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest

from outboard.core.batcher import BatchLimits
from outboard.core.delivery import OnFailure, Policy
from outboard.core.outcome import Outcome
from outboard.core.ports import Lanes
from outboard.core.records import Record
from outboard.events.kafka import ClusterFacts
from outboard.runtime.mapping import OpenLanes
from outboard.sources.kafka.beginning import FirstStart
from outboard.sources.kafka.consumer import ConsumerError, Earliest, Latest, Start
from outboard.sources.kafka.feed import PartitionFeed
from outboard.sources.kafka.membership import Membership
from tests.unit.runtime.stage import ScriptedFunction, work_of
from tests.unit.sources.kafka.fake import (
    BROKERS,
    DENIED,
    FakeLane,
    FakeLanes,
    Scene,
    elapsed,
    fatal,
    offsets,
    ready,
)
from tests.unit.virtual import virtual

EARLIEST = Earliest()


class Party:
    """A member of the group of a topic of three partitions, and the lanes that it opens."""

    def __init__(self, lanes: Lanes | None = None, partitions: int = 3) -> None:
        self.scene = Scene(partitions=partitions)
        self.topic = self.scene.topic
        self.topic.group = dict.fromkeys(self.topic.logs, 0)
        self.consumer = self.scene.consumer
        self.consumer.on_join = lambda _: None
        self.fakes = FakeLanes()
        self.lanes = lanes or self.fakes

    @asynccontextmanager
    async def joined(self, *partitions: int, start: Start = EARLIEST) -> AsyncIterator[Membership]:
        scene = self.scene
        async with asyncio.TaskGroup() as tasks:
            self.tasks = tasks
            self.member = member = Membership(self.consumer, self.lanes, tasks, scene.stage.observer, lambda: 0.0)
            desk = replace(scene.desk, journal=member)
            member.begin(desk, ClusterFacts(None, BROKERS), FirstStart(start), PartitionFeed)
            self.lanes.hold()
            if partitions:
                await self.assign(*partitions)
            yield member
            for lane in self.fakes.opened:
                lane.end()
            await member.drain()

    async def assign(self, *partitions: int) -> None:
        self.assign_only(*partitions)
        await self.member.take_up()
        await ready()

    def assign_only(self, *partitions: int) -> None:
        """As the consumer does: all are paused."""
        self.consumer.positions.clear()
        self.consumer.assigned = frozenset(partitions)
        self.member.assigned(frozenset(partitions))

    async def divide(self, *partitions: int) -> None:
        await self.member.revoked()
        await self.assign(*partitions)

    def lane(self, number: int) -> FakeLane:
        """The newest of a partition."""
        return next(lane for lane in reversed(self.fakes.opened) if lane.name == str(number))

    def feed(self, number: int) -> PartitionFeed:
        feed = self.lane(number).feed
        assert isinstance(feed, PartitionFeed)
        return feed

    async def read(self, number: int, limit: int) -> Sequence[Record]:
        records = await self.feed(number).read(limit, None)
        assert records
        return records

    async def settle(self, number: int, count: int) -> None:
        await self.feed(number).settle(await self.read(number, count), ())


# Beginning


@virtual
async def test_each_assigned_partition_has_a_lane_that_reads_where_the_group_is() -> None:
    party = Party()
    party.topic.group = {0: 3, 1: 5, 2: 7}
    async with party.joined(0, 2):
        assert party.fakes.names == ["0", "2"]
        assert party.consumer.seeks == [(0, 3), (2, 7)]
        assert not party.fakes.held
        assert party.scene.stage.value("partitions_owned") == 2
        assert party.scene.stage.value("rebalances_total") == 1
        envelope = party.lane(2).envelope
        assert envelope is not None
        assert orjson.loads(envelope.payload([])) == {
            "eventSource": "SelfManagedKafka",
            "bootstrapServers": BROKERS,
            "records": {"trades-2": []},
        }


@pytest.mark.parametrize(("group", "begins"), [({}, 2), ({1: 1}, 0)])
@virtual
async def test_a_partition_without_an_offset_begins_at_the_start_unless_others_have_one(
    group: dict[int, int], begins: int
) -> None:
    """Beside others that have one it was added later, and all of it is new."""
    party = Party()
    party.topic.put(0, "a", "b")
    party.topic.group = group
    async with party.joined(0, start=Latest()):
        assert party.consumer.seeks == [(0, begins)]


@virtual
async def test_nothing_is_taken_up_before_anything_is_assigned() -> None:
    party = Party()
    async with party.joined():
        await party.member.take_up()
        assert party.fakes.opened == []
        assert party.fakes.held


@virtual
async def test_what_is_taken_up_already_is_not_taken_up_again() -> None:
    party = Party()
    async with party.joined(0):
        asked = len(party.consumer.calls)
        await party.member.take_up()
        assert (party.fakes.names, len(party.consumer.calls)) == (["0"], asked)


# Divided anew


@virtual
async def test_a_lane_whose_partition_came_back_goes_on_where_it_had_read() -> None:
    party = Party()
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0):
        await party.settle(0, 2)
        await party.divide(0, 1)

        assert party.fakes.names == ["0", "1"]
        assert not party.feed(0).lost
        assert party.consumer.seeks == [(0, 0), (0, 8), (1, 0)]
        assert offsets(await party.read(0, 10)) == [2, 3, 4, 5, 6, 7]
        assert party.scene.stage.value("rebalances_total") == 2
        assert party.scene.stage.value("partitions_owned") == 2


@virtual
async def test_what_was_settled_is_committed_before_the_partitions_go() -> None:
    party = Party()
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0):
        await party.settle(0, 2)
        await party.member.revoked()
        assert party.topic.commits == [(0.0, {0: 2})]


@virtual
async def test_a_lane_whose_partition_went_elsewhere_ends() -> None:
    party = Party()
    async with party.joined(0, 1):
        await party.divide(1)

        assert (party.lane(0).stopped, party.feed(0).lost) == (True, True)
        assert (party.lane(1).stopped, party.feed(1).lost) == (False, False)
        assert not party.fakes.held
        assert party.scene.stage.value("partitions_owned") == 1


@virtual
async def test_what_a_function_says_after_its_partition_went_elsewhere_is_discarded() -> None:
    party = Party()
    party.fakes.lingering = True
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0, 1):
        batch, feed = await party.read(0, 3), party.feed(0)
        await party.divide(1)
        await feed.settle(batch, ())
        await asyncio.sleep(1)

        assert party.scene.stage.value("discarded_events_total") == 3
        assert party.topic.commits == []


@virtual
async def test_what_a_function_says_after_its_partition_came_back_counts() -> None:
    party = Party()
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0):
        batch = await party.read(0, 3)
        await party.divide(0)
        await party.feed(0).settle(batch, ())
        await asyncio.sleep(1)

        assert party.topic.group[0] == 3


@virtual
async def test_a_partition_that_another_one_had_begins_anew_after_its_old_lane_has_ended() -> None:
    party = Party()
    party.fakes.lingering = True
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0, 1):
        old, batch = party.lane(0), await party.read(0, 3)
        await party.divide(1)
        party.topic.group[0] = 5  # somebody else's work
        await party.divide(0, 1)
        await party.member.take_up()
        assert party.fakes.names == ["0", "1"], "two lanes of one partition would overtake each other"
        assert old.stopped

        await party.feed(0).settle(batch, ())
        old.end()
        await ready()
        await party.member.attention(10)
        assert elapsed() == 0, "the end of the old one calls for attention"
        await party.member.take_up()

        assert party.fakes.names == ["0", "1", "0"]
        assert party.consumer.seeks[-1] == (0, 5)
        assert offsets(await party.read(0, 10)) == [5, 6, 7]
        assert party.scene.stage.value("discarded_events_total") == 3


@virtual
async def test_a_lane_whose_partition_somebody_has_read_on_meanwhile_begins_anew() -> None:
    """We were thought dead: between `revoked` and `assigned` there was a generation without us."""
    party = Party()
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0):
        await party.settle(0, 2)
        await party.member.revoked()
        party.topic.group[0] = 6
        await party.assign(0)
        old = party.fakes.opened[0]
        await party.member.take_up()

        assert old.stopped
        assert party.fakes.names == ["0", "0"]
        assert party.consumer.seeks[-1] == (0, 6)


@virtual
async def test_a_commit_of_ours_that_was_made_without_our_knowing_loses_no_lane() -> None:
    party = Party()
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0):
        await party.settle(0, 4)
        party.consumer.errors["commit"] = [DENIED]
        await party.member.revoked()
        party.topic.group[0] = 4  # the answer was lost, not the commit
        await party.assign(0)

        assert (party.fakes.names, party.lane(0).stopped) == (["0"], False)


# Not while it is not known


@virtual
async def test_a_rebalance_waits_for_the_invokes_under_way() -> None:
    party = Party()
    async with party.joined(0):
        party.fakes.begin()
        asyncio.get_running_loop().call_later(7.0, party.fakes.finish)
        await party.member.revoked()

        assert elapsed() == 7.0
        assert party.fakes.held


@virtual
async def test_a_rebalance_waits_twenty_seconds_at_most() -> None:
    party = Party()
    async with party.joined(0):
        party.fakes.begin()
        await party.member.revoked()

        assert elapsed() == 20.0


@virtual
async def test_nothing_is_committed_between_the_two() -> None:
    party = Party()
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0):
        batch = await party.read(0, 3)
        await party.member.revoked()
        await party.feed(0).settle(batch, ())  # an invoke that took too long
        await asyncio.sleep(30)
        assert party.topic.commits == []

        await party.assign(0)
        await asyncio.sleep(1)
        assert party.topic.group[0] == 3


@virtual
async def test_a_group_that_is_divided_again_during_a_take_up_is_taken_up_as_it_is_then() -> None:
    party = Party()
    async with party.joined(0, 1):
        await party.member.revoked()
        party.consumer.seconds["committed"] = 2.0
        party.assign_only(0, 1, 2)
        taking = party.tasks.create_task(party.member.take_up(), name="take up")
        await asyncio.sleep(1)
        await party.member.revoked()
        await taking
        assert party.fakes.names == ["0", "1"]
        assert party.fakes.held, "it is not known whose they are"

        await party.assign(1)
        assert (party.feed(0).lost, party.feed(1).lost) == (True, False)
        assert party.fakes.names == ["0", "1"]
        assert not party.fakes.held


@virtual
async def test_a_take_up_that_fails_leaves_all_held_and_is_made_again() -> None:
    party = Party()
    async with party.joined(0):
        await party.member.revoked()
        party.consumer.errors["committed"] = [DENIED]
        party.assign_only(0, 1)
        with pytest.raises(ConsumerError):
            await party.member.take_up()
        assert party.fakes.held
        assert party.fakes.names == ["0"]

        await party.member.take_up()
        assert party.fakes.names == ["0", "1"]
        assert not party.fakes.held


class Function(ScriptedFunction):
    """Notes when each invoke began, of which partition."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(seconds=seconds)
        self.batches: list[tuple[float, str, int]] = []

    async def invoke(self, payload: bytes, trace: str | None) -> Outcome:
        ((place, events),) = orjson.loads(payload)["records"].items()
        self.batches.append((elapsed(), place, events[0]["offset"]))
        return await super().invoke(payload, trace)


@virtual
async def test_no_invoke_begins_between_the_revocation_and_the_take_up() -> None:
    """With real lanes and a real gate: one invoke at a time, so that a lane waits for its turn all the while."""
    party, function = Party(partitions=2), Function(seconds=3.0)
    for partition in (0, 1):
        party.topic.put(partition, *"abcdefgh")
    work = work_of(
        party.scene.stage,
        function,
        limits=BatchLimits(1),
        policy=Policy(OnFailure.RETRY_FROM_LOWEST),
        concurrency=1,
    )
    async with asyncio.TaskGroup() as group:
        party.lanes = OpenLanes(group, work, "trades", lambda: False)
        async with party.joined(0, 1):
            await asyncio.sleep(7)
            await party.member.revoked()
            revoked, settled = elapsed(), len(function.batches)
            await asyncio.sleep(10)
            party.assign_only(0)
            await asyncio.sleep(10)
            assert len(function.batches) == settled
            assert sum(party.topic.group.values()) == settled
            await party.member.take_up()
            taken_up = elapsed()
            await asyncio.sleep(4)
            later = function.batches[settled:]
            party.member.stop_lanes()

    assert (revoked, taken_up) == (9.0, 29.0)
    assert {place for _, place, _ in later} == {"trades-0"}
    assert min(at for at, *_ in later) == 29.0
    each = [(place, offset) for _, place, offset in function.batches]
    assert len(each) == len(set(each)), "nothing was sent twice"


# Ending


@virtual
async def test_a_drain_lets_invokes_end_and_commits_what_came_of_them() -> None:
    party = Party()
    party.fakes.lingering = True
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0, 1):
        batch = await party.read(0, 3)
        draining = party.tasks.create_task(party.member.drain(), name="drain")
        await asyncio.sleep(4)
        assert (draining.done(), party.lane(0).stopped) == (False, True)
        await party.feed(0).settle(batch, ())
        party.lane(0).end()
        party.lane(1).end()
        await draining

        assert party.topic.group[0] == 3
        assert elapsed() == 4.0


@virtual
async def test_a_drain_while_the_group_is_divided_commits_nothing() -> None:
    party = Party()
    party.fakes.lingering = True
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0):
        batch = await party.read(0, 3)
        await party.member.revoked()
        draining = party.tasks.create_task(party.member.drain(), name="drain")
        await ready()
        await party.feed(0).settle(batch, ())
        party.lane(0).end()
        await draining

        assert party.topic.commits == []


@virtual
async def test_a_group_that_is_divided_during_a_drain_is_told_nothing_of_what_went_elsewhere() -> None:
    party = Party()
    party.fakes.lingering = True
    party.topic.put(0, *"abcdefgh")
    party.topic.put(1, *"abcdefgh")
    async with party.joined(0, 1):
        first, second = await party.read(0, 3), await party.read(1, 2)
        draining = party.tasks.create_task(party.member.drain(), name="drain")
        await ready()
        await party.member.revoked()
        party.assign_only(1)  # nobody takes it up any more
        party.topic.group[0] = 6  # somebody else's work
        await party.feed(0).settle(first, ())
        await party.feed(1).settle(second, ())
        for lane in party.fakes.opened:
            lane.end()
        await draining

        assert party.topic.group.get(0) == 6
        assert all(0 not in made for _, made in party.topic.commits)


@virtual
async def test_a_drain_waits_for_what_a_rebalance_still_commits() -> None:
    party = Party()
    party.fakes.lingering = True
    party.topic.put(0, *"abcdefgh")
    async with party.joined(0):
        party.consumer.seconds["commit"] = 1.0
        await party.settle(0, 3)
        dividing = party.tasks.create_task(party.member.revoked(), name="rebalance")
        await ready()
        party.lane(0).end()
        await party.member.drain()

        assert dividing.done()
        assert party.topic.group[0] == 3


@virtual
async def test_a_consumer_that_is_of_no_more_use_calls_for_attention() -> None:
    party, error = Party(), fatal()
    async with party.joined(0):
        party.member.broken(error)
        await party.member.attention(10)
        assert elapsed() == 0
        with pytest.raises(ConsumerError) as raised:
            await party.member.take_up()
        assert raised.value is error
