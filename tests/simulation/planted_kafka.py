"""Knows bugs of topics worth finding: parts that break one promise each, put in the place of the real ones."""

from collections.abc import Mapping, Sequence

from outboard.core.records import DropReason, Record
from outboard.sources.kafka.consumer import Consumer
from outboard.sources.kafka.desk import TopicDesk
from outboard.sources.kafka.feed import PartitionFeed
from tests.simulation.deployment import Parts
from tests.simulation.kafka import SimulatedConsumer
from tests.simulation.planted_queues import Bug


class FaultyPartition:
    """The real feed of a partition with the bugs that its subclasses plant; on its own it has none."""

    def __init__(self, desk: TopicDesk, partition: int, offset: int) -> None:
        self.desk = desk
        self.partition = partition
        self.real = PartitionFeed(desk, partition, offset)

    @property
    def safe(self) -> int:
        return self.real.safe

    @property
    def committed(self) -> int:
        return self.real.committed

    def was_committed(self, offset: int) -> None:
        self.real.was_committed(offset)

    @property
    def lost(self) -> bool:
        return self.real.lost

    def lose(self) -> None:
        self.real.lose()

    def go_on(self) -> None:
        self.real.go_on()

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        return await self.real.read(limit, until)

    async def settle(self, delivered: Sequence[Record], returned: Sequence[Record]) -> None:
        await self.real.settle(delivered, returned)

    def lapsed(self, records: Sequence[Record]) -> Sequence[Record]:
        return self.real.lapsed(records)

    async def give_up(self, records: Sequence[Record], reason: DropReason) -> None:
        await self.real.give_up(records, reason)

    async def release(self, records: Sequence[Record]) -> None:
        await self.real.release(records)

    def blocked(self, records: Sequence[Record]) -> None:
        self.real.blocked(records)

    def stop(self) -> None:
        self.real.stop()


def _behind(records: Sequence[Record]) -> int:
    return max((record.identifier[1] + 1 for record in records), default=0)  # type: ignore[operator, misc]


class CommitsBeforeDelivery(FaultyPartition):
    """What was read is committed: what the function fails before a crash is skipped after it."""

    _read_to = 0

    @property
    def safe(self) -> int:
        return max(self.real.safe, self._read_to)

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        records = await self.real.read(limit, until)
        if records:
            self._read_to = _behind(records)
            self.desk.journal.moved()
        return records


class CommitsPastFailures(FaultyPartition):
    """Behind the last record that was done, whatever became of those before it."""

    _done_to = 0

    @property
    def safe(self) -> int:
        return max(self.real.safe, self._done_to)

    async def settle(self, delivered: Sequence[Record], returned: Sequence[Record]) -> None:
        self._done_to = max(self._done_to, _behind(delivered))
        await self.real.settle(delivered, returned)
        self.desk.journal.moved()


class RestartsFromCommitted(FaultyPartition):
    """A partition that comes back is read from the group's offset, beside what its lane still holds."""

    def go_on(self) -> None:
        self.real.go_on()
        self.desk.consumer.seek(self.partition, self.real.committed)


def _unfenced(real: SimulatedConsumer) -> Consumer:
    """The group takes its commits although it has been divided without it."""
    real.fenced = False
    return real


KAFKA_BUGS: Mapping[str, Bug] = {
    "commit before deliver": Bug(Parts(partition_feed=CommitsBeforeDelivery), "past what was not settled"),
    "commit past a failed record": Bug(Parts(partition_feed=CommitsPastFailures), "past what was not settled"),
    "a batch twice after a rebalance": Bug(Parts(partition_feed=RestartsFromCommitted), "again, which"),
    "a commit without a fence": Bug(Parts(consumer=_unfenced), "back from"),
}
