"""A connection's life: kept, closed at the wrong moment, and answers of every shape."""

import asyncio
import re
import time
from contextlib import asynccontextmanager

import pytest

from outboard.aws.calls import CallFailed, Refused, TimedOut, Unreachable
from outboard.aws.client import SQS, Clock, JsonClient, LambdaClient, SignedCalls
from outboard.aws.transport import Transport
from tests.unit.aws.wire import KnownIdentity, answer, tcp, wire

pytestmark = pytest.mark.usefixtures("bare_environment")

MINE = b'{"mine":1}'


class Clients:
    def __init__(self, url):
        self.calls = SignedCalls(url, "eu-west-1", KnownIdentity(), Transport(url, None), Clock())
        self.sqs = JsonClient(self.calls, SQS, lambda *_: None)
        self.lambda_ = LambdaClient(self.calls, lambda *_: None)


@asynccontextmanager
async def clients(url):
    made = Clients(url)
    try:
        yield made
    finally:
        await made.calls.close()


async def failure_of(call) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await call
    return caught.value


def sends(*pieces, pause=0.0, closes=True):
    """An answer in pieces."""

    async def act(writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if not closes:
            await asyncio.sleep(60)

    return act


# Kept, and closed by the other side.


async def test_a_connection_that_the_server_just_closed_is_not_used_for_an_invoke():
    async with wire() as server, clients(server.url) as at:
        await at.lambda_.invoke("orders", b"1")
        server.says_at_once(hangs_up=True)
        await at.lambda_.invoke("orders", b"2")

        assert [(request.body, request.connection) for request in server.requests] == [(b"1", 1), (b"2", 2)]


async def test_of_many_kept_connections_none_that_was_closed_is_used():
    async with wire() as server, clients(server.url) as at:
        for count in (8, 3):
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(at.sqs.call("ListQueues", {}), name="call")
            server.says_at_once(hangs_up=True)

        await at.sqs.call("ListQueues", {})
        assert sorted(request.connection for request in server.requests) == list(range(1, 13))


async def test_a_connection_closed_while_idle_costs_no_call():
    async with wire() as server, clients(server.url) as at:
        for _ in range(3):
            await at.sqs.call("ListQueues", {})
            server.says_at_once(hangs_up=True)
            await asyncio.sleep(0.02)

        assert [request.connection for request in server.requests] == [1, 2, 3]


@pytest.mark.parametrize("read", [False, True], ids=["not yet read", "read"])
@pytest.mark.parametrize("hangs_up", [False, True])
async def test_what_a_server_says_unasked_is_never_the_answer_to_the_next_call(read, hangs_up):
    async with wire(answer(), answer(200, MINE)) as server, clients(server.url) as at:
        await at.lambda_.invoke("orders", b"1")
        server.says_at_once(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 3\r\n\r\nnot", hangs_up=hangs_up)
        if read:
            await asyncio.sleep(0.02)
        reply = await at.lambda_.invoke("orders", b"2")

        assert (reply.status, reply.body) == (200, MINE)
        assert [request.connection for request in server.requests] == [1, 2]


async def test_a_second_answer_to_one_call_is_dropped_with_its_connection():
    twice = answer(200, b'{"a":1}') + answer(200, b'{"b":2}')
    async with wire(twice, answer(200, MINE)) as server, clients(server.url) as at:
        assert await at.sqs.call("ListQueues", {}) == {"a": 1}
        assert await at.sqs.call("ListQueues", {}) == {"mine": 1}


async def test_a_server_that_closes_after_each_answer_is_called_on_new_connections():
    async with wire() as server, clients(server.url) as at:
        server.default = answer(connection="close")
        for _ in range(3):
            await at.sqs.call("ListQueues", {})

        assert [request.connection for request in server.requests] == [1, 2, 3]


async def test_an_answer_of_http_1_0_ends_with_its_connection():
    async with wire(sends(b"HTTP/1.0 200 OK\r\n\r\n", MINE)) as server, clients(server.url) as at:
        assert await at.sqs.call("ListQueues", {}) == {"mine": 1}


# What is sent.


async def test_an_invoke_says_its_length_and_asks_neither_for_leave_nor_for_compression():
    payload = b"x" * 6_291_456
    async with wire() as server, clients(server.url) as at:
        await at.lambda_.invoke("orders", payload)

        (request,) = server.requests
        assert request.body == payload
        assert request.headers["content-length"] == "6291456"
        assert {"expect", "transfer-encoding", "accept-encoding", "cookie"}.isdisjoint(request.headers)


async def test_a_call_carries_no_headers_but_its_own():
    async with wire() as server, clients(server.url) as at:
        await at.sqs.call("ListQueues", {})

        (request,) = server.requests
        ours = {"content-length", "content-type", "host", "user-agent", "x-amz-target"}
        signature = {"authorization", "x-amz-date", "x-amz-security-token"}
        assert set(request.headers) == ours | signature
        assert request.headers["host"] == server.url.removeprefix("http://")


async def test_a_call_is_answered_although_the_server_stopped_reading_it():
    async def too_large(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(413, b'{"message":"no"}', x_amzn_errortype="RequestTooLargeException"))
        await writer.drain()
        await asyncio.sleep(60)

    async with tcp(too_large) as peer, clients(f"http://{peer}") as at:
        reply = await at.lambda_.invoke("orders", b"x" * 20_000_000, timeout=5.0)
        assert reply.status == 413


async def test_a_call_that_has_no_time_is_not_sent_and_not_unanswered():
    async with wire() as server, clients(server.url) as at:
        failure = await failure_of(at.lambda_.invoke("orders", b"{}", timeout=0.0))

        assert isinstance(failure, Unreachable)
        assert (failure.code, server.requests) == ("ConnectTimeout", [])


# What is answered.


def chunked(body, trailer=b""):
    sizes = [1, 2, 3, 65_536, 1_000_000]
    pieces, at = [], 0
    while at < len(body):
        piece = body[at : at + sizes[len(pieces) % len(sizes)]]
        pieces.append(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        at += len(piece)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"".join(pieces) + b"0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize("shape", ["length", "chunks"])
async def test_an_answer_of_fourteen_megabytes_arrives_whole(shape):
    body = bytes(range(256)) * 55_000
    async with wire(answer(200, body) if shape == "length" else chunked(body)) as server, clients(server.url) as at:
        assert (await at.lambda_.invoke("orders", b"{}")).body == body
        assert (await at.lambda_.invoke("orders", b"{}")).body == b"{}"
        assert [request.connection for request in server.requests] == [1, 1]


async def test_chunks_may_have_trailers():
    async with wire(chunked(MINE, b"x-amz-checksum: 1\r\n")) as server, clients(server.url) as at:
        assert await at.sqs.call("ListQueues", {}) == {"mine": 1}
        assert await at.sqs.call("ListQueues", {}) == {}


@pytest.mark.parametrize("status", [100, 102, 103])
async def test_provisional_answers_are_passed_over(status):
    first = f"HTTP/1.1 {status} Wait\r\nlink: </x>\r\n\r\n".encode()
    async with wire(first + first + answer(200, MINE)) as server, clients(server.url) as at:
        assert await at.sqs.call("ListQueues", {}) == {"mine": 1}


async def test_an_offer_to_change_the_protocol_is_a_failure():
    switching = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
    async with wire(sends(switching, closes=False), answer(200, MINE)) as server, clients(server.url) as at:
        await failure_of(at.sqs.call("ListQueues", {}, timeout=0.3))

        assert await at.sqs.call("ListQueues", {}) == {"mine": 1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused_and_says_where_to(status):
    location = "http://elsewhere.example/"
    async with wire(answer(status, b"", location=location)) as server, clients(server.url) as at:
        failure = await failure_of(at.sqs.call("ListQueues", {}))

        assert isinstance(failure, Refused)
        assert (failure.code, len(server.requests)) == (f"Http{status}", 1)
        assert failure.message == f"redirected to {location}, which is not followed: correct the endpoint's URL"


async def test_an_error_without_a_word_is_a_sentence():
    async with wire(answer(503, b"")) as server, clients(server.url) as at:
        failure = await failure_of(at.sqs.call("ListQueues", {}))

        assert (failure.code, failure.message) == ("Http503", "the answer was HTTP status 503, without a word")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{"],
        [b"HTTP/1.1 200 OK\r\ncontent-le"],
        [b"HTTP/1.1 100 Continue\r\n\r\n"],
    ],
    ids=["after the head", "in a chunk", "in the head", "after a provisional answer"],
)
async def test_a_server_that_falls_silent_is_a_time_out(pieces):
    async with wire(sends(*pieces, closes=False)) as server, clients(server.url) as at:
        started = time.monotonic()
        failure = await failure_of(at.sqs.call("ListQueues", {}, timeout=0.2))

        assert isinstance(failure, TimedOut)
        assert time.monotonic() - started < 5.0
        await asyncio.wait_for(server.closed.wait(), 5)


async def test_an_answer_that_drips_is_a_time_out():
    drops = [b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", *[b" "] * 1000]
    async with wire(sends(*drops, pause=0.01)) as server, clients(server.url) as at:
        assert isinstance(await failure_of(at.sqs.call("ListQueues", {}, timeout=0.2)), TimedOut)


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/9 200 OK\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\ncontent-length: 2\r\n\r\n{}",
    ],
    ids=["ssh", "status", "version", "tls alert", "header", "chunk", "two lengths", "endless header"],
)
async def test_what_is_not_http_is_said_in_one_short_line(said):
    async with wire(sends(said)) as server, clients(server.url) as at:
        failure = await failure_of(at.lambda_.invoke("orders", b"{}", timeout=5.0))

        assert isinstance(failure, Unreachable)
        assert re.fullmatch(rf"{server.url}: what answered does not speak HTTP \(.+\)", failure.message)
        assert len(failure.message) < 200
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (b"", "the connection was closed before an answer came"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "the connection was closed before an answer came"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "the answer broke off"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}", "the answer broke off"),
    ],
    ids=["nothing", "in the head", "in the body", "in a chunk"],
)
async def test_an_answer_that_breaks_off_says_where(said, sentence):
    async with wire(sends(said)) as server, clients(server.url) as at:
        failure = await failure_of(at.lambda_.invoke("orders", b"{}"))

        assert isinstance(failure, Unreachable)
        assert failure.message == f"{server.url}: {sentence}"
