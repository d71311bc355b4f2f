"""Knows how partitions are read: what is fetched before it is taken, long fetches, offsets that are gone."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from outboard.aws.calls import CallFailed
from outboard.sources.kafka.consumer import ConsumerError, OffsetOutOfRange
from tests.simulation.history import Taken
from tests.simulation.kafka_questions import AGAIN, Complaint, Questions
from tests.simulation.network import Answer
from tests.simulation.topic import LogRecord, PartitionLog, Topic

#: Seconds for which a broker lets a fetch wait for records.
_LONG = 5.0
#: Records that are fetched ahead.
_AHEAD = 200


@dataclass(frozen=True, slots=True)
class _Page:
    records: Sequence[LogRecord]
    next: int
    end: int


@dataclass(frozen=True, slots=True)
class _OutOfRange:
    offset: int


@dataclass(slots=True, eq=False)
class _Reading:
    """A partition that is read: what was fetched and not taken."""

    fetch_from: int
    position: int
    fetched: deque[LogRecord] = field(default_factory=deque)
    error: ConsumerError | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Readings:
    """The partitions of one consumer that are read. `start_task` starts what fetches them."""

    def __init__(
        self,
        topic: Topic,
        questions: Questions,
        page_bytes: int,
        start_task: Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"],
    ) -> None:
        self.ends: dict[int, int] = {}
        #: When a fetch was answered last, epoch seconds.
        self.answered: dict[int, float] = {}
        self._topic = topic
        self._questions = questions
        self._page_bytes = page_bytes
        self._start_task = start_task
        self._loop = questions.network.loop
        self._readings: dict[int, _Reading] = {}

    def begin(self, partition: int, offset: int) -> None:
        self.end(partition)
        reading = self._readings[partition] = _Reading(offset, offset)
        reading.task = self._start_task(self._fetch(partition, reading), f"fetches of {partition}")

    def end(self, partition: int) -> None:
        reading = self._readings.pop(partition, None)
        if reading is not None and reading.task is not None:
            reading.task.cancel()

    def end_all(self) -> None:
        for partition in list(self._readings):
            self.end(partition)

    def position(self, partition: int) -> int | None:
        reading = self._readings.get(partition)
        return None if reading is None else reading.position

    def take(self, partition: int, limit: int) -> Sequence[LogRecord] | None:
        """What is there; None: nothing. Raises `ConsumerError`."""
        reading = self._readings.get(partition)
        if reading is None or not (reading.fetched or reading.error):
            return None
        fetched = reading.fetched
        if not fetched and reading.error is not None:
            self.end(partition)
            raise reading.error
        records = [fetched.popleft() for _ in range(min(limit, len(fetched)))]
        reading.position = records[-1].offset + 1 if fetched else reading.fetch_from
        reading.changed.set()
        self._questions.network.history.taken.append(Taken(self._questions.caller, partition, len(records)))
        return records

    async def change(self, partition: int) -> None:
        """Wait for something to come; for ever with a partition that is not read."""
        reading = self._readings.get(partition)
        if reading is None:
            await asyncio.Event().wait()
            return
        reading.changed.clear()
        await reading.changed.wait()

    async def _fetch(self, partition: int, reading: _Reading) -> None:
        while reading.error is None:
            if len(reading.fetched) >= _AHEAD:
                reading.changed.clear()
                await reading.changed.wait()
                continue
            try:
                reply = await self._questions.call(
                    "Fetch", 2 * _LONG, lambda _call, answer: self._serve(partition, reading, answer)
                )
            except CallFailed:
                await asyncio.sleep(AGAIN)
                continue
            self._arrived(partition, reading, reply)

    def _arrived(self, partition: int, reading: _Reading, reply: "_Page | Complaint | _OutOfRange") -> None:
        match reply:
            case _Page():
                self._questions.trouble = None
                self.answered[partition] = self._loop.wall_clock()
                self.ends[partition] = reply.end
                reading.fetched.extend(reply.records)
                reading.fetch_from = reply.next
                if not reading.fetched:
                    reading.position = reply.next
            case Complaint():
                reading.error = ConsumerError(reply.code, reply.message)
            case _OutOfRange():
                reading.error = OffsetOutOfRange(partition, reply.offset)
        reading.changed.set()

    def _serve(self, partition: int, reading: _Reading, answer: Answer) -> None:
        log, offset, rest = self._topic.logs[partition], reading.fetch_from, [answer]

        def tell() -> None:
            if rest:
                rest.pop()(_page(log, offset, self._page_bytes))

        if offset == log.end:
            log.waiting.append(tell)
            self._loop.call_later(_LONG, tell, context=self._questions.network.outside)
        else:
            tell()


def _page(log: PartitionLog, offset: int, size: int) -> _Page | _OutOfRange:
    if not log.start <= offset <= log.end:
        return _OutOfRange(offset)
    records, behind = log.page(offset, size)
    return _Page(records, behind, log.end)
