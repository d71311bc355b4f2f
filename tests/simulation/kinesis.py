"""Knows the calls of Kinesis: their requests, their answers' JSON, their error codes; behind them stands a `Stream`."""

import base64
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outboard.aws.calls import Refused
from tests.simulation.history import Caller, Exchange, ShardRead
from tests.simulation.loop import EPOCH, START
from tests.simulation.network import Answer, Network
from tests.simulation.stream import Entry, Shard, Stream

#: GetRecords answers with no more than this at once, in records and in bytes.
MOST_RECORDS = 10_000
MOST_BYTES = 10 * 1024 * 1024
#: Seconds for which an iterator is good.
ITERATOR_LIFE = 300.0

_STREAM = frozenset({"StreamName", "StreamARN"})
_FIELDS = {
    "DescribeStreamSummary": _STREAM,
    "ListShards": _STREAM | {"NextToken", "MaxResults"},
    "GetShardIterator": _STREAM | {"ShardId", "ShardIteratorType", "Timestamp", "StartingSequenceNumber"},
    "GetRecords": frozenset({"ShardIterator", "Limit", "StreamARN"}),
}


@dataclass(frozen=True, slots=True)
class _Iterator:
    """A place in a shard: the index of the next entry."""

    shard: Shard
    index: int
    made: float


class SimulatedKinesis:
    """A `JsonService` for one caller. A request that Kinesis would refuse as malformed is noted as illegal, too."""

    def __init__(self, stream: Stream, caller: Caller, network: Network) -> None:
        self._stream = stream
        self._caller = caller
        self._network = network
        self._iterators: dict[str, _Iterator] = {}
        self._numbers = itertools.count(1)

    async def call(self, operation: str, body: Mapping[str, object], *, timeout: float = 10.0) -> dict[str, Any]:
        answer: dict[str, Any] = await self._network.exchange(
            self._caller,
            operation,
            timeout,
            lambda call, reply: self._serve(call, body, reply),
            lambda fault: _in_words(operation, fault),
        )
        return answer

    def _serve(self, call: Exchange, body: Mapping[str, Any], answer: Answer) -> None:
        operations: dict[str, Callable[[Exchange, Mapping[str, Any]], dict[str, Any] | Refused]] = {
            "DescribeStreamSummary": self._describe,
            "ListShards": self._list,
            "GetShardIterator": self._iterator,
            "GetRecords": self._read,
        }
        if call.operation not in operations or body.keys() - _FIELDS[call.operation]:
            answer(self._illegal(f"illegal {call.operation} {dict(body)}"))
        elif self._stream.forbidden:
            answer(Refused(400, "AccessDeniedException", "User: arn:aws:sts::123456789012:assumed-role/o may not."))
        elif not self._stream.status:
            answer(_not_found(f"Stream {self._stream.name} under account 123456789012 not found."))
        elif not self._names_stream(call.operation, body):
            answer(self._illegal(f"{call.operation} of another stream: {dict(body)}"))
        elif self._stream.status == "CREATING" and call.operation != "DescribeStreamSummary":
            answer(Refused(400, "ResourceInUseException", f"Stream {self._stream.name} is not ACTIVE but CREATING."))
        else:
            answer(operations[call.operation](call, body))

    def _names_stream(self, operation: str, body: Mapping[str, Any]) -> bool:
        if operation == "GetRecords" or "NextToken" in body:
            return "StreamName" not in body
        arn = str(body.get("StreamARN", self._stream.name))
        return bool(body.keys() & _STREAM) and self._stream.name == body.get("StreamName", arn.rpartition("/")[2])

    def _illegal(self, reason: str) -> Refused:
        self._network.history.illegal.append(f"{self._caller}: {reason}")
        return Refused(400, "InvalidArgumentException", reason)

    def _describe(self, call: Exchange, body: Mapping[str, Any]) -> dict[str, Any]:
        summary = {
            "StreamName": self._stream.name,
            "StreamARN": f"arn:aws:kinesis:eu-west-1:123456789012:stream/{self._stream.name}",
            "StreamStatus": self._stream.status,
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": self._stream.created,
            "OpenShardCount": len(self._stream.open_shards),
        }
        return {"StreamDescriptionSummary": summary}

    def _list(self, call: Exchange, body: Mapping[str, Any]) -> dict[str, Any] | Refused:
        """A token is the identifier of the last shard that was listed."""
        listed = self._stream.listed()
        token, most = body.get("NextToken", ""), self._stream.listed_at_once
        if token and not (token.startswith("token-") and token[6:] in self._stream.shards):
            return Refused(400, "ExpiredNextTokenException", "The token is not valid any more.")
        rest = [shard for shard in listed if shard.id > token[6:]]
        shown: dict[str, Any] = {"Shards": [_shown_shard(shard) for shard in rest[:most]]}
        return shown | ({"NextToken": f"token-{rest[most - 1].id}"} if len(rest) > most else {})

    def _iterator(self, call: Exchange, body: Mapping[str, Any]) -> dict[str, Any] | Refused:
        shard = self._stream.shards.get(body.get("ShardId", ""))
        if shard is None or shard.trimmed is not None:
            return _not_found(f"Shard {body.get('ShardId')} in stream {self._stream.name} does not exist.")
        call.shard = shard.id
        match body:
            case {"ShardIteratorType": "TRIM_HORIZON"}:
                index: int | Refused = 0
            case {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": float() | int() as moment}:
                index = self._at(shard, moment)
            case {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(number)}:
                index = _behind(shard, number)
            case _:
                index = self._illegal(f"illegal GetShardIterator {dict(body)}")
        return index if isinstance(index, Refused) else {"ShardIterator": self._token(shard, index)}

    def _at(self, shard: Shard, moment: float) -> int | Refused:
        if moment > self._network.loop.wall_clock():
            return Refused(400, "InvalidArgumentException", "The timestamp must not be greater than the current one.")
        earlier = (entry for entry in shard.entries if _milliseconds(entry.arrived) < int(moment * 1000))
        return sum(1 for _ in earlier)

    def _token(self, shard: Shard, index: int) -> str:
        token = f"{shard.id}:{index}:{self._caller.process.name}:{next(self._numbers)}"
        self._iterators[token] = _Iterator(shard, index, self._network.loop.time())
        return token

    def _read(self, call: Exchange, body: Mapping[str, Any]) -> dict[str, Any] | Refused:
        stream, rng, now = self._stream, self._network.rng, self._network.loop.time()
        at, limit = self._iterators.get(body.get("ShardIterator", "")), body.get("Limit", MOST_RECORDS)
        if at is None or type(limit) is not int or not 1 <= limit <= MOST_RECORDS:
            return self._illegal(f"illegal GetRecords {dict(body)}")
        if at.shard.trimmed is not None or stream.shards.get(at.shard.id) is not at.shard:
            return _not_found(f"Shard {at.shard.id} in stream {stream.name} does not exist.")
        call.shard = at.shard.id
        if now - at.made > ITERATOR_LIFE or rng.random() < stream.expiries:
            self._iterators[body["ShardIterator"]] = _Iterator(at.shard, at.index, -math.inf)
            call.fault = call.fault or "expired"
            return Refused(400, "ExpiredIteratorException", "Iterator expired.")
        if not stream.may_read(at.shard):
            call.fault = call.fault or "too many reads"
            return Refused(400, "ProvisionedThroughputExceededException", f"Rate exceeded for shard {at.shard.id}.")
        empty = rng.random() < stream.empty_pages
        return self._page(call, at, [] if empty else _page_from(at, limit))

    def _page(self, call: Exchange, at: _Iterator, page: list[Entry]) -> dict[str, Any]:
        shard, history = at.shard, self._network.history
        first = max(at.index, shard.expired)
        index = first + len(page)
        behind = index < len(shard.entries)
        over = shard.closed is not None and not behind
        call.messages = tuple(entry.id for entry in page)
        history.reads.append(ShardRead(call, shard, first, len(page), behind=behind, over=over))
        if page or over:
            words = ("and its end",) if over else ()
            history.say(self._network.loop.time(), shard.id, "hands", *call.messages, *words, "to", self._caller)
        shown: dict[str, Any] = {
            "Records": [_shown(entry) for entry in page],
            "MillisBehindLatest": self._behind(shard, index),
        }
        if not over:
            shown["NextShardIterator"] = self._token(shard, index)
        elif self._stream.tells_children:
            shown["ChildShards"] = [_shown_child(child) for child in shard.children]
        return shown

    def _behind(self, shard: Shard, index: int) -> int:
        if index >= len(shard.entries):
            return 0
        return max(1, int(1000 * (self._network.loop.time() - shard.entries[index].arrived)))


def _page_from(at: _Iterator, limit: int) -> list[Entry]:
    page: list[Entry] = []
    size = 0
    first = max(at.index, at.shard.expired)
    for entry in itertools.islice(at.shard.entries, first, first + limit):
        size += len(entry.data)
        if size > MOST_BYTES:
            break
        page.append(entry)
    return page


def _behind(shard: Shard, number: str) -> int | Refused:
    """The index behind the entry with that sequence number; what the shard never gave out is refused."""
    for entry in shard.entries:
        if str(entry.sequence) == number:
            return entry.index + 1
    return Refused(400, "InvalidArgumentException", f"StartingSequenceNumber {number} is invalid on {shard.id}.")


def _not_found(message: str) -> Refused:
    return Refused(400, "ResourceNotFoundException", message)


def _in_words(operation: str, fault: str) -> Refused:
    if fault == "throttled":
        code = "ProvisionedThroughputExceededException" if operation.startswith("Get") else "LimitExceededException"
        return Refused(400, code, "Rate exceeded")
    return Refused(500, "InternalFailure", "The request processing has failed.")


def _milliseconds(at: float) -> int:
    return int((EPOCH + at - START) * 1000)


def arrival(entry: Entry) -> float:
    """ApproximateArrivalTimestamp: epoch seconds, to the millisecond."""
    return _milliseconds(entry.arrived) / 1000


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "SequenceNumber": str(entry.sequence),
        "ApproximateArrivalTimestamp": arrival(entry),
        "Data": base64.b64encode(entry.data).decode(),
        "PartitionKey": entry.key,
    }


def _shown_shard(shard: Shard) -> dict[str, Any]:
    parents = dict(zip(("ParentShardId", "AdjacentParentShardId"), (one.id for one in shard.parents), strict=False))
    numbers = {"StartingSequenceNumber": "0"}
    if shard.closed is not None:
        numbers["EndingSequenceNumber"] = str(shard.next_sequence)
    hashes = {"StartingHashKey": str(shard.low), "EndingHashKey": str(shard.high - 1)}
    return {"ShardId": shard.id, **parents, "HashKeyRange": hashes, "SequenceNumberRange": numbers}


def _shown_child(shard: Shard) -> dict[str, Any]:
    hashes = {"StartingHashKey": str(shard.low), "EndingHashKey": str(shard.high - 1)}
    return {"ShardId": shard.id, "ParentShards": [parent.id for parent in shard.parents], "HashKeyRange": hashes}
