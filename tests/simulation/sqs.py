"""Knows the calls of SQS: their requests, their answers' JSON, their error codes; behind them stands a `Queue`."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from outboard.aws.calls import Refused
from tests.simulation.history import Caller, Deleted, Exchange, Handed
from tests.simulation.loop import EPOCH, START
from tests.simulation.network import Answer, Network
from tests.simulation.queue import HandleInvalid, Message, Queue

_RECEIVE = {
    "QueueUrl", "AttributeNames", "MessageSystemAttributeNames", "MessageAttributeNames", "MaxNumberOfMessages",
    "VisibilityTimeout", "WaitTimeSeconds", "ReceiveRequestAttemptId",
}  # fmt: skip
_ATTRIBUTES = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "VisibilityTimeout", "QueueArn")


class SimulatedSqs:
    """A `JsonService` for one caller. A request that SQS would refuse as malformed is noted as illegal, too."""

    def __init__(
        self,
        queues: Mapping[str, Queue],
        caller: Caller,
        network: Network,
        entry_faults: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`queues` by the last part of their URL. `entry_faults`: the share of batch entries that fail alone."""
        self._queues = queues
        self._caller = caller
        self._network = network
        self._entry_faults = entry_faults

    async def call(self, operation: str, body: Mapping[str, object], *, timeout: float = 10.0) -> dict[str, Any]:
        answer: dict[str, Any] = await self._network.exchange(
            self._caller, operation, timeout, lambda call, reply: self._serve(call, body, reply), _in_words
        )
        return answer

    def _serve(self, call: Exchange, body: Mapping[str, Any], answer: Answer) -> None:
        operations: dict[str, Callable[[Exchange, Mapping[str, Any], Queue, Answer], None]] = {
            "ReceiveMessage": self._receive,
            "DeleteMessage": self._delete_one,
            "DeleteMessageBatch": self._delete,
            "ChangeMessageVisibility": self._change_one,
            "ChangeMessageVisibilityBatch": self._change,
            "GetQueueAttributes": self._attributes,
        }
        name = str(body.get("QueueUrl", body.get("QueueName", ""))).rsplit("/", 1)[-1]
        queue = self._queues.get(name)
        if queue is None or queue.missing:
            answer(Refused(400, "QueueDoesNotExist", "The specified queue does not exist."))
        elif queue.forbidden:
            answer(Refused(403, "AccessDenied", "User: arn:aws:sts::123456789012:assumed-role/o is not authorized."))
        elif call.operation == "GetQueueUrl":
            answer({"QueueUrl": f"https://sqs.eu-west-1.amazonaws.com/123456789012/{name}"})
        elif call.operation not in operations:
            self._refuse(answer, f"{call.operation} is no operation of SQS", "InvalidAction")
        else:
            operations[call.operation](call, body, queue, answer)

    def _refuse(self, answer: Answer, reason: str, code: str = "InvalidParameterValue") -> None:
        self._network.history.illegal.append(f"{self._caller}: {reason}")
        answer(Refused(400, code, reason))

    def _receive(self, call: Exchange, body: Mapping[str, Any], queue: Queue, answer: Answer) -> None:
        limit, wait = body.get("MaxNumberOfMessages", 1), body.get("WaitTimeSeconds", 0)
        visibility = body.get("VisibilityTimeout", queue.visibility)
        whole = all(type(number) is int for number in (limit, wait, visibility))
        if (
            not whole
            or not (1 <= limit <= 10 and 0 <= wait <= 20 and 0 <= visibility <= 43_200)
            or body.keys() - _RECEIVE
        ):
            self._refuse(answer, f"illegal ReceiveMessage {dict(body)}")
            return
        loop, history = self._network.loop, self._network.history

        def give(messages: list[Message]) -> None:
            now = loop.time()
            for message in messages:
                history.hand(Handed(call, message.id, message.handle, now, message.visible_at))
            call.messages = tuple(message.id for message in messages)
            if messages:
                history.say(now, queue.name, "hands", *(f"{m.id}#{m.receives}" for m in messages), "to", self._caller)
            empty: dict[str, Any] = {} if queue.lenient else {"Messages": []}
            answer({"Messages": [_shown(message) for message in messages]} if messages else empty)

        queue.receive(limit, float(visibility), float(wait), give)

    def _delete(self, call: Exchange, body: Mapping[str, Any], queue: Queue, answer: Answer) -> None:
        self._batch(call, body, queue, answer, self._delete_entry)

    def _change(self, call: Exchange, body: Mapping[str, Any], queue: Queue, answer: Answer) -> None:
        self._batch(call, body, queue, answer, self._change_entry)

    def _delete_one(self, call: Exchange, body: Mapping[str, Any], queue: Queue, answer: Answer) -> None:
        self._one(call, body, queue, answer, self._delete_entry)

    def _change_one(self, call: Exchange, body: Mapping[str, Any], queue: Queue, answer: Answer) -> None:
        self._one(call, body, queue, answer, self._change_entry)

    def _one(
        self, call: Exchange, body: Mapping[str, Any], queue: Queue, answer: Answer, apply: Callable[..., None]
    ) -> None:
        try:
            call.messages = _messages(queue, [body])
            apply(queue, body)
        except HandleInvalid as error:
            answer(Refused(400, str(error), "The receipt handle is not valid."))
        else:
            answer({})

    def _batch(
        self, call: Exchange, body: Mapping[str, Any], queue: Queue, answer: Answer, apply: Callable[..., None]
    ) -> None:
        entries = body.get("Entries", [])
        if not 1 <= len(entries) <= 10 or len({entry["Id"] for entry in entries}) != len(entries):
            self._refuse(answer, f"illegal {call.operation} of {len(entries)} entries")
            return
        call.messages = _messages(queue, entries)
        successful, failed = [], []
        for entry in entries:
            code = self._apply(call, queue, entry, apply)
            if code:
                sender = code != "InternalError"
                failed.append({"Id": entry["Id"], "Code": code, "Message": code, "SenderFault": sender})
            else:
                successful.append({"Id": entry["Id"]})
        answer(
            {"Successful": successful, "Failed": failed} if not queue.lenient else _without_empty(successful, failed)
        )

    def _apply(self, call: Exchange, queue: Queue, entry: Mapping[str, Any], apply: Callable[..., None]) -> str:
        """Returns SQS's error code, empty if it worked."""
        if self._network.rng.random() < self._entry_faults():
            call.fault = call.fault or "partial"
            return "InternalError"
        try:
            apply(queue, entry)
        except HandleInvalid as error:
            return str(error)
        return ""

    def _delete_entry(self, queue: Queue, entry: Mapping[str, Any]) -> None:
        message = queue.delete(entry["ReceiptHandle"])
        if message is not None:
            now = self._network.loop.time()
            self._network.history.deleted.append(Deleted(self._caller, queue.name, message.id, now))
            self._network.history.say(now, self._caller, "deleted", message.id)

    def _change_entry(self, queue: Queue, entry: Mapping[str, Any]) -> None:
        seconds = entry.get("VisibilityTimeout")
        if type(seconds) is not int or not 0 <= seconds <= 43_200:
            self._network.history.illegal.append(f"{self._caller}: illegal VisibilityTimeout {seconds!r}")
            raise HandleInvalid("InvalidParameterValue")
        message = queue.change_visibility(entry["ReceiptHandle"], seconds)
        now = self._network.loop.time()
        self._network.history.by_handle[message.handle].lapses = message.visible_at
        self._network.history.say(now, self._caller, "makes", message.id, "visible in", seconds, "s")

    def _attributes(self, call: Exchange, body: Mapping[str, Any], queue: Queue, answer: Answer) -> None:
        visible, hidden = queue.counts()
        arn = f"arn:aws:sqs:eu-west-1:123456789012:{queue.name}"
        values = dict(zip(_ATTRIBUTES, (str(visible), str(hidden), str(queue.visibility), arn), strict=True))
        if queue.fifo:
            values["FifoQueue"] = "true"
        wanted = body.get("AttributeNames", [])
        answer({"Attributes": {name: value for name, value in values.items() if "All" in wanted or name in wanted}})


def _messages(queue: Queue, entries: list[Any]) -> tuple[str, ...]:
    found = (queue.find(entry["ReceiptHandle"]) for entry in entries)
    return tuple(message.id for message in found if message is not None)


def _without_empty(successful: list[Any], failed: list[Any]) -> dict[str, Any]:
    return {key: value for key, value in (("Successful", successful), ("Failed", failed)) if value}


def _in_words(fault: str) -> Refused:
    if fault == "throttled":
        return Refused(400, "ThrottlingException", "Rate exceeded")
    return Refused(500, "InternalFailure", "The request processing has failed.")


def _milliseconds(at: float) -> str:
    return str(int((EPOCH + at - START) * 1000))


def _shown(message: Message) -> dict[str, Any]:
    attributes = {
        "SenderId": "AIDAIENQZJOLO23YVJ4VO",
        "ApproximateFirstReceiveTimestamp": _milliseconds(message.first_received or message.sent),
        "ApproximateReceiveCount": str(message.receives),
        "SentTimestamp": _milliseconds(message.sent),
    }
    if message.group:
        attributes |= {
            "SequenceNumber": f"{18_850_000_000_000_000_000 + message.sequence}",
            "MessageDeduplicationId": message.id,
            "MessageGroupId": message.group,
        }
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.handle,
        "MD5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
        "Body": message.body,
        "Attributes": attributes,
    }
