"""Makes load: a source of its own for each, numbered messages at a steady rate, and what the functions say of them."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka.errors import GroupCoordinatorNotAvailableError

from tests.kube.parts.audit import Account, Follower
from tests.servers.elasticmq import ACCOUNT, REGION
from tests.servers.queues import Queue, Queues
from tests.servers.streams import Streams
from tests.servers.tools import Address
from tests.servers.topics import Topics

_PAUSE = 0.25  #: seconds between two chunks
#: A message that was received by a process which then died comes again after so long.
_VISIBILITY = 5
_FAILS_ONCE = 50  #: of a standard queue every so many-th message fails the first time

Bodies = Sequence[str]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a test asks for. `keys`: message groups, partition keys or partitions; `work`: seconds for each message."""

    source: str
    rate: int = 40
    keys: int = 4
    work: float = 0.02


@dataclass(frozen=True, slots=True)
class Taken:
    """What a source knows of its readers: messages that are still in a queue, records that a group has committed."""

    left: int | None = None
    committed: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a load goes, in the order of its numbers, and how a mapping names it."""

    mapping: Mapping[str, object]
    put: Callable[[Bodies, range], Awaitable[object]]
    taken: Callable[[], Awaitable[Taken]]


async def _not_known() -> Taken:
    return Taken()


@dataclass(slots=True)
class Load:
    """One load. `trouble` says why it produces no more although nobody has ended it."""

    name: str
    wish: Wish
    source: Source
    account: Account
    trouble: str | None = None
    _producing: asyncio.Task[None] | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        if self._producing is None:
            self._producing = asyncio.get_running_loop().create_task(self._produce(), name=self.name)

    async def end(self) -> None:
        """Produce no more; what is being put is put."""
        self._ended.set()
        if self._producing is not None:
            await self._producing

    async def _produce(self) -> None:
        chunk = max(self.wish.keys, int(self.wish.rate * _PAUSE))
        chunk -= chunk % self.wish.keys
        try:
            while not self._ended.is_set():
                await self._put(chunk)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), chunk / self.wish.rate)
        except Exception as error:  # noqa: BLE001 - a load that ends must say so, whatever it was
            self.trouble = repr(error)

    async def _put(self, count: int) -> None:
        numbers = range(self.account.produced, self.account.produced + count)
        await self.source.put([self._body(number) for number in numbers], numbers)
        self.account.produced += count

    async def left(self) -> int:
        """How many messages the source does not know to be done yet."""
        taken = await self.source.taken()
        if taken.committed is not None:
            return self.account.produced - taken.committed
        return taken.left or 0

    def _body(self, number: int) -> str:
        body = {"load": self.name, "n": number, "seconds": self.wish.work}
        if self.wish.source == "queue" and number % _FAILS_ONCE == _FAILS_ONCE - 1:
            body["fail_times"] = 1
        return json.dumps(body)


@dataclass(slots=True)
class Loads:
    """All loads of a run, by name. `functions` is the Invoke endpoint of each kind of source as pods reach it."""

    queues: Queues
    streams: Streams
    topics: Topics
    addresses: Mapping[str, Address]
    functions: Mapping[str, str]
    ledger: Follower
    _made: dict[str, Load] = field(default_factory=dict)

    async def make(self, wish: Wish) -> Load:
        """A load with a new source; it does not produce yet."""
        name = f"{wish.source}-{len(self._made) + 1}"
        source = await getattr(self, f"_{wish.source}")(name, wish)
        self._made[name] = load = Load(name, wish, source, Account(0 if wish.source == "queue" else wish.keys))
        return load

    def __getitem__(self, name: str) -> Load:
        """Raises KeyError."""
        return self._made[name]

    def read_ledger(self) -> None:
        """Enter what the functions have written since the last time."""
        for line in self.ledger.news():
            if not line["failed"]:
                self._made[line["load"]].account.worked_off(line["n"])

    async def close(self) -> None:
        for load in self._made.values():
            await load.end()

    def _mapping(self, kind: str, **source: object) -> dict[str, object]:
        return {
            "FunctionName": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{kind}",
            "FunctionEndpointUrl": self.functions[kind],
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BatchSize": 10,
            **source,
        }

    def _url(self, kind: str) -> str:
        return "http://{0.name}:{0.port}".format(self.addresses[kind])

    async def _queue(self, name: str, _wish: Wish) -> Source:
        queue = await self.queues.create(name=name, visibility=_VISIBILITY)
        mapping = self._mapping("queue", EventSourceArn=queue.arn, SourceEndpointUrl=self._url("queue"))
        return Source(mapping, lambda bodies, _: queue.send(bodies), lambda: _in(queue))

    async def _fifo(self, name: str, wish: Wish) -> Source:
        queue = await self.queues.create(name=name, fifo=True, visibility=_VISIBILITY)
        mapping = self._mapping("fifo", EventSourceArn=queue.arn, SourceEndpointUrl=self._url("queue"))
        return Source(
            mapping, lambda bodies, numbers: _send_in_groups(queue, bodies, numbers, wish.keys), lambda: _in(queue)
        )

    async def _stream(self, name: str, wish: Wish) -> Source:
        stream = await self.streams.create(2, name=name)
        mapping = self._mapping(
            "stream",
            EventSourceArn=stream.arn,
            SourceEndpointUrl=self._url("stream"),
            StartingPosition="TRIM_HORIZON",
        )
        return Source(
            mapping,
            lambda bodies, numbers: stream.put_keyed(
                [(f"key-{number % wish.keys}", body) for number, body in zip(numbers, bodies, strict=True)]
            ),
            _not_known,
        )

    async def _topic(self, name: str, wish: Wish) -> Source:
        topic = await self.topics.create(wish.keys, name=name)
        async with asyncio.timeout(30):
            # It is created before the broker leads it, and nobody is told.
            while len(await self.topics.ends(topic)) < wish.keys:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        address = self.addresses["topic"]
        mapping = self._mapping(
            "topic",
            SelfManagedEventSource={"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [f"{address.name}:{address.port}"]}},
            SelfManagedKafkaEventSourceConfig={"ConsumerGroupId": f"group-of-{name}"},
            Topics=[name],
            StartingPosition="TRIM_HORIZON",
        )
        # Dealt out in turn from partition 0 on, and a chunk is a multiple of their number: the partition is the key.
        return Source(
            mapping,
            lambda bodies, _: self.topics.put(topic, [body.encode() for body in bodies]),
            lambda: self._committed(f"group-of-{name}"),
        )

    async def _committed(self, group: str) -> Taken:
        try:
            return Taken(committed=sum((await self.topics.committed(group)).values()))
        except GroupCoordinatorNotAvailableError:  # nobody has asked for any group yet
            return Taken(committed=0)


async def _in(queue: Queue) -> Taken:
    return Taken(left=(await queue.depth()).total)


async def _send_in_groups(queue: Queue, bodies: Bodies, numbers: range, groups: int) -> None:
    await queue.send_entries(
        [
            {
                "MessageBody": body,
                "MessageGroupId": f"group-{number % groups}",
                "MessageDeduplicationId": uuid.uuid4().hex,
            }
            for number, body in zip(numbers, bodies, strict=True)
        ]
    )
