"""Knows the SQS calls that a poller makes and how their answers read; retries nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outboard.aws.calls import JsonService, Unreachable
from outboard.config.arns import Arn

#: SQS takes and gives at most this many messages a call.
MOST_PER_CALL = 10

#: The largest message that SQS takes, where the queue names no limit of its own.
_LARGEST_MESSAGE = 1_048_576

#: Seconds for a call to be answered, a receive's long poll on top.
ANSWER = 10.0


@dataclass(frozen=True, slots=True)
class QueueAttributes:
    """What matters of a queue's attributes; `visibility_timeout` in seconds, `maximum_message_size` in bytes."""

    visibility_timeout: float
    maximum_message_size: int = _LARGEST_MESSAGE


@dataclass(frozen=True, slots=True)
class EntryError:
    """Why SQS did not do a batch call's work for one receipt handle; `sender_fault` errors do not go away."""

    code: str
    message: str
    sender_fault: bool


def url_of(endpoint: str, queue: Arn) -> str:
    """A queue's URL, made of where SQS answers and the queue's ARN."""
    return f"{endpoint.rstrip('/')}/{queue.account}/{queue.resource}"


class SqsQueue:
    """One queue behind a signed client. Every method raises `CallFailed`."""

    def __init__(self, service: JsonService, url: str) -> None:
        self._service = service
        self._url = url

    async def attributes(self) -> QueueAttributes:
        answer = await self._call("GetQueueAttributes", {"AttributeNames": ["VisibilityTimeout", "MaximumMessageSize"]})
        found = answer.get("Attributes") or {}
        try:
            return QueueAttributes(
                float(found.get("VisibilityTimeout", 30)), int(found.get("MaximumMessageSize", _LARGEST_MESSAGE))
            )
        except (AttributeError, TypeError, ValueError) as error:
            raise Unreachable("UnreadableAnswer", "the queue's attributes are not what SQS documents") from error

    async def receive(self, count: int, wait: int, visibility: int | None) -> Sequence[Mapping[str, Any]]:
        """Up to `count` messages as SQS describes them, after a long poll of at most `wait` seconds.

        `visibility` overrides the queue's own timeout, in seconds.
        """
        body: dict[str, object] = {
            "MaxNumberOfMessages": count,
            "WaitTimeSeconds": wait,
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        }
        if visibility is not None:
            body["VisibilityTimeout"] = visibility
        answer = await self._call("ReceiveMessage", body, wait + ANSWER)
        messages: object = answer.get("Messages") or ()
        if isinstance(messages, (list, tuple)) and all(map(_is_message, messages)):
            return messages
        raise Unreachable("UnreadableAnswer", "an answer to ReceiveMessage is not what SQS documents")

    async def delete(self, handles: Sequence[str]) -> dict[str, EntryError]:
        """Delete up to ten messages; returns the handles it did not do and why."""
        entries = [{"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(handles)]
        return _errors(await self._call("DeleteMessageBatch", {"Entries": entries}), handles)

    async def change_visibility(
        self, asked: Sequence[tuple[str, int]], timeout: float = ANSWER
    ) -> dict[str, EntryError]:
        """Make up to ten messages visible again in so many seconds; returns the handles it did not do and why."""
        entries = [
            {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for index, (handle, seconds) in enumerate(asked)
        ]
        answer = await self._call("ChangeMessageVisibilityBatch", {"Entries": entries}, timeout)
        return _errors(answer, [handle for handle, _ in asked])

    async def _call(self, operation: str, body: Mapping[str, object], timeout: float = ANSWER) -> dict[str, Any]:
        return await self._service.call(operation, {"QueueUrl": self._url, **body}, timeout=timeout)


def _is_message(entry: object) -> bool:
    """Whether it has what a message is nothing without."""
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("MessageId"), str)
        and isinstance(entry.get("ReceiptHandle"), str)
        and isinstance(entry.get("Body"), str)
    )


def _errors(answer: Mapping[str, Any], handles: Sequence[str]) -> dict[str, EntryError]:
    """By handle; one that the answer does not mention at all counts as not done. Raises `Unreachable` for rubbish."""
    try:
        return _read_errors(answer, handles)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Unreachable("UnreadableAnswer", "an answer to a batch call is not what SQS documents") from error


def _read_errors(answer: Mapping[str, Any], handles: Sequence[str]) -> dict[str, EntryError]:
    failed = {
        handles[int(entry["Id"])]: EntryError(
            str(entry.get("Code", "Unknown")), str(entry.get("Message", "")), bool(entry.get("SenderFault", False))
        )
        for entry in answer.get("Failed") or ()
    }
    done = {handles[int(entry["Id"])] for entry in answer.get("Successful") or ()}
    unmentioned = EntryError("NotMentioned", "the answer does not mention this message", sender_fault=False)
    return failed | {handle: unmentioned for handle in handles if handle not in done and handle not in failed}
