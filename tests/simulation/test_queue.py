"""The simulated SQS behaves as SQS does, and its calls fail as calls do."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from outboard.aws.calls import Refused, TimedOut, Unreachable
from tests.simulation.history import Caller, History
from tests.simulation.loop import START, Process, VirtualTimeLoop, run
from tests.simulation.network import Faults, Network
from tests.simulation.queue import Queue
from tests.simulation.sqs import SimulatedSqs

_URL = "http://m0/123456789012/q"


@dataclass
class Bench:
    loop: VirtualTimeLoop
    queue: Queue
    sqs: SimulatedSqs
    faults: Faults
    history: History

    async def receive(self, count: int = 10, wait: int = 0, **more: object) -> list[dict[str, Any]]:
        body = {"QueueUrl": _URL, "MaxNumberOfMessages": count, "WaitTimeSeconds": wait, **more}
        answer = await self.sqs.call("ReceiveMessage", body, timeout=wait + 10.0)
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    async def ids(self, count: int = 10, wait: int = 0, **more: object) -> list[str]:
        return [message["MessageId"] for message in await self.receive(count, wait, **more)]

    async def delete(self, *handles: str) -> dict[str, Any]:
        entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
        return await self.sqs.call("DeleteMessageBatch", {"QueueUrl": _URL, "Entries": entries})

    async def show_in(self, seconds: int, *handles: str) -> dict[str, Any]:
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, handle in enumerate(handles)
        ]
        return await self.sqs.call("ChangeMessageVisibilityBatch", {"QueueUrl": _URL, "Entries": entries})


def with_queue(
    body: Callable[[Bench], Awaitable[Any]], *, fifo: bool = False, visibility: int = 30, redrive: int = 0
) -> Any:
    async def main(loop: VirtualTimeLoop) -> Any:
        history, faults = History(), Faults()
        queue = Queue(loop, random.Random(1), "q", fifo=fifo, visibility=visibility, redrive=redrive)
        network = Network(loop, random.Random(2), faults, history)
        bench = Bench(loop, queue, SimulatedSqs({"q": queue}, Caller(Process("p"), "m0"), network), faults, history)
        return await body(bench)

    return run(main)


def test_a_received_message_has_the_shape_of_sqs() -> None:
    async def body(bench: Bench) -> list[dict[str, Any]]:
        bench.queue.send("id-1", "hello", "g")
        return await bench.receive()

    assert with_queue(body, fifo=True) == [
        {
            "MessageId": "id-1",
            "ReceiptHandle": "id-1+1",
            "MD5OfBody": "5d41402abc4b2a76b9719d911017c592",
            "Body": "hello",
            "Attributes": {
                "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                "ApproximateFirstReceiveTimestamp": "1700000000011",
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1700000000000",
                "SequenceNumber": "18850000000000000001",
                "MessageDeduplicationId": "id-1",
                "MessageGroupId": "g",
            },
        }
    ]


def test_a_long_poll_is_answered_as_soon_as_there_is_a_message() -> None:
    async def body(bench: Bench) -> tuple[list[str], float]:
        bench.loop.call_later(3.0, bench.queue.send, "a", "x")
        return await bench.ids(wait=20), bench.loop.time() - START

    ids, seconds = with_queue(body)
    assert ids == ["a"]
    assert seconds == pytest.approx(3.0, abs=0.1)


def test_an_empty_long_poll_takes_all_its_time() -> None:
    async def body(bench: Bench) -> tuple[list[str], float]:
        return await bench.ids(wait=20), bench.loop.time() - START

    ids, seconds = with_queue(body)
    assert ids == []
    assert seconds == pytest.approx(20.0, abs=0.1)


def test_a_message_comes_again_when_its_visibility_time_out_is_over_and_the_old_handle_is_dead() -> None:
    async def body(bench: Bench) -> tuple[list[str], list[str], dict[str, Any]]:
        bench.queue.lenient = False
        bench.queue.send("a", "x")
        (first,) = await bench.receive()
        hidden = await bench.ids()
        await asyncio.sleep(31.0)
        return hidden, await bench.ids(), await bench.delete(first["ReceiptHandle"])

    hidden, again, deleted = with_queue(body)
    assert (hidden, again) == ([], ["a"])
    assert deleted["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"


def test_visibility_can_be_extended_and_ended() -> None:
    async def body(bench: Bench) -> list[list[str]]:
        bench.queue.send("a", "x")
        (message,) = await bench.receive()
        await bench.show_in(60, message["ReceiptHandle"])
        await asyncio.sleep(45.0)
        extended = await bench.ids()
        await bench.show_in(0, message["ReceiptHandle"])
        return [extended, await bench.ids()]

    assert with_queue(body) == [[], ["a"]]


def test_a_shortened_visibility_wakes_a_waiting_receive() -> None:
    async def body(bench: Bench) -> tuple[list[str], float]:
        bench.queue.send("a", "x")
        (message,) = await bench.receive()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(bench.ids(wait=20), name="waiting")
            await bench.show_in(4, message["ReceiptHandle"])
        return waiting.result(), bench.loop.time() - START

    ids, seconds = with_queue(body)
    assert ids == ["a"]
    assert seconds == pytest.approx(4.0, abs=0.1)


def test_a_message_received_too_often_becomes_a_dead_letter() -> None:
    async def body(bench: Bench) -> tuple[list[list[str]], list[str]]:
        bench.queue.send("a", "x")
        seen = []
        for _ in range(3):
            seen.append(await bench.ids())
            await asyncio.sleep(31.0)
        return seen, list(bench.queue.dead_letters)

    assert with_queue(body, redrive=2) == ([["a"], ["a"], []], ["a"])


def test_a_fifo_group_gives_nothing_more_while_one_of_its_messages_is_in_flight() -> None:
    async def body(bench: Bench) -> list[list[str]]:
        for identifier, group in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")):
            bench.queue.send(identifier, "x", group)
        first = await bench.receive(2)
        others = await bench.ids()
        await bench.delete(first[0]["ReceiptHandle"])
        locked = await bench.ids()
        await bench.show_in(0, first[1]["ReceiptHandle"])
        return [[message["MessageId"] for message in first], others, locked, await bench.ids()]

    assert with_queue(body, fifo=True) == [["a1", "a2"], ["b1"], [], ["a2", "a3"]]


def test_an_expired_handle_deletes_nothing_from_a_fifo_queue() -> None:
    async def body(bench: Bench) -> dict[str, Any]:
        bench.queue.send("a", "x", "g")
        (message,) = await bench.receive()
        await asyncio.sleep(31.0)
        return await bench.delete(message["ReceiptHandle"])

    assert with_queue(body, fifo=True)["Failed"][0]["Code"] == "InvalidParameterValue"


def test_a_duplicate_is_shown_to_somebody_else_although_it_is_in_flight() -> None:
    async def body(bench: Bench) -> list[list[str]]:
        bench.queue.duplicates = 1.0
        bench.queue.send("a", "x")
        return [await bench.ids(), await bench.ids(wait=20)]

    assert with_queue(body) == [["a"], ["a"]]


@pytest.mark.parametrize(
    ("broken", "status", "code"), [("missing", 400, "QueueDoesNotExist"), ("forbidden", 403, "AccessDenied")]
)
def test_a_queue_can_be_missing_or_forbidden(broken: str, status: int, code: str) -> None:
    async def body(bench: Bench) -> tuple[int, str]:
        setattr(bench.queue, broken, True)
        with pytest.raises(Refused) as refused:
            await bench.receive()
        return refused.value.status, refused.value.code

    assert with_queue(body) == (status, code)


@pytest.mark.parametrize(
    ("fault", "error", "hidden"),
    [
        ("refused", Unreachable, False),
        ("reset", Unreachable, False),
        ("lost", Unreachable, True),
        ("throttled", Refused, False),
        ("failed", Refused, False),
        ("silent", TimedOut, False),
        ("mute", TimedOut, True),
    ],
)
def test_a_failed_receive_hides_the_messages_or_not(fault: str, error: type[Exception], hidden: bool) -> None:
    async def body(bench: Bench) -> list[str]:
        bench.queue.send("a", "x")
        bench.faults.always = fault
        with pytest.raises(error):
            await bench.receive()
        bench.faults.stop()
        return await bench.ids()

    assert with_queue(body) == ([] if hidden else ["a"])


def test_a_lost_answer_to_a_delete_has_deleted() -> None:
    async def body(bench: Bench) -> list[str]:
        bench.queue.send("a", "x")
        (message,) = await bench.receive()
        bench.faults.always = "lost"
        with pytest.raises(Unreachable):
            await bench.delete(message["ReceiptHandle"])
        return [deleted.message for deleted in bench.history.deleted]

    assert with_queue(body) == ["a"]


def test_a_receive_that_its_caller_cuts_off_still_hides_messages() -> None:
    async def body(bench: Bench) -> tuple[tuple[int, int], str]:
        receiving = asyncio.get_running_loop().create_task(bench.ids(wait=20), name="receive")
        await asyncio.sleep(1.0)
        receiving.cancel()
        await asyncio.wait({receiving})
        bench.queue.send("a", "x")
        return bench.queue.counts(), bench.history.exchanges[0].saw

    assert with_queue(body) == ((0, 1), "cut off")


def test_an_illegal_request_is_noted() -> None:
    async def body(bench: Bench) -> list[str]:
        with pytest.raises(Refused, match="illegal ReceiveMessage"):
            await bench.receive(count=11)
        return bench.history.illegal

    assert len(with_queue(body)) == 1
