"""An SQS queue in memory on the loop's clock, behind the signed client's interface, and what a feed works with."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outboard.aws.calls import CallFailed, Refused
from outboard.core.price import Price
from outboard.events.sqs import QueueFacts
from outboard.runtime.budget import ByteBudget, Share
from outboard.sources.sqs.feed import Desk
from outboard.sources.sqs.groups import LiveGroups
from outboard.sources.sqs.queue import SqsQueue
from outboard.sources.sqs.receipts import Receipts
from tests.unit.observe.stage import Stage

URL = "http://localhost:9324/123456789012/orders"
ARN = "arn:aws:sqs:eu-west-1:123456789012:orders"

DENIED = Refused(403, "AccessDenied", "not authorized")
BROKEN = Refused(500, "InternalFailure", "try again")
Answer = CallFailed | Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass(slots=True)
class Message:
    identifier: str
    body: str
    group: str = ""
    visible_at: float = 0.0
    handle: str = ""
    receives: int = 0


class FakeSqs:
    """`answers[operation]` are used up first, one a call: errors, or functions of the body."""

    def __init__(self, visibility: float = 30.0) -> None:
        self.visibility = visibility
        self.messages: dict[str, Message] = {}
        self.deleted: list[str] = []
        self.calls: list[tuple[float, str, Mapping[str, Any]]] = []
        self.answers: dict[str, list[Answer]] = {}
        self.seconds: dict[str, float] = {}
        self._receipts = 0

    def send(self, *identifiers: str, body: str = "hello", group: str = "") -> None:
        for identifier in identifiers:
            self.messages[identifier] = Message(identifier, body, group)

    def made(self, operation: str) -> list[Mapping[str, Any]]:
        """The bodies of all calls of `operation`."""
        return [body for _, called, body in self.calls if called == operation]

    def times(self, operation: str) -> list[float]:
        """Seconds from the start of the test to each call of `operation`."""
        return [round(at - 1000.0, 3) for at, called, _ in self.calls if called == operation]

    def visible(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        return [message.identifier for message in self.messages.values() if message.visible_at <= now]

    async def call(self, operation: str, body: Mapping[str, object], *, timeout: float = 10.0) -> dict[str, Any]:
        self.calls.append((asyncio.get_running_loop().time(), operation, body))
        await asyncio.sleep(self.seconds.get(operation, 0.0))
        scripted = self.answers.get(operation)
        if scripted:
            answer = scripted.pop(0)
            if isinstance(answer, CallFailed):
                raise answer
            return answer(body)
        match operation:
            case "GetQueueAttributes":
                return {"Attributes": {"VisibilityTimeout": str(int(self.visibility))}}
            case "ReceiveMessage":
                return await self._receive(body)
            case "DeleteMessageBatch":
                return self._each(body, self._delete)
            case "ChangeMessageVisibilityBatch":
                return self._each(body, self._change)
        raise AssertionError(operation)

    async def _receive(self, body: Mapping[str, Any]) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        until = loop.time() + body["WaitTimeSeconds"]
        while not (found := self.visible()) and loop.time() < until - 1e-6:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(min(0.05, until - loop.time()))
        taken = [self.messages[identifier] for identifier in found[: body["MaxNumberOfMessages"]]]
        for message in taken:
            self._receipts += 1
            message.handle = f"{message.identifier}#{self._receipts}"
            message.receives += 1
            message.visible_at = loop.time() + body.get("VisibilityTimeout", self.visibility)
        return {"Messages": [described(message) for message in taken]} if taken else {}

    def _each(self, body: Mapping[str, Any], apply: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
        done = {entry["Id"]: apply(entry) for entry in body["Entries"]}
        return {
            "Successful": [{"Id": identifier} for identifier, worked in done.items() if worked],
            "Failed": [
                failed(identifier, "ReceiptHandleIsInvalid") for identifier, worked in done.items() if not worked
            ],
        }

    def _delete(self, entry: Mapping[str, Any]) -> bool:
        message = self._of(entry)
        if message is not None:
            del self.messages[message.identifier]
            self.deleted.append(message.identifier)
        return True

    def _change(self, entry: Mapping[str, Any]) -> bool:
        message = self._of(entry)
        if message is not None:
            message.visible_at = asyncio.get_running_loop().time() + entry["VisibilityTimeout"]
        return message is not None

    def _of(self, entry: Mapping[str, Any]) -> Message | None:
        return next((each for each in self.messages.values() if each.handle == entry["ReceiptHandle"]), None)


def failed(identifier: str, code: str, *, fault: bool = True) -> dict[str, Any]:
    return {"Id": identifier, "Code": code, "Message": "it did not work", "SenderFault": fault}


def described(message: Message) -> dict[str, Any]:
    attributes = {"SentTimestamp": "1700000000000", "ApproximateReceiveCount": str(message.receives)}
    if message.group:
        attributes["MessageGroupId"] = message.group
    return {
        "MessageId": message.identifier,
        "ReceiptHandle": message.handle,
        "Body": message.body,
        "Attributes": attributes,
    }


class SteadyPace:
    """As many pollers as there are; notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, bool]] = []
        self.polls = 0
        self.too_many = False
        self.failed: list[bool] = []
        self.quiet = False

    def polling(self) -> None:
        self.polls += 1

    def polled(self, messages: int, asked: int, *, leaving: bool) -> None:
        self.told.append((messages, asked, leaving))

    def surplus(self, *, idle: bool, backlog: bool) -> bool:
        return self.too_many

    def settled(self, *, failed: bool) -> None:
        self.failed.append(failed)


class Scene:
    """A queue, its receipts, and the desk that feeds share; the jitter is none."""

    def __init__(
        self,
        *,
        visibility: float = 30.0,
        fifo: bool = False,
        window: float = 0.0,
        budget: int = 64 * 1024 * 1024,
        receives: int = 100,
    ) -> None:
        self.stage = Stage()
        self.sqs = FakeSqs(visibility)
        self.queue = SqsQueue(self.sqs, URL)
        self.receipts = Receipts(self.queue, visibility, self.stage.observer, lambda: 0.0)
        self.share: Share = ByteBudget(budget).share("orders")
        self.pace = SteadyPace()
        self.desk = Desk(
            queue=self.queue,
            facts=QueueFacts(ARN + ".fifo" if fifo else ARN, "eu-west-1"),
            receipts=self.receipts,
            groups=LiveGroups(),
            allowance=self.share,
            pace=self.pace,
            observer=self.stage.observer,
            jitter=lambda: 0.0,
            window=window,
            price=Price(),
            receives=asyncio.Semaphore(receives),
        )

    async def received(self, count: int = 10) -> list[str]:
        """Receive once past every feed; returns the handles, which are held from now on."""
        handles = [message["ReceiptHandle"] for message in await self.queue.receive(count, 0, None)]
        self.receipts.received(handles)
        return handles
