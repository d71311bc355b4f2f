"""A Kinesis stream in memory on the loop's clock, behind the signed client's interface, and what a feed works with."""

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outboard.aws.calls import CallFailed, Refused
from outboard.config.arns import Arn
from outboard.core.price import Price
from outboard.core.records import Record
from outboard.core.shards import Beginning, Position, written
from outboard.events.kinesis import StreamFacts
from outboard.observe.facts import MappingFacts
from outboard.runtime.budget import ByteBudget, Share
from outboard.sources.holdings import Holdings
from outboard.sources.kinesis.desk import ShardDesk
from outboard.sources.kinesis.feed import ShardFeed
from outboard.sources.kinesis.stream import KinesisStream
from tests.unit.observe.stage import START, Stage

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks"
UUID = "0a1b2c3d-0000-5000-8000-000000000002"
CLICKS = MappingFacts("clicks", UUID, "kinesis", source_arn=ARN, batch_size=100)

FIRST = "shardId-000000000000"
SECOND = "shardId-000000000001"

#: Sequence numbers go on from here: those of the first records have a digit less, so that as text they come last.
_NUMBERS = 10**20 - 3

#: Seconds for which an iterator is good.
_ITERATOR = 300.0

EXPIRED = Refused(400, "ExpiredIteratorException", "Iterator expired")
THROTTLED = Refused(400, "ProvisionedThroughputExceededException", "Rate exceeded for shard")
DENIED = Refused(400, "AccessDeniedException", "not authorized")
BROKEN = Refused(500, "InternalFailure", "try again")
INVALID = Refused(400, "InvalidArgumentException", "StartingSequenceNumber is not known")
MISSING = Refused(400, "ResourceNotFoundException", "Stream clicks not found")

Answer = CallFailed | Callable[[Mapping[str, Any]], dict[str, Any]]


def now() -> float:
    return asyncio.get_running_loop().time()


def elapsed() -> float:
    """Seconds since the start of the test."""
    return round(now() - 1000.0, 3)


def wall() -> float:
    """The stream's own clock: epoch seconds that pass with the loop's."""
    return START + now() - 1000.0


@dataclass(slots=True)
class Put:
    number: int
    data: bytes
    key: str
    arrived: float


@dataclass(slots=True)
class FakeShard:
    parents: tuple[str, ...] = ()
    records: list[Put] = field(default_factory=list)
    known: set[int] = field(default_factory=set)
    closed: bool = False


class FakeKinesis:
    """One stream. `answers[operation]` are used up first, one a call: errors, or functions of the body."""

    def __init__(self, shards: int = 1) -> None:
        self.created = START - 86_400.5
        self.status = "ACTIVE"
        self.exists = True
        self.shards: dict[str, FakeShard] = {}
        self.calls: list[tuple[float, str, Mapping[str, Any]]] = []
        self.answers: dict[str, list[Answer]] = {}
        self.seconds: dict[str, float] = {}
        self.shards_per_page = 1000
        self.records_per_page = 10_000
        self.trailing = False  # the end of a closed shard comes on a page of its own
        self._numbers = _NUMBERS
        self._iterators: dict[str, tuple[str, int, float]] = {}
        self._made = 0
        self._handed_out = 0
        for _ in range(shards):
            self.add()

    # What producers and operators do

    def add(self, *parents: str) -> str:
        name = f"shardId-{self._made:012}"
        self._made += 1
        self.shards[name] = FakeShard(parents)
        return name

    def put(self, shard: str, *data: str | bytes, key: str = "key", arrived: float | None = None) -> list[str]:
        """Put records, now or as if at `arrived`; returns their sequence numbers."""
        at, into = wall() if arrived is None else arrived, self.shards[shard]
        assert not into.closed
        for each in data:
            self._numbers += 1
            into.known.add(self._numbers)
            into.records.append(Put(self._numbers, each.encode() if isinstance(each, str) else each, key, at))
        return [str(record.number) for record in into.records[len(into.records) - len(data) :]]

    def close(self, shard: str) -> None:
        self.shards[shard].closed = True

    def split(self, shard: str) -> tuple[str, str]:
        self.close(shard)
        return self.add(shard), self.add(shard)

    def merge(self, one: str, other: str) -> str:
        self.close(one)
        self.close(other)
        return self.add(one, other)

    def trim(self, shard: str, count: int) -> None:
        """The oldest records are past the stream's retention."""
        del self.shards[shard].records[:count]

    def expire_iterators(self) -> None:
        self._iterators = {name: (shard, number, 0.0) for name, (shard, number, _) in self._iterators.items()}

    def recreate(self, shards: int = 1) -> None:
        """Deleted, and created anew under its name."""
        self.shards, self._made, self._iterators = {}, 0, {}
        self._numbers += 10**15
        self.created = wall()
        for _ in range(shards):
            self.add()

    # What was asked for

    def made(self, operation: str) -> list[Mapping[str, Any]]:
        """The bodies of all calls of `operation`."""
        return [body for _, called, body in self.calls if called == operation]

    def times(self, operation: str) -> list[float]:
        """Seconds from the start of the test to each call of `operation`."""
        return [round(at - 1000.0, 3) for at, called, _ in self.calls if called == operation]

    def reads(self, shard: str) -> list[float]:
        """Seconds from the start of the test to each GetRecords of a shard."""
        return [
            round(at - 1000.0, 3)
            for at, called, body in self.calls
            if called == "GetRecords" and str(body["ShardIterator"]).startswith(f"{shard}/")
        ]

    def started_at(self, shard: str) -> list[str]:
        """Where the iterators of a shard were asked for, in the words of a checkpoint."""
        return [_asked_for(body) for body in self.made("GetShardIterator") if body["ShardId"] == shard]

    # The service

    async def call(self, operation: str, body: Mapping[str, object], *, timeout: float = 10.0) -> dict[str, Any]:
        self.calls.append((now(), operation, body))
        await asyncio.sleep(self.seconds.get(operation, 0.0))
        scripted = self.answers.get(operation)
        if scripted:
            answer = scripted.pop(0)
            if isinstance(answer, CallFailed):
                raise answer
            return answer(body)
        if not self.exists:
            raise MISSING
        match operation:
            case "DescribeStreamSummary":
                return {"StreamDescriptionSummary": self._summary()}
            case "ListShards":
                return self._list(body)
            case "GetShardIterator":
                return {"ShardIterator": self._iterator(body)}
            case "GetRecords":
                return self._page(body)
        raise AssertionError(operation)

    def _summary(self) -> dict[str, Any]:
        return {
            "StreamName": "clicks",
            "StreamARN": ARN,
            "StreamStatus": self.status,
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": self.created,
            "OpenShardCount": sum(not shard.closed for shard in self.shards.values()),
        }

    def _list(self, body: Mapping[str, Any]) -> dict[str, Any]:
        token = body.get("NextToken")
        assert body == ({"NextToken": token} if token else {"StreamName": "clicks", "StreamARN": ARN})
        first = int(token or 0)
        names = list(self.shards)[first : first + self.shards_per_page]
        after = first + len(names)
        more = {"NextToken": str(after)} if after < len(self.shards) else {}
        return {"Shards": [described(name, self.shards[name]) for name in names], **more}

    def _iterator(self, body: Mapping[str, Any]) -> str:
        shard = self.shards.get(body["ShardId"])
        if shard is None:
            raise Refused(400, "ResourceNotFoundException", f"Shard {body['ShardId']} does not exist")
        match body["ShardIteratorType"]:
            case "TRIM_HORIZON":
                after = 0
            case "AFTER_SEQUENCE_NUMBER":
                after = int(body["StartingSequenceNumber"])
                if after not in shard.known:
                    raise INVALID
            case "AT_TIMESTAMP":
                if body["Timestamp"] > wall() + 1e-6:
                    raise Refused(400, "InvalidArgumentException", "the timestamp is in the future")
                after = max(
                    (record.number for record in shard.records if record.arrived < body["Timestamp"]), default=0
                )
            case other:
                raise AssertionError(other)
        return self._new_iterator(body["ShardId"], after)

    def _new_iterator(self, shard: str, after: int) -> str:
        self._handed_out += 1
        name = f"{shard}/{self._handed_out}"
        self._iterators[name] = (shard, after, now() + _ITERATOR)
        return name

    def _page(self, body: Mapping[str, Any]) -> dict[str, Any]:
        assert body["StreamARN"] == ARN
        if body["ShardIterator"] not in self._iterators:
            raise Refused(400, "InvalidArgumentException", "Invalid ShardIterator")
        name, after, good_until = self._iterators[body["ShardIterator"]]
        if now() > good_until:
            raise EXPIRED
        if name not in self.shards:
            raise Refused(400, "ResourceNotFoundException", f"Shard {name} does not exist")
        shard = self.shards[name]
        left = [record for record in shard.records if record.number > after]
        page = left[: min(body["Limit"], self.records_per_page)]
        after = page[-1].number if page else after
        answer: dict[str, Any] = {"Records": [entry(record) for record in page], "MillisBehindLatest": 0}
        if len(page) < len(left):
            answer["MillisBehindLatest"] = max(1, round(1000 * (wall() - left[len(page)].arrived)))
        if shard.closed and len(page) == len(left) and not (self.trailing and page):
            children = [child for child, each in self.shards.items() if name in each.parents]
            return {**answer, "ChildShards": [{"ShardId": child, "ParentShards": [name]} for child in children]}
        return {**answer, "NextShardIterator": self._new_iterator(name, after)}


def described(name: str, shard: FakeShard) -> dict[str, Any]:
    """A shard as ListShards has it."""
    parents = dict(zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False))
    return {"ShardId": name, **parents, "SequenceNumberRange": {"StartingSequenceNumber": "1"}}


def entry(record: Put) -> dict[str, Any]:
    """A record as GetRecords has it."""
    return {
        "SequenceNumber": str(record.number),
        "ApproximateArrivalTimestamp": round(record.arrived, 3),
        "Data": base64.b64encode(record.data).decode(),
        "PartitionKey": record.key,
    }


def _asked_for(body: Mapping[str, Any]) -> str:
    match body["ShardIteratorType"]:
        case "AFTER_SEQUENCE_NUMBER":
            return str(body["StartingSequenceNumber"])
        case "AT_TIMESTAMP":
            return f"AT_TIMESTAMP {body['Timestamp']!r}"
        case kind:
            return str(kind)


class NotingJournal:
    """Notes what a feed says of its shard; `listed`: whether the stream still has it; `open`: and open;
    `old`: whether records expire.
    """

    def __init__(self) -> None:
        self.positions: list[str] = []
        self.old = False
        self.open = False
        self.doubts: list[float] = []
        self.listed = True

    def at(self, shard: str, position: Position) -> None:
        assert shard == FIRST
        self.positions.append(written(position))

    def doubt(self) -> None:
        self.doubts.append(elapsed())

    def is_listed(self, shard: str) -> bool:
        assert shard == FIRST
        return self.listed

    def is_open(self, shard: str) -> bool:
        assert shard == FIRST
        return self.open

    def expires(self, arrived: float) -> bool:
        assert arrived > 0
        return self.old


class FakeCheckpoints:
    """Positions in memory that are durable once `saved` has returned, which takes `seconds` and may hang.

    `order` notes what was asked for, and when something became durable; whoever shares it can see what came first.
    """

    def __init__(self, durable: Mapping[tuple[str, str], Mapping[str, str]] | None = None) -> None:
        self.rows: dict[tuple[str, str], dict[str, str]] = {key: dict(rows) for key, rows in (durable or {}).items()}
        self.durable: dict[tuple[str, str], dict[str, str]] = {key: dict(rows) for key, rows in self.rows.items()}
        self.seconds = 0.0
        self.failing = False
        self.unreadable: Exception | None = None
        self.order: list[str] = []
        self.saves: list[tuple[str, str, dict[str, str]]] = []
        self.mended = asyncio.Event()

    async def load(self, mapping: str, stream: str) -> Mapping[str, str]:
        self.order.append("load")
        await asyncio.sleep(0)
        if self.unreadable is not None:
            raise self.unreadable
        return dict(self.rows.get((mapping, stream), {}))

    def save(self, mapping: str, stream: str, positions: Mapping[str, str]) -> None:
        self.order.append("save")
        self.saves.append((mapping, stream, dict(positions)))
        self.rows.setdefault((mapping, stream), {}).update(positions)

    def is_saved(self, mapping: str, stream: str) -> bool:
        return self.rows.get((mapping, stream)) == self.durable.get((mapping, stream))

    async def saved(self) -> None:
        until_now = {key: dict(rows) for key, rows in self.rows.items()}
        await asyncio.sleep(self.seconds)
        if self.failing:
            await self.mended.wait()
        self.durable = until_now
        self.order.append("saved")

    def after_a_crash(self) -> "FakeCheckpoints":
        """What the next process finds."""
        return FakeCheckpoints(self.durable)

    def of(self, stream: str) -> dict[str, str]:
        """The positions of one stream of the mapping, durable or not."""
        return dict(self.rows.get((UUID, stream), {}))


class Scene:
    """A stream of one shard, and the desk that feeds share; the jitter is none."""

    def __init__(self, *, shards: int = 1, budget: int = 256 * 1024 * 1024, reads: int = 100) -> None:
        self.stage = Stage(CLICKS)
        self.kinesis = FakeKinesis(shards)
        self.stream = KinesisStream(self.kinesis, Arn.parse(ARN))
        self.share: Share = ByteBudget(budget).share("clicks")
        self.journal = NotingJournal()
        self.checkpoints = FakeCheckpoints()
        self.desk = ShardDesk(
            stream=self.stream,
            facts=StreamFacts(ARN, "eu-west-1", "arn:aws:iam::123456789012:role/outboard"),
            journal=self.journal,
            holdings=Holdings(self.share, self.stage.observer),
            price=Price(),
            reads=asyncio.Semaphore(reads),
            observer=self.stage.observer,
            jitter=lambda: 0.0,
        )

    def feed(self, position: Position | None = None) -> ShardFeed:
        return ShardFeed(self.desk, FIRST, position or Beginning())

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [dict(line) for line in self.stage.lines if line["event"] == event]


def contents(records: Sequence[Record]) -> list[str]:
    """The data of records, decoded."""
    return [data_of(record.event) for record in records]


def data_of(event: bytes) -> str:
    start = event.index(b'"data":"') + len(b'"data":"')
    return base64.b64decode(event[start : event.index(b'"', start)]).decode()
