"""Knows a Kafka topic: its partitions, their records and the gaps between these, retention; no groups, no calls, no faults."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.loop import EPOCH, START, VirtualTimeLoop


@dataclass(slots=True, eq=False)
class LogRecord:
    """One record; `written` is the loop's time. As a consumer sees it, it has what a `Message` has."""

    id: str
    partition: int
    offset: int
    written: float
    key: bytes
    value: bytes
    #: Since when nobody can read it any more.
    gone: float | None = None
    timestamp_type: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def timestamp(self) -> int:
        return int((EPOCH + self.written - START) * 1000)


@dataclass(slots=True, eq=False)
class PartitionLog:
    """One partition. Offsets from `start` up to `end` exist; those without a record are control or aborted ones."""

    number: int
    created: float
    start: int = 0
    end: int = 0
    #: All that ever were, by offset.
    records: list[LogRecord] = field(default_factory=list)
    #: Who waits for more.
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def since(self, moment: float) -> int:
        """The offset of the first record that is not older, `moment` being epoch seconds; the end if there is none."""
        for record in self.records:
            if record.offset >= self.start and record.timestamp >= int(moment * 1000):
                return record.offset
        return self.end

    def page(self, offset: int, size: int) -> tuple[list[LogRecord], int]:
        """Records from there on, one at least if there is one, and where to read on: behind the gap that may follow."""
        found: list[LogRecord] = []
        for record in self.records:
            if record.offset < offset:
                continue
            size -= len(record.value)
            if found and size < 0:
                return found, record.offset
            found.append(record)
        return found, self.end

    def wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for told in waiting:
            told()


class Topic:
    """A topic in virtual time. `gaps`: the share of records that are followed by offsets which no consumer sees."""

    def __init__(
        self, loop: VirtualTimeLoop, rng: random.Random, name: str, *, partitions: int = 1, exists: bool = True
    ) -> None:
        self.name = name
        self.gaps = 0.0
        self.logs: list[PartitionLog] = []
        self.ever: dict[str, LogRecord] = {}
        #: Who is told when there are more partitions.
        self.grown: Callable[[], None] = lambda: None
        self._loop = loop
        self._rng = rng
        self._first = partitions
        if exists:
            self.create()

    @property
    def missing(self) -> bool:
        return not self.logs

    @property
    def partitions(self) -> frozenset[int]:
        return frozenset(log.number for log in self.logs)

    def create(self) -> None:
        for _ in range(self._first):
            self._add()

    def grow(self) -> None:
        """One partition more; what is written with a key may go there from now on."""
        self._add()
        self.grown()

    def _add(self) -> None:
        self.logs.append(PartitionLog(len(self.logs), self._loop.time()))

    def write(self, identifier: str, key: str, data: bytes, at: float | None = None) -> LogRecord:
        """`at`: when it was written, if that was before the start of the world."""
        log = self.logs[sum(key.encode()) % len(self.logs)]
        return self.write_to(log, identifier, key, data, at)

    def write_to(self, log: PartitionLog, identifier: str, key: str, data: bytes, at: float | None = None) -> LogRecord:
        if self._rng.random() < self.gaps / 2:
            log.end += self._rng.randint(1, 5)  # a transaction that was aborted
        written = self._loop.time() if at is None else at
        record = LogRecord(identifier, log.number, log.end, written, key.encode(), data)
        log.end += 1
        if self._rng.random() < self.gaps:
            log.end += 1  # the mark at the end of a transaction
        log.records.append(record)
        self.ever[identifier] = record
        log.wake()
        return record

    def skip(self, number: int, count: int) -> None:
        """Offsets that hold nothing for a consumer."""
        self.logs[number].end += count
        self.logs[number].wake()

    def expire(self, number: int, start: int) -> None:
        """What lies before `start` is older than the retention."""
        log = self.logs[number]
        log.start = max(log.start, min(start, log.end))
        for record in log.records:
            if record.offset < log.start and record.gone is None:
                record.gone = self._loop.time()

    def expire_some(self) -> None:
        """As far as chance says."""
        for log in self.logs:
            self.expire(log.number, self._rng.randint(log.start, log.end))
