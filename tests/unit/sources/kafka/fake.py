"""A topic in memory on the loop's clock, behind the consumer's interface, and what its feeds and lanes work with."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from outboard.core.ports import Feed
from outboard.core.price import Price
from outboard.core.records import Envelope, Record
from outboard.runtime.budget import ByteBudget, Share
from outboard.sources.holdings import Holdings
from outboard.sources.kafka.consumer import (
    ConsumerError,
    Earliest,
    FetchLimits,
    Group,
    Latest,
    OffsetOutOfRange,
    Since,
    Start,
)
from outboard.sources.kafka.desk import TopicDesk
from outboard.sources.kafka.feed import PartitionFeed
from tests.unit.observe.stage import START, TRADES, Stage

TOPIC = "trades"
BROKERS = "b1:9092,b2:9092"
MIB = 1024 * 1024

DENIED = ConsumerError("TopicAuthorizationFailedError", "not authorized")
GONE = ConsumerError("NodeNotReadyError", "no broker answers")


def fatal() -> ConsumerError:
    return ConsumerError("ConsumerStoppedError", "the library gave up", fatal=True)


def elapsed() -> float:
    """Seconds since the start of the test."""
    return round(asyncio.get_running_loop().time() - 1000.0, 3)


async def ready() -> None:
    """Let everything that is ready run; no time passes."""
    for _ in range(20):
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class FakeMessage:
    offset: int
    value: bytes | None
    timestamp: int | None = int(START * 1000)
    timestamp_type: int | None = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


class FakeLog:
    """One partition: offsets from `first` up to `end`, not all of which are records."""

    def __init__(self) -> None:
        self.first = 0
        self.end = 0
        self.messages: list[FakeMessage] = []


class FakeTopic:
    """What outlives its consumers: the logs, and the group's offsets."""

    def __init__(self, partitions: int = 1) -> None:
        self.logs = {number: FakeLog() for number in range(partitions)}
        self.group: dict[int, int] = {}
        self.commits: list[tuple[float, dict[int, int]]] = []
        self.arrived = asyncio.Event()

    def put(self, partition: int, *values: str | bytes, at: float = START) -> None:
        log = self.logs[partition]
        for value in values:
            data = value.encode() if isinstance(value, str) else value
            log.messages.append(FakeMessage(log.end, data, int(at * 1000)))
            log.end += 1
        self.arrived.set()
        self.arrived = asyncio.Event()

    def skip(self, partition: int, count: int = 1) -> None:
        """Offsets that are no records: aborted ones, the end of a transaction."""
        self.logs[partition].end += count

    def expire(self, partition: int, first: int) -> None:
        """The broker has nothing before `first` any more."""
        log = self.logs[partition]
        log.first, log.end = first, max(first, log.end)
        log.messages = [message for message in log.messages if message.offset >= first]

    def truncate(self, partition: int, end: int) -> None:
        """The log was cut off at its end."""
        log = self.logs[partition]
        log.end = end
        log.messages = [message for message in log.messages if message.offset < end]


class FakeConsumer:
    """A member of the group. `errors[operation]` are raised first, one a call; `seconds[operation]` is what it takes."""

    brokers = BROKERS

    def __init__(self, topic: FakeTopic | None = None, limits: FetchLimits | None = None) -> None:
        self.topic = topic or FakeTopic()
        self.limits = limits
        self.errors: dict[str, list[Exception]] = {}
        self.seconds: dict[str, float] = {}
        self.calls: list[str] = []
        self.seeks: list[tuple[int, int]] = []
        self.takes: list[tuple[float, int, int, float]] = []  # when, partition, limit, seconds
        self.positions: dict[int, int] = {}  # of those that are not paused
        self.behind: dict[int, int] = {}  # behind all that was taken
        self.assigned: frozenset[int] | None = None  # None: all
        self.wrong: ConsumerError | None = None
        self.group: Group | None = None
        self.on_join: Callable[[Group], None] = lambda group: group.assigned(frozenset(self.topic.logs))

    async def _do(self, operation: str) -> None:
        self.calls.append(operation)
        await asyncio.sleep(self.seconds.get(operation, 0.0))
        if self.errors.get(operation):
            raise self.errors[operation].pop(0)

    async def start(self) -> None:
        await self._do("start")

    async def stop(self) -> None:
        await self._do("stop")

    async def partitions(self) -> frozenset[int]:
        await self._do("partitions")
        return frozenset(self.topic.logs)

    def join(self, group: Group) -> None:
        self.calls.append("join")
        self.group = group
        self.on_join(group)

    async def committed(self, partitions: frozenset[int]) -> Mapping[int, int]:
        await self._do("committed")
        return {number: offset for number, offset in self.topic.group.items() if number in partitions}

    async def offsets(self, partitions: frozenset[int], start: Start) -> Mapping[int, int]:
        await self._do("offsets")
        return {number: _at(self.topic.logs[number], start) for number in partitions}

    def seek(self, partition: int, offset: int) -> None:
        self._raise_if_elsewhere(partition)
        self.seeks.append((partition, offset))
        self.positions[partition] = self.behind[partition] = offset

    def pause(self, partition: int) -> None:
        self._raise_if_elsewhere(partition)
        self.calls.append(f"pause {partition}")
        self.positions.pop(partition, None)

    def _raise_if_elsewhere(self, partition: int) -> None:
        if self.assigned is not None and partition not in self.assigned:
            raise ConsumerError("IllegalStateError", f"partition {partition} is not assigned")

    async def take(self, partition: int, limit: int, seconds: float) -> Sequence[FakeMessage]:
        self.takes.append((elapsed(), partition, limit, seconds))
        if self.errors.get("take"):
            self.positions.pop(partition, None)  # `seek` must say anew
            raise self.errors["take"].pop(0)
        until = asyncio.get_running_loop().time() + seconds
        while True:
            found = self._find(partition, limit)
            left = until - asyncio.get_running_loop().time()
            if found or left <= 0:
                return found
            try:
                async with asyncio.timeout(left):
                    await self.topic.arrived.wait()
            except TimeoutError:
                return self._find(partition, limit)

    def _find(self, partition: int, limit: int) -> Sequence[FakeMessage]:
        position, log = self.positions.get(partition), self.topic.logs[partition]
        if position is None or (self.assigned is not None and partition not in self.assigned):
            return ()
        if not log.first <= position <= log.end:
            del self.positions[partition]
            raise OffsetOutOfRange(partition, position)
        found = [message for message in log.messages if message.offset >= position]
        page = found[:limit]
        after = page[-1].offset + 1 if len(page) < len(found) else log.end
        self.positions[partition] = self.behind[partition] = after
        return page

    async def position(self, partition: int) -> int:
        await self._do("position")
        return self.behind[partition]

    def end(self, partition: int) -> int | None:
        return self.topic.logs[partition].end

    def fetched(self, partition: int) -> float:
        return 0.0

    def trouble(self) -> ConsumerError | None:
        return self.wrong

    async def renew(self) -> None:
        await self._do("renew")

    async def give_start(self, offsets: Mapping[int, int]) -> None:
        await self._do("give start")
        self.topic.commits.append((elapsed(), dict(offsets)))
        self.topic.group.update(offsets)

    async def commit(self, offsets: Mapping[int, int]) -> None:
        await self._do("commit")
        self.topic.commits.append((elapsed(), dict(offsets)))
        self.topic.group.update(offsets)


def _at(log: FakeLog, start: Start) -> int:
    match start:
        case Earliest():
            return log.first
        case Latest():
            return log.end
        case Since(moment):
            return next((each.offset for each in log.messages if (each.timestamp or 0) >= moment * 1000), log.end)


class FakeLane:
    """A lane that reads nothing by itself; it ends once it is stopped, or only by `end` if it `lingers`."""

    def __init__(self, name: str, feed: Feed, envelope: Envelope | None, *, lingers: bool) -> None:
        self.name = name
        self.feed = feed
        self.envelope = envelope
        self.stopped = False
        self._lingers = lingers
        self._ended = asyncio.Event()

    def stop(self) -> None:
        self.stopped = True
        self.feed.stop()
        if not self._lingers:
            self.end()

    def end(self) -> None:
        self._ended.set()

    async def ended(self) -> None:
        await self._ended.wait()


class FakeLanes:
    """Notes what becomes of the lanes; `begin` and `finish` are an invoke's."""

    limit = 10
    saturated = False

    def __init__(self) -> None:
        self.opened: list[FakeLane] = []
        self.lingering = False
        self.held = False
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self) -> None:
        self._idle.clear()

    def finish(self) -> None:
        self._idle.set()

    def open(self, name: str, feed: Feed, envelope: Envelope | None = None) -> FakeLane:
        self.opened.append(FakeLane(name, feed, envelope, lingers=self.lingering))
        return self.opened[-1]

    def hold(self) -> None:
        self.held = True

    def go_on(self) -> None:
        self.held = False

    async def idle(self) -> None:
        await self._idle.wait()

    @property
    def names(self) -> list[str]:
        return [lane.name for lane in self.opened]


class NotingJournal:
    """Notes what a feed says."""

    def __init__(self) -> None:
        self.moves = 0
        self.broken_by: list[ConsumerError] = []

    def moved(self) -> None:
        self.moves += 1

    def broken(self, error: ConsumerError) -> None:
        self.broken_by.append(error)


class Scene:
    """A topic, a consumer of it, and the desk that feeds share; the jitter is none."""

    def __init__(self, *, partitions: int = 1, budget: int = 256 * MIB) -> None:
        self.stage = Stage(TRADES)
        self.topic = FakeTopic(partitions)
        self.consumer = FakeConsumer(self.topic)
        self.share: Share = ByteBudget(budget).share(TRADES.name)
        self.journal = NotingJournal()
        self.desk = TopicDesk(
            self.consumer,
            TOPIC,
            self.journal,
            Holdings(self.share, self.stage.observer),
            Price(),
            self.stage.observer,
            lambda: 0.0,
        )

    def feed(self, offset: int = 0, partition: int = 0) -> PartitionFeed:
        """A feed as a membership makes it: the consumer was told where to read."""
        self.consumer.seek(partition, offset)
        return PartitionFeed(self.desk, partition, offset)

    @property
    def commits(self) -> list[dict[int, int]]:
        return [offsets for _, offsets in self.topic.commits]


def offsets(records: Sequence[Record]) -> list[int]:
    return [int(record.identifier[1]) for record in records]
