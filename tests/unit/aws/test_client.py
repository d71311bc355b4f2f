"""The signed client on a real wire."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

import orjson
import pytest

from outboard.aws.calls import CallFailed, InvokeReply, Refused, TimedOut, Unreachable
from outboard.aws.client import SQS, Clock, JsonClient, LambdaClient, SignedCalls
from outboard.aws.transport import Transport
from tests.unit.aws.wire import KnownIdentity, Wire, answer, hang, reset, wire

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:orders"


class Served:
    """Both clients at one scripted endpoint, and what was told of their calls."""

    def __init__(self, served: Wire, identity: KnownIdentity, base: str = "") -> None:
        self.wire = served
        self.identity = identity
        self.told: list[tuple[str, str, str]] = []
        self.calls = SignedCalls(served.url + base, "eu-west-1", identity, Transport(served.url, None), Clock())
        self.sqs = JsonClient(self.calls, SQS, lambda *call: self.told.append(call))
        self.lambda_ = LambdaClient(self.calls, lambda *call: self.told.append(call))


@asynccontextmanager
async def served(*answers, keys=(), base="") -> AsyncIterator[Served]:
    async with wire(*answers) as scripted:
        clients = Served(scripted, KnownIdentity(*keys), base)
        try:
            yield clients
        finally:
            await clients.calls.close()


async def failure_of(call) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await call
    return caught.value


async def test_a_json_call_is_one_signed_post_and_its_answer_is_parsed():
    async with served(answer(body=b'{"Messages":[{"Body":"\xc3\xa9"}]}')) as at:
        result = await at.sqs.call("ReceiveMessage", {"QueueUrl": "http://q/\u00e9"})

        (request,) = at.wire.requests
        assert result == {"Messages": [{"Body": "\u00e9"}]}
        assert request.line == "POST / HTTP/1.1"
        assert request.headers["x-amz-target"] == "AmazonSQS.ReceiveMessage"
        assert request.headers["content-type"] == "application/x-amz-json-1.0"
        assert request.headers["x-amz-security-token"] == "token"
        assert "Credential=AK1/" in request.headers["authorization"]
        assert orjson.loads(request.body) == {"QueueUrl": "http://q/\u00e9"}
        assert at.told == [("sqs", "ReceiveMessage", "OK")]


async def test_an_empty_answer_is_an_empty_result():
    async with served(answer(body=b"")) as at:
        assert await at.sqs.call("DeleteMessage", {}) == {}


async def test_connections_are_used_again():
    async with served() as at:
        for _ in range(3):
            await at.sqs.call("ReceiveMessage", {})

        assert [request.connection for request in at.wire.requests] == [1, 1, 1]


async def test_an_invoke_keeps_escaped_arn_qualifier_base_path_and_payload_as_they_are_signed():
    async with served(answer(200, b"null", X_Amz_Executed_Version="7"), base="/base") as at:
        reply = await at.lambda_.invoke(ARN, b'{"Records":[]}', qualifier="$LATEST", trace="Root=1-a;Sampled=1")

        (request,) = at.wire.requests
        path = f"/base/2015-03-31/functions/{ARN.replace(':', '%3A')}/invocations?Qualifier=%24LATEST"
        assert reply == InvokeReply(200, {"content-length": "4", "x-amz-executed-version": "7"}, b"null")
        assert request.line == f"POST {path} HTTP/1.1"
        assert request.headers["x-amz-invocation-type"] == "RequestResponse"
        assert request.headers["x-amzn-trace-id"] == "Root=1-a;Sampled=1"
        assert request.body == b'{"Records":[]}'


@pytest.mark.parametrize("trace", ["Root=1\r\nX-Evil: 1", "Root=\x00", "Root=\u00e9"])
async def test_a_trace_that_cannot_be_a_header_is_left_out_and_the_invoke_goes_on(trace):
    async with served() as at:
        reply = await at.lambda_.invoke("orders", b"{}", trace=trace)

        assert reply.status == 200
        assert "x-amzn-trace-id" not in at.wire.requests[0].headers
        assert "x-evil" not in at.wire.requests[0].headers


async def test_a_payload_of_six_megabytes_arrives_whole():
    payload = b"x" * 6_291_456
    async with served() as at:
        await at.lambda_.invoke("orders", payload)

        assert at.wire.requests[0].body == payload


@pytest.mark.parametrize("status", [307, 402, 413, 429, 500, 503])
async def test_an_invokes_status_is_an_answer_and_is_never_repeated_or_followed(status):
    async with served(answer(status, b"{}", location="http://127.0.0.1:1/")) as at:
        reply = await at.lambda_.invoke("orders", b"{}")

        assert (reply.status, len(at.wire.requests)) == (status, 1)


async def test_a_refusal_is_typed_by_its_code():
    body = b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no such queue"}'
    async with served(answer(400, body, x_amzn_requestid="r-9", retry_after="4")) as at:
        failure = await failure_of(at.sqs.call("ReceiveMessage", {}))

        assert isinstance(failure, Refused)
        assert (failure.status, failure.code, failure.message) == (400, "QueueDoesNotExist", "no such queue")
        assert (failure.request_id, failure.retry_after) == ("r-9", 4.0)
        assert at.told == [("sqs", "ReceiveMessage", "QueueDoesNotExist")]


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"a":', b"null", b"\xff\xfe"])
async def test_an_answer_that_is_not_a_json_object_is_a_failure_with_a_sentence(body):
    async with served(answer(200, body)) as at:
        failure = await failure_of(at.sqs.call("ReceiveMessage", {}))

        assert failure.code == "UnreadableAnswer"
        assert "JSON" in failure.message


@pytest.mark.parametrize(
    "reply",
    [reset, answer(200, b"{}")[:-1], b"HTTP/1.1 200 X\r\ncontent-le", b"SSH-2.0-OpenSSH\r\n\r\n"],
    ids=["reset", "cut off in the body", "cut off in the head", "not HTTP"],
)
async def test_a_broken_answer_is_unreachable_and_never_sent_again(reply):
    async def send_and_close(writer):
        writer.write(reply)
        await writer.drain()

    async with served(reply if reply is reset else send_and_close) as at:
        failure = await failure_of(at.lambda_.invoke("orders", b"{}"))

        assert isinstance(failure, Unreachable)
        assert failure.message
        assert len(at.wire.requests) == 1


async def test_an_invoke_whose_reused_connection_is_closed_is_not_sent_again_by_the_http_client():
    async with served(answer(), reset) as at:
        await at.lambda_.invoke("orders", b"1")
        failure = await failure_of(at.lambda_.invoke("orders", b"2"))

        assert isinstance(failure, Unreachable)
        assert [request.body for request in at.wire.requests] == [b"1", b"2"]


async def test_a_refused_connection_is_unreachable_and_names_the_endpoint():
    async with served() as at:
        pass
    calls = SignedCalls("http://127.0.0.1:1", "r", KnownIdentity(), Transport("http://127.0.0.1:1", None), Clock())
    try:
        failure = await failure_of(JsonClient(calls, SQS, lambda *_: None).call("ReceiveMessage", {}))
    finally:
        await calls.close()

    assert isinstance(failure, Unreachable)
    assert "127.0.0.1:1" in failure.message
    assert at.told == []


async def test_no_answer_in_time_is_a_time_out():
    async with served(hang) as at:
        failure = await failure_of(at.sqs.call("ReceiveMessage", {}, timeout=0.05))

        assert isinstance(failure, TimedOut)
        await asyncio.wait_for(at.wire.closed.wait(), 5)


async def test_a_cancelled_call_closes_its_connection_and_the_next_call_is_not_answered_by_it():
    async with served(hang, answer(200, b'{"mine":1}')) as at, asyncio.TaskGroup() as group:
        task = group.create_task(at.sqs.call("ReceiveMessage", {}), name="call")
        await at.wire.arrived.wait()
        task.cancel()
        await asyncio.wait_for(at.wire.closed.wait(), 5)

        assert await at.sqs.call("ReceiveMessage", {}) == {"mine": 1}
        assert [request.connection for request in at.wire.requests] == [1, 2]


async def test_an_endless_answer_is_bounded():
    async def endless(writer):
        writer.write(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
        while True:
            writer.write(chunk)
            await writer.drain()

    async with served(endless) as at:
        failure = await failure_of(at.lambda_.invoke("orders", b"{}", timeout=30.0))

        assert isinstance(failure, Unreachable)


async def test_a_skewed_clock_is_corrected_and_the_refused_call_sent_once_more():
    date = formatdate(time.time() + 3600, usegmt=True)
    refusal = answer(403, b'{"message":"Signature expired"}', x_amzn_errortype="InvalidSignatureException", date=date)
    async with served(refusal, answer(), answer()) as at:
        await at.lambda_.invoke("orders", b"{}")
        await at.lambda_.invoke("orders", b"{}")

        stamps = [request.headers["x-amz-date"] for request in at.wire.requests]
        assert len(stamps) == 3
        assert stamps[0] < stamps[1] <= stamps[2]


async def test_a_signature_refused_although_the_clocks_agree_stays_refused():
    date = formatdate(time.time(), usegmt=True)
    async with served(answer(403, x_amzn_errortype="SignatureDoesNotMatch", date=date)) as at:
        reply = await at.lambda_.invoke("orders", b"{}")

        assert (reply.status, len(at.wire.requests)) == (403, 1)


async def test_an_expired_token_is_replaced_once():
    refusal = answer(403, x_amzn_errortype="ExpiredTokenException")
    async with served(refusal, answer(200, b"null"), keys=("AK1", "AK2")) as at:
        reply = await at.lambda_.invoke("orders", b"{}")

        assert reply.status == 200
        assert [
            "Credential=AK1/" in at.wire.requests[0].headers["authorization"],
            "Credential=AK2/" in at.wire.requests[1].headers["authorization"],
        ] == [True, True]


async def test_a_token_that_stays_expired_is_a_refusal_after_one_repetition():
    refusal = answer(403, b'{"message":"expired"}', x_amzn_errortype="ExpiredTokenException")
    async with served(refusal, refusal, refusal) as at:
        failure = await failure_of(at.sqs.call("ReceiveMessage", {}))

        assert (failure.code, len(at.wire.requests)) == ("ExpiredTokenException", 2)
