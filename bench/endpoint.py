"""An Invoke endpoint that costs little: it answers after the milliseconds that a function's name ends with, and counts.

`POST /2015-03-31/functions/NAME-MILLISECONDS/invocations` succeeds with no failed item. A function called `timed-…`
has the send times read out of its records. `GET /counts` is what was seen since the last `GET /reset`. Whoever asks
who he is (STS, `POST /`) is told.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_INVOKE = re.compile(rb"POST /2015-03-31/functions/([a-z]+)-(\d+)/invocations")
#: What each record of an event has once: SQS's, Kinesis's, Kafka's.
_MARKS = (b'"messageId"', b'"sequenceNumber"', b'"timestampType"')
_SENT = re.compile(rb'sent\\": ?(\d+\.\d+)')
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Amz-Executed-Version: $LATEST\r\n"
    b'x-amzn-RequestId: 00000000-0000-0000-0000-000000000000\r\nContent-Length: 24\r\n\r\n{"batchItemFailures":[]}'
)
_IDENTITY = (
    b"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:role/bench</Arn>"
    b"<UserId>BENCH</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)


@dataclass(slots=True)
class Counts:
    """What was invoked. `first` is the epoch time of the first invoke, 0 before it; latencies are in milliseconds."""

    now: float = 0.0
    first: float = 0.0
    invokes: int = 0
    records: int = 0
    latencies: list[float] = field(default_factory=list)


class Endpoint:
    """What all connections share."""

    def __init__(self) -> None:
        self.counts = Counts()

    def invoked(self, name: bytes, body: bytes) -> None:
        counts = self.counts
        now = time.time()
        counts.first = counts.first or now
        counts.invokes += 1
        counts.records += next(filter(None, map(body.count, _MARKS)), 0)
        if name == b"timed":
            counts.latencies += [(now - float(sent)) * 1000 for sent in _SENT.findall(body)]

    def looked_at(self, head: bytes) -> bytes:
        if head.startswith(b"GET /reset"):
            self.counts = Counts()
        self.counts.now = time.time()
        body = _IDENTITY if head.startswith(b"POST / ") else json.dumps(asdict(self.counts)).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Connection(asyncio.Protocol):
    """One kept-alive connection; requests come one after the other, with a content length."""

    def __init__(self, endpoint: Endpoint, loop: asyncio.AbstractEventLoop) -> None:
        self._endpoint = endpoint
        self._loop = loop
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one in all but name

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        while (end := received.find(b"\r\n\r\n")) >= 0:
            head = bytes(received[:end])
            length = _LENGTH.search(head)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(received) < size:
                return
            body = bytes(received[end + 4 : size])
            del received[:size]
            self._request(head, body)

    def _request(self, head: bytes, body: bytes) -> None:
        invoke = _INVOKE.match(head)
        if invoke is None:
            self._write(self._endpoint.looked_at(head))
            return
        self._endpoint.invoked(invoke[1], body)
        delay = int(invoke[2])
        if delay:
            self._loop.call_later(delay / 1000, self._write, _ANSWER)
        else:
            self._write(_ANSWER)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


async def _serve(port: int) -> None:
    loop, endpoint = asyncio.get_running_loop(), Endpoint()
    server = await loop.create_server(lambda: Connection(endpoint, loop), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
