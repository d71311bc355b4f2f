"""Knows AWS's event JSON for an SQS message: its keys, their order and types, and when the attributes' MD5 is there."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from outboard.core.records import Record

#: The order in which AWS writes a message's system attributes.
_ATTRIBUTE_ORDER = (
    "DeadLetterQueueSourceArn",
    "ApproximateReceiveCount",
    "AWSTraceHeader",
    "SentTimestamp",
    "SequenceNumber",
    "MessageGroupId",
    "SenderId",
    "MessageDeduplicationId",
    "ApproximateFirstReceiveTimestamp",
)

#: What can be sent on as an HTTP header; anything else in AWSTraceHeader is the function's business alone.
_TRACE_HEADER = re.compile("[ -~]{1,1024}")


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What every event of one mapping has in common.

    Attributes:
        arn: the queue's ARN; one that ends in `.fifo` is a FIFO queue's.
        region: the queue's region.
        md5_null: what AWS does with md5OfMessageAttributes of a message without attributes: null if the mapping has a
            window or a filter, absent if it has neither.
    """

    arn: str
    region: str
    md5_null: bool = False
    fifo: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fifo", self.arn.endswith(".fifo"))


class TracedHandle(str):
    """A receipt handle that carries its message's X-Ray header: it costs the messages without one nothing."""

    __slots__ = ("trace",)
    trace: str


def render(message: Mapping[str, Any], queue: QueueFacts) -> Record:
    """The record of one entry of ReceiveMessage's `Messages`; its token is the receipt handle, a str.

    Its key is the message group on a FIFO queue only: on a standard queue (a fair queue) groups have no order.
    """
    attributes = message.get("Attributes") or {}
    names = tuple(attributes)
    ordered = _ordered(names)
    event = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message.get("Body", ""),
        "attributes": attributes if ordered is names else {name: attributes[name] for name in ordered},
    }
    if custom := message.get("MessageAttributes"):
        event["messageAttributes"] = {name: _message_attribute(value) for name, value in custom.items()}
        event["md5OfMessageAttributes"] = message.get("MD5OfMessageAttributes")
    else:
        event["messageAttributes"] = {}
        if queue.md5_null:
            event["md5OfMessageAttributes"] = None
    event["md5OfBody"] = message.get("MD5OfBody", "")
    event["eventSource"] = "aws:sqs"
    event["eventSourceARN"] = queue.arn
    event["awsRegion"] = queue.region
    return Record(
        identifier=event["messageId"],
        event=_dumps(event),
        timestamp=_seconds(attributes.get("SentTimestamp")),
        key=_group(attributes.get("MessageGroupId", "")) if queue.fifo else "",
        token=_traced(message) if "AWSTraceHeader" in attributes else event["receiptHandle"],
    )


def _group(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"MessageGroupId is {value!r}")
    return value


def trace(records: Sequence[Record]) -> str | None:
    """The X-Ray header of the first of `records` that has one, for the batch's X-Amzn-Trace-Id."""
    for record in records:
        if isinstance(record.token, TracedHandle):
            return record.token.trace
    return None


@lru_cache(maxsize=256)
def _ordered(names: tuple[str, ...]) -> tuple[str, ...]:
    """`names` in AWS's order, those unknown last as received; the very same tuple if it was in that order already."""
    known = tuple(name for name in _ATTRIBUTE_ORDER if name in names)
    ordered = known + tuple(name for name in names if name not in _ATTRIBUTE_ORDER)
    return names if ordered == names else ordered


def _traced(message: Mapping[str, Any]) -> str:
    header = message["Attributes"]["AWSTraceHeader"]
    if not (isinstance(header, str) and _TRACE_HEADER.fullmatch(header)):
        return str(message["ReceiptHandle"])
    handle = TracedHandle(message["ReceiptHandle"])
    handle.trace = header
    return handle


def _message_attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    rendered: dict[str, Any] = {}
    if "StringValue" in value:
        rendered["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        rendered["binaryValue"] = value["BinaryValue"]
    rendered["stringListValues"] = value.get("StringListValues", [])
    rendered["binaryListValues"] = value.get("BinaryListValues", [])
    rendered["dataType"] = value["DataType"]
    return rendered


def _dumps(event: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(event)
    except orjson.JSONEncodeError:
        # A lone surrogate has no UTF-8; JSON can hold it as an escape, so the function gets what the sender sent.
        return json.dumps(event, separators=(",", ":")).encode("ascii")


def _seconds(milliseconds: object) -> float:
    """Epoch seconds, 0 where the source gave no usable time."""
    try:
        return max(0, int(str(milliseconds))) / 1000
    except (ValueError, OverflowError):
        return 0.0
