"""Knows what a record is once it has been read: bytes of event JSON to join, and what it takes to settle it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

#: Lambda refuses a synchronous request body above this, envelope included (HTTP 413).
PAYLOAD_LIMIT = 6_291_456

#: What a function names in `itemIdentifier`: a messageId, a sequence number, or Kafka's (topic-partition, offset).
Identifier = str | tuple[str, int]


class DropReason(StrEnum):
    """Why a record was given up: the conditions of AWS's on-failure records."""

    RETRY_ATTEMPTS_EXHAUSTED = "retry_attempts_exhausted"
    RECORD_AGE_EXCEEDED = "record_age_exceeded"
    PAYLOAD_TOO_LARGE = "payload_too_large"


class Record(NamedTuple):
    """One record, rendered once. A tuple, since there are tens of thousands a second: a frozen dataclass takes twice as
    long to make.

    Attributes:
        identifier: what the function names to report it as failed.
        event: the bytes of its JSON inside the event.
        timestamp: epoch seconds at its source; 0 means unknown, and such a record has no age.
        key: records that share a non-empty key must never overtake each other.
        token: what its source needs to settle it (a receipt handle, a sequence number); opaque to everybody else.
    """

    identifier: Identifier
    event: bytes
    timestamp: float = 0.0
    key: str = ""
    token: object = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """The bytes around a batch's records; `prefix + b",".join(events) + suffix` is the payload."""

    prefix: bytes = b'{"Records":['
    suffix: bytes = b"]}"

    @property
    def size(self) -> int:
        return len(self.prefix) + len(self.suffix)

    def payload(self, records: Sequence[Record]) -> bytes:
        """Join the records into what is sent to the function."""
        return b"".join((self.prefix, b",".join([record.event for record in records]), self.suffix))

    def payload_size(self, records: Sequence[Record]) -> int:
        """The exact length of `payload(records)` without building it."""
        return self.size + sum([len(record.event) for record in records]) + max(0, len(records) - 1)
