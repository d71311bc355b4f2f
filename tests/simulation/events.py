"""Knows what is in the events that functions are sent and in their answers: the rules again, independently of the service's."""

import base64
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outboard.aws.calls import InvokeReply
from tests.simulation.history import Attempt

#: What the names of topics begin with here, and so those of the lanes that their records are known by.
TOPIC = "topic-"


@dataclass(frozen=True, slots=True)
class Event:
    """What of one record of an event matters here."""

    message: str
    handle: str
    body: str
    shard: str = ""
    key: str = ""


def _read(record: Mapping[str, Any]) -> Event:
    if "kinesis" not in record:
        return Event(record["messageId"], record["receiptHandle"], record["body"])
    inner = record["kinesis"]
    message, body = read_data(base64.b64decode(inner["data"]))
    shard, _, number = record["eventID"].partition(":")
    return Event(message, number if number == inner["sequenceNumber"] else "", body, shard, inner["partitionKey"])


def events_of(event: Mapping[str, Any]) -> Iterator[Event]:
    if "records" not in event:
        yield from map(_read, event["Records"])
        return
    for place, records in event["records"].items():
        for record in records:
            message, body = read_data(base64.b64decode(record["value"]))
            name = json.dumps({"partition": place, "offset": record["offset"]})
            handle = name if place == f"{record['topic']}-{record['partition']}" else ""
            yield Event(message, handle, body, place, base64.b64decode(record["key"]).decode())


def shown(identifier: str) -> object:
    """As a function reports it: Kafka's are objects."""
    return json.loads(identifier) if identifier.startswith("{") else identifier


def _named(identifier: object) -> object:
    return json.dumps(identifier) if isinstance(identifier, dict) else identifier


def data_of(message: str, body: str) -> bytes:
    """What is put into a stream; it says which record it is."""
    return f"{message}:{body}".encode()


def read_data(data: bytes) -> tuple[str, str]:
    message, _, body = data.decode().partition(":")
    return message, body


def done_in(attempt: Attempt, reply: InvokeReply, *, partial: bool) -> frozenset[str]:
    """Of a stream's batch that is what stands before the first record that was reported; of a topic's, what was not."""
    done = done_of(reply, attempt.identifiers, partial=partial)
    by_identifier = dict(zip(attempt.identifiers, attempt.batch, strict=True))
    if not attempt.shard or attempt.shard.startswith(TOPIC):
        return frozenset(by_identifier[identifier] for identifier in done)
    before = itertools.takewhile(set(done).__contains__, attempt.identifiers)
    return frozenset(by_identifier[identifier] for identifier in before)


def done_of(reply: InvokeReply, batch: Sequence[str], *, partial: bool) -> Sequence[str]:
    """What an answer says is processed: the rules again, written independently of the service's own."""
    marked = "x-amz-executed-version" in reply.headers
    if reply.status != 200 or "x-amz-function-error" in reply.headers:
        return ()
    if not marked and _looks_failed(reply.body):
        return ()
    if not partial:
        return batch
    try:
        body = json.loads(reply.body or b"null")
    except ValueError:
        return ()
    if body in (None, "", [], {}):
        return batch
    failures = body.get("batchItemFailures") if isinstance(body, dict) else 0
    if failures in (None, []):
        return batch if "batchItemFailures" in body else ()
    if not isinstance(failures, list):
        return ()
    listed = [_named(item.get("itemIdentifier")) if isinstance(item, dict) else None for item in failures]
    return () if set(listed) - set(batch) else [identifier for identifier in batch if identifier not in listed]


def _looks_failed(body: bytes) -> bool:
    if not body or body.startswith(b"Task timed out after"):
        return True
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and "errorType" in answer and "errorMessage" in answer
