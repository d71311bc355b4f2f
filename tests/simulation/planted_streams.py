"""Knows bugs of streams worth finding: parts that break one promise each, put in the place of the real ones."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from outboard.aws.calls import JsonService
from outboard.core.ports import Checkpoints, Feed
from outboard.core.records import DropReason, Record
from outboard.core.shards import After, Position
from outboard.sources.kinesis.desk import ShardDesk
from outboard.sources.kinesis.feed import ShardFeed
from tests.simulation.deployment import Parts
from tests.simulation.fates import SHARD_END
from tests.simulation.planted_queues import Bug


class FaultyShard:
    """The real feed of a shard with the bugs that its subclasses plant; on its own it has none."""

    def __init__(self, desk: ShardDesk, shard: str, position: Position) -> None:
        self.desk = desk
        self.shard = shard
        self.real: Feed = ShardFeed(desk, shard, position)

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


class SavesBeforeDelivery(FaultyShard):
    """The position is that of what was read: what the function fails before a crash is skipped after it."""

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        records = await self.real.read(limit, until)
        if records:
            self.desk.journal.at(self.shard, After(str(records[-1].identifier)))
        return records


class SkipsWhatLooksOld(FaultyShard):
    """Takes records for known whose sequence numbers are not above the last one's, as text."""

    _last = ""

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        records = await self.real.read(limit, until)
        if not records:
            return records
        old = [record for record in records if str(record.identifier) <= self._last]
        new = [record for record in records if str(record.identifier) > self._last]
        self._last = max(self._last, *(str(record.identifier) for record in records))
        if old:
            await self.real.settle(old, ())
        return new


class FaultyCheckpoints:
    """The real checkpoints, except that a position is kept as `kept` says of the old text and the new; None: not at all."""

    def __init__(self, kept: Callable[[str, str], str | None], real: Checkpoints) -> None:
        self._kept = kept
        self._real = real
        self._positions: dict[tuple[str, str, str], str] = {}

    async def load(self, mapping: str, stream: str) -> Mapping[str, str]:
        return await self._real.load(mapping, stream)

    def save(self, mapping: str, stream: str, positions: Mapping[str, str]) -> None:
        given = {}
        for shard, position in positions.items():
            kept = self._kept(self._positions.get((mapping, stream, shard), ""), position)
            if kept is not None:
                given[shard] = self._positions[mapping, stream, shard] = kept
        if given:
            self._real.save(mapping, stream, given)

    def is_saved(self, mapping: str, stream: str) -> bool:
        return self._real.is_saved(mapping, stream)

    async def saved(self) -> None:
        await self._real.saved()


class Hasty(FaultyCheckpoints):
    """Says that everything is durable."""

    def __init__(self, real: Checkpoints) -> None:
        super().__init__(lambda _old, new: new, real)

    def is_saved(self, mapping: str, stream: str) -> bool:
        return True

    async def saved(self) -> None:
        """It is not waited for."""


def _higher_as_text(old: str, new: str) -> str:
    return max(old, new) if old.isdigit() and new.isdigit() else new


def _no_shard_end(_old: str, new: str) -> str | None:
    return None if new == SHARD_END else new


def _no_moment(_old: str, new: str) -> str | None:
    return None if new.startswith("AT_TIMESTAMP") else new


class Orphaned:
    """A Kinesis whose shards have no parents."""

    def __init__(self, real: JsonService) -> None:
        self._real = real

    async def call(self, operation: str, body: Mapping[str, object], *, timeout: float = 10.0) -> dict[str, Any]:
        answer = await self._real.call(operation, body, timeout=timeout)
        for shard in answer.get("Shards", ()):
            shard.pop("ParentShardId", None)
            shard.pop("AdjacentParentShardId", None)
        return answer


def _checkpoints(kept: Callable[[str, str], str | None]) -> Parts:
    return Parts(checkpoints=functools.partial(FaultyCheckpoints, kept))


STREAM_BUGS: Mapping[str, Bug] = {
    "checkpoint before deliver": Bug(Parts(shard_feed=SavesBeforeDelivery), "ahead of what was done"),
    "child before parent": Bug(Parts(kinesis=Orphaned), "of its key in a parent of"),
    "sequence numbers compared as text": Bug(Parts(shard_feed=SkipsWhatLooksOld), "was lost"),
    "positions compared as text": Bug(_checkpoints(_higher_as_text), "again, done before"),
    "lost SHARD_END": Bug(_checkpoints(_no_shard_end), "had not stored the end of"),
    "a start that is not waited for": Bug(Parts(checkpoints=Hasty), "had not stored where"),
    "LATEST start not stored": Bug(_checkpoints(_no_moment), "was lost"),
}
