"""Stands before a Kinesis server: passes calls on, spoils those that a test says, and remembers what was asked."""

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, assert_never

import aiohttp
from aiohttp import web

from tests.servers.serving import served

_TYPE = "application/x-amz-json-1.1"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server's answer is this error; it has done nothing."""

    code: str
    message: str = "scripted"
    status: int = 400


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection breaks: before the call was passed on, or (`answer_lost`) after the server had answered it."""

    answer_lost: bool = False


@dataclass(frozen=True, slots=True)
class Slow:
    """The call is passed on so many seconds later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """There never is an answer."""


@dataclass(frozen=True, slots=True)
class EmptyPage:
    """GetRecords brings nothing although the shard has more: what real shards do now and then."""


@dataclass(frozen=True, slots=True)
class Altered:
    """The server's answer, changed in place."""

    change: Callable[[dict[str, Any]], None]


Fault = Refusal | Reset | Slow | Hang | EmptyPage | Altered

THROTTLED = Refusal("ProvisionedThroughputExceededException", "Rate exceeded for shard.")
EXPIRED = Refusal("ExpiredIteratorException", "Iterator expired.")
BROKEN = Refusal("InternalFailure", status=500)


@dataclass(slots=True)
class Call:
    """One call. `stream` is its name, `shard` is empty where the call concerns none; `number` counts this operation on
    them, from 1."""

    operation: str
    body: Mapping[str, Any]
    stream: str
    shard: str
    number: int
    at: float  #: seconds of the monotonic clock
    fault: Fault | None = None
    status: int = 0  #: of the answer that went back; 0 while there is none
    sequences: tuple[str, ...] = ()  #: the records that went back

    @property
    def start(self) -> tuple[str, object]:
        """Of GetShardIterator: the iterator's type, and the moment or sequence number that goes with it."""
        moment, sequence = self.body.get("Timestamp"), self.body.get("StartingSequenceNumber")
        return self.body["ShardIteratorType"], sequence if moment is None else moment


Script = Callable[[Call], Fault | None]


@dataclass(slots=True)
class KinesisProxy:
    """The proxy. Calls of an operation without a script are passed on untouched."""

    upstream: str
    session: aiohttp.ClientSession
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    _scripts: dict[str, Script] = field(default_factory=dict)
    _next: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    _counts: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    _shard_of: dict[str, tuple[str, str]] = field(default_factory=dict)  #: by iterator; the stream's name first

    def script(self, operation: str, script: Script | Fault) -> None:
        """From now on each call of `operation` meets what `script` says."""
        self._scripts[operation] = script if callable(script) else lambda _: script

    def calm(self) -> None:
        """From now on everything is passed on untouched."""
        self._scripts.clear()
        self._next.clear()

    def spoil_next(self, operation: str, *faults: Fault) -> None:
        """The next calls of `operation` meet these, one each."""
        self._next[operation].extend(faults)

    def of(self, operation: str, shard: str | None = None) -> list[Call]:
        """The calls of one operation, on one shard or on any, in order of arrival."""
        return [call for call in self.calls if call.operation == operation and shard in (None, call.shard)]

    def application(self) -> web.Application:
        app = web.Application(client_max_size=20_000_000)
        app.router.add_post("/", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        payload = await request.read()
        call = self._arrived(request.headers["X-Amz-Target"].rpartition(".")[2], json.loads(payload))
        match call.fault:
            case Refusal(code, message, status):
                return self._answer(call, status, json.dumps({"__type": code, "message": message}).encode())
            case EmptyPage():
                again = {"Records": [], "NextShardIterator": call.body["ShardIterator"], "MillisBehindLatest": 1000}
                return self._answer(call, 200, json.dumps(again).encode())
            case Hang():
                return await asyncio.Event().wait() or web.Response()
            case Reset(answer_lost):
                if answer_lost:
                    await self._forward(request, payload)
                return _reset(request)
            case Slow(seconds):
                await asyncio.sleep(seconds)
                return self._answer(call, *await self._forward(request, payload))
            case Altered(change):
                status, body = await self._forward(request, payload)
                answer = json.loads(body)
                change(answer)
                return self._answer(call, status, json.dumps(answer).encode())
            case None:
                return self._answer(call, *await self._forward(request, payload))
            case _:
                assert_never(call.fault)

    def _arrived(self, operation: str, body: Mapping[str, Any]) -> Call:
        name = str(body.get("StreamName") or body.get("StreamARN", "").rpartition("/")[2])
        where = self._shard_of.get(body.get("ShardIterator", ""), (name, str(body.get("ShardId", ""))))
        self._counts[operation, *where] += 1
        call = Call(operation, body, *where, self._counts[operation, *where], time.monotonic())
        self.calls.append(call)
        if self._next[operation]:
            call.fault = self._next[operation].popleft()
        elif script := self._scripts.get(operation):
            call.fault = script(call)
        return call

    async def _forward(self, request: web.Request, payload: bytes) -> tuple[int, bytes]:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        async with self.session.post(self.upstream, data=payload, headers=headers) as answer:
            return answer.status, await answer.read()

    def _answer(self, call: Call, status: int, body: bytes) -> web.Response:
        if status == 200 and call.operation in {"GetShardIterator", "GetRecords"}:
            answer = json.loads(body)
            if iterator := answer.get("NextShardIterator") or answer.get("ShardIterator"):
                self._shard_of[iterator] = (call.stream, call.shard)
            call.sequences = tuple(record["SequenceNumber"] for record in answer.get("Records", ()))
        call.status = status
        return web.Response(status=status, body=body, headers={"Content-Type": _TYPE})


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def kinesis_proxy(upstream: str) -> AsyncIterator[KinesisProxy]:
    """Run one before the server at `upstream`, on the loop of the caller."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        proxy = KinesisProxy(upstream, session)
        async with served(proxy.application()) as proxy.url:
            yield proxy
