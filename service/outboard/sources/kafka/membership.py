"""Knows what a rebalance means for the lanes of a mapping: which end, which go on where they were, which begin."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from outboard.core.ports import Lane, Lanes
from outboard.events.kafka import ClusterFacts, envelope
from outboard.observe.mapping import MappingObserver
from outboard.sources.kafka.beginning import Beginning, FirstStart
from outboard.sources.kafka.commits import Commits
from outboard.sources.kafka.consumer import Consumer, ConsumerError, NotOurs
from outboard.sources.kafka.desk import TopicDesk
from outboard.sources.kafka.feed import PartitionFeed

#: Seconds that a rebalance waits for invokes under way: the whole group stands still meanwhile. What takes longer goes
#: on, and counts if its partition comes back.
REBALANCE_WAIT = 20.0

#: Seconds after which a group that is being divided hangs: longer than a rebalance waits for its slowest member.
_UNDECIDED = 90.0

#: Seconds for telling the group what was settled, before the partitions are given away.
_LAST_COMMIT = 5.0


@dataclass(frozen=True, slots=True)
class _Partition:
    """A partition that has a lane."""

    feed: PartitionFeed
    lane: Lane


class Membership:
    """A mapping's member of the group, from its joining to its drain: `Group` to the consumer, `Journal` to the feeds.

    No lane sends anything from the moment at which the group is divided until it is known which partitions are ours.
    """

    def __init__(
        self,
        consumer: Consumer,
        lanes: Lanes,
        tasks: asyncio.TaskGroup,
        observer: MappingObserver,
        jitter: Callable[[], float],
    ) -> None:
        self._consumer = consumer
        self._lanes = lanes
        self._tasks = tasks
        self._observer = observer
        self._commits = Commits(consumer, observer, jitter)
        self._open: dict[int, _Partition] = {}
        self._assigned: frozenset[int] | None = None  # None: the group is being divided
        self._generation = 0  # as we count: how often it was
        self._taken_up = -1  # the generation whose partitions have their lanes
        self._divided = asyncio.get_running_loop().time()
        self._broken: ConsumerError | None = None
        self._attention = asyncio.Event()
        self._given_away = asyncio.Event()  # no rebalance waits for us
        self._given_away.set()
        self._now = asyncio.get_running_loop().time

    def begin(
        self,
        desk: TopicDesk,
        facts: ClusterFacts,
        first: FirstStart,
        feed: Callable[[TopicDesk, int, int], PartitionFeed],
    ) -> None:
        """Join the group. `first`: where partitions begin if the group has no offset at all."""
        self._desk, self._facts, self._make_feed = desk, facts, feed
        self._beginning = Beginning(self._consumer, first)
        self._committing = self._tasks.create_task(self._commits.run(), name="commits")
        self._consumer.join(self)

    async def attention(self, seconds: float) -> None:
        """Returns when there is something to take up, or after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._attention.wait()
        self._attention.clear()

    def trouble(self) -> ConsumerError | None:
        """That the group does not say which partitions are ours, if it takes too long."""
        waited = self._now() - self._divided
        if self._assigned is not None or waited < _UNDECIDED:
            return None
        message = f"the group has not said for {waited:.0f} s which partitions are ours; look at its other members"
        return ConsumerError("NotAssigned", message)

    # What the consumer says

    async def revoked(self) -> None:
        self._generation += 1
        self._assigned = None
        self._divided = self._now()
        self._lanes.hold()
        self._given_away.clear()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(REBALANCE_WAIT):
                    await self._lanes.idle()
            await self._commits.last(_LAST_COMMIT)
        finally:
            self._given_away.set()

    def assigned(self, partitions: frozenset[int]) -> None:
        self._assigned = partitions
        self._attention.set()

    # What the feeds say

    def moved(self) -> None:
        self._commits.moved()

    def broken(self, error: ConsumerError) -> None:
        self._broken = error
        self._attention.set()

    # Lanes

    async def take_up(self) -> None:
        """See to it that exactly the partitions that are ours have lanes. Raises `ConsumerError`."""
        if self._broken is not None:
            raise self._broken
        assigned, generation = self._assigned, self._generation
        if assigned is None:
            return
        anew = generation != self._taken_up
        wanted = assigned if anew else assigned - self._open.keys()
        if not anew and not wanted:
            return
        try:
            positions = await self._beginning.positions(wanted, assigned, lambda: generation == self._generation)
        except NotOurs:
            return  # the library learns the same and joins anew
        if positions is None or generation != self._generation:
            return
        if anew:
            self._sort_out(assigned, positions)
        for number in sorted(wanted - self._open.keys()):
            self._open_lane(number, positions[number])
        if anew:
            self._taken_up = generation
            self._commits.go_on()
            self._lanes.go_on()
            self._observer.rebalanced(len(assigned), self._now() - self._divided)

    def _sort_out(self, assigned: frozenset[int], positions: Mapping[int, int]) -> None:
        """Lanes go on whose partition came back and was nobody else's meanwhile: what they hold is not read again. A
        commit whose answer was lost stands between the two; before them, somebody has gone back on purpose.
        """
        for number, partition in self._open.items():
            feed = partition.feed
            if number in assigned and not feed.lost and feed.committed <= positions[number] <= feed.safe:
                feed.go_on()
            else:
                feed.lose()
                partition.lane.stop()

    def _open_lane(self, number: int, offset: int) -> None:
        self._consumer.seek(number, offset)
        feed = self._make_feed(self._desk, number, offset)
        lane = self._lanes.open(str(number), feed, envelope(self._facts, self._desk.topic, number))
        self._open[number] = _Partition(feed, lane)
        self._commits.of({number: partition.feed for number, partition in self._open.items()})
        self._tasks.create_task(self._forget(number, lane), name=f"end of partition {number}")

    async def _forget(self, number: int, lane: Lane) -> None:
        """A lane that lost its partition may have kept a new one for the same partition waiting."""
        await lane.ended()
        del self._open[number]
        self._attention.set()

    # Ending

    def stop_lanes(self) -> None:
        for partition in self._open.values():
            partition.lane.stop()

    async def drain(self) -> None:
        """Let the invokes under way end, and tell the group what came of them."""
        self.stop_lanes()
        while self._open:
            await next(iter(self._open.values())).lane.ended()
            await asyncio.sleep(0)
        await self._given_away.wait()  # what a rebalance waited for is being committed
        if self._generation == self._taken_up:  # else it is not known whose the partitions are by now
            await self._commits.last(_LAST_COMMIT)
        self._committing.cancel()
