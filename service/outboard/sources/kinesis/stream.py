"""Knows the Kinesis calls that reading a stream takes and how their answers read; retries nothing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from outboard.aws.calls import CallFailed, JsonService, TimedOut, Unreachable
from outboard.config.arns import Arn
from outboard.core.shards import After, Beginning, Position, Shard, Since

#: GetRecords gives at most this many records a call.
MOST_PER_READ = 10_000

#: Seconds for a page to arrive. After one that did not, less is asked for.
_PAGE = 10.0

#: A listing is read to its end, but no stream has this many pages of a thousand shards.
_MOST_PAGES = 1000

_REMEDIES = {
    "ResourceNotFoundException": "the stream does not exist; create it or correct EventSourceArn",
    "AccessDeniedException": (
        "not allowed to read the stream; grant kinesis:DescribeStreamSummary, ListShards, GetShardIterator, GetRecords"
    ),
    "KMSAccessDeniedException": "not allowed to decrypt the stream; grant kms:Decrypt on its key",
    "KMSDisabledException": "the stream's KMS key is disabled; enable it",
    "KMSInvalidStateException": "the stream's KMS key cannot be used in its state; see to the key",
    "KMSNotFoundException": "the stream's KMS key does not exist; restore it or change the stream's encryption",
    "KMSOptInRequired": "the AWS account may not use KMS; subscribe to it",
}


@dataclass(frozen=True, slots=True)
class StreamDescription:
    """What matters of a stream. `created`: epoch seconds, which tell it from another one of its name; `status` is AWS's
    word, such as ACTIVE; `retention_hours` says how long a record can be read.
    """

    created: float
    status: str
    retention_hours: int


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of GetRecords.

    Attributes:
        entries: the records, in order, as they came.
        next_iterator: where to go on; None at the end of a closed shard.
        behind: seconds between the last record here and the newest in the shard.
        has_children: whether the shard was closed and its children are known.
    """

    entries: list[Mapping[str, Any]]
    next_iterator: str | None
    behind: float
    has_children: bool = False


class KinesisStream:
    """One stream behind a signed client. Every method raises `CallFailed`."""

    def __init__(self, service: JsonService, arn: Arn) -> None:
        self._service = service
        self._arn = str(arn)
        # Both, as AWS allows: servers beside AWS often know only one of them.
        self._both = {"StreamName": arn.resource.removeprefix("stream/"), "StreamARN": self._arn}

    @property
    def arn(self) -> str:
        return self._arn

    async def describe(self) -> StreamDescription:
        answer = await self._service.call("DescribeStreamSummary", self._both)
        with _understood("DescribeStreamSummary"):
            summary = answer["StreamDescriptionSummary"]
            return StreamDescription(
                float(summary.get("StreamCreationTimestamp") or 0.0),
                str(summary["StreamStatus"]),
                int(summary.get("RetentionPeriodHours") or 24),
            )

    async def shards(self) -> list[Shard]:
        """Every shard that is still listed, closed ones included."""
        found: list[Shard] = []
        request: Mapping[str, object] = self._both
        for _ in range(_MOST_PAGES):
            answer = await self._service.call("ListShards", request)
            with _understood("ListShards"):
                found += [_shard(entry) for entry in answer["Shards"]]
            token = answer.get("NextToken")
            if not token:
                return found
            request = {"NextToken": token}
        raise Unreachable("UnreadableAnswer", f"the list of shards has no end after {_MOST_PAGES} pages")

    async def iterator(self, shard: str, position: Position) -> str:
        """An iterator at `position`, which is not the shard's end."""
        answer = await self._service.call("GetShardIterator", {**self._both, "ShardId": shard, **_kind(position)})
        with _understood("GetShardIterator"):
            return _text(answer["ShardIterator"])

    async def read(self, iterator: str, limit: int) -> Page:
        """The next `limit` records at most; 10 MB at most, and none where there are none now."""
        request = {"ShardIterator": iterator, "Limit": limit, "StreamARN": self._arn}
        answer = await self._service.call("GetRecords", request, timeout=_PAGE)
        with _understood("GetRecords"):
            return Page(
                list(answer["Records"]),
                answer.get("NextShardIterator") or None,
                float(answer.get("MillisBehindLatest") or 0) / 1000,
                bool(answer.get("ChildShards")),
            )


@contextmanager
def _understood(operation: str) -> Iterator[None]:
    """Turns an answer that is not what Kinesis documents into a failed call."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreachable("UnreadableAnswer", f"the answer to {operation} is not what Kinesis documents") from error


def with_remedy(failure: CallFailed) -> str:
    """The failure for an operator, with what to do where only they can do it."""
    if isinstance(failure, TimedOut):
        return f"Kinesis did not answer in time: {failure.message}"
    remedy = _REMEDIES.get(failure.code)
    return f"{remedy} ({failure.message})" if remedy else failure.message


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("what Kinesis documents as text is none")
    return value


def _kind(position: Position) -> Mapping[str, object]:
    match position:
        case Beginning():
            return {"ShardIteratorType": "TRIM_HORIZON"}
        case Since(moment):
            return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": moment}
        case After(sequence_number):
            return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": sequence_number}
        case _:
            raise ValueError("nothing is read behind a shard's end")


def _shard(entry: Mapping[str, Any]) -> Shard:
    parents = (entry.get("ParentShardId"), entry.get("AdjacentParentShardId"))
    closed = bool((entry.get("SequenceNumberRange") or {}).get("EndingSequenceNumber"))
    return Shard(str(entry["ShardId"]), tuple(str(parent) for parent in parents if parent), closed)
