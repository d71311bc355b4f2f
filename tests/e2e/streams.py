"""Knows what came of a stream's records: what reached the functions, what they worked off, and who came out of turn."""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tests.e2e.harness import Origin, mapping
from tests.servers.scripted_invoke import Answer, Invoke, succeeds
from tests.servers.streams import ListedShard, Put, Stream

Record = Mapping[str, Any]


def stream_mapping(stream: Origin, functions: str, *, name: str = "orders", **fields: object) -> dict[str, object]:
    """An entry of EventSourceMappings as `mapping` makes it, which starts at the stream's oldest record."""
    return mapping(stream, functions, name=name, **{"StartingPosition": "TRIM_HORIZON", **fields})


# A record in an event


def sequence_of(record: Record) -> str:
    return str(record["kinesis"]["sequenceNumber"])


def shard_of(record: Record) -> str:
    return str(record["eventID"]).partition(":")[0]


def number_of(record: Record) -> int:
    """The number that a test gave it."""
    return int(json.loads(data_of(record))["n"])


def data_of(record: Record) -> bytes:
    return base64.b64decode(record["kinesis"]["data"])


def numbers_of(invoke: Invoke) -> list[int]:
    return [number for number, _ in _numbered(invoke.payload)]


@lru_cache(maxsize=4096)
def _numbered(payload: bytes) -> Sequence[tuple[int, str]]:
    """The number and the sequence number of each record; tests that wait ask for them again and again."""
    return [(number_of(record), sequence_of(record)) for record in json.loads(payload)["Records"]]


def batches(invokes: Iterable[Invoke]) -> list[list[int]]:
    """The numbers in each invoke, in order of arrival."""
    return [numbers_of(invoke) for invoke in invokes]


# What functions say


def reports(invoke: Invoke, failed: Iterable[str], *, delay: float = 0.0) -> Answer:
    """A partial response that lists these sequence numbers; what stands before the first of them is done."""
    listed = set(failed)
    body = json.dumps({"batchItemFailures": [{"itemIdentifier": each} for each in sorted(listed)]}).encode()
    sequences = [sequence_of(record) for record in invoke.records]
    first = next((index for index, each in enumerate(sequences) if each in listed), len(sequences))
    return Answer(body=body, delay=delay, done=frozenset(sequences[:first]))


def fails_at(invoke: Invoke, numbers: Iterable[int]) -> Answer:
    """A partial response that lists the records with these numbers, as far as the invoke has them."""
    bad = set(numbers)
    return reports(invoke, [sequence_of(record) for record in invoke.records if number_of(record) in bad])


def poisoned_by(invoke: Invoke, numbers: Iterable[int], failing: Answer) -> Answer:
    """`failing` where the invoke has one of these numbers, else success."""
    return failing if set(numbers) & set(numbers_of(invoke)) else succeeds()


def done_by(invoke: Invoke) -> list[Record]:
    """The records that the function says to have done by this invoke."""
    if invoke.answer is None:
        return []
    done = invoke.answer.done
    return [record for record in invoke.records if done is None or sequence_of(record) in done]


def worked_off(invokes: Iterable[Invoke]) -> Counter[int]:
    """How often each number was worked off, by what the functions themselves say."""
    counted: Counter[int] = Counter()
    for invoke in invokes:
        if invoke.answer is not None:
            done = invoke.answer.done
            counted.update(number for number, sequence in _numbered(invoke.payload) if done is None or sequence in done)
    return counted


def first_times(invokes: Iterable[Invoke]) -> dict[str, list[int]]:
    """The numbers of each partition key, in the order in which each was first worked off."""
    seen: dict[str, dict[int, None]] = defaultdict(dict)
    for invoke in sorted(invokes, key=lambda each: each.ended or each.started):
        for record in done_by(invoke):
            seen[record["kinesis"]["partitionKey"]].setdefault(number_of(record))
    return {key: list(numbers) for key, numbers in seen.items()}


# Whose turn it was


async def out_of_turn(stream: Stream, invokes: Sequence[Invoke], *, given_up: Iterable[int] = ()) -> list[str]:
    """A sentence for each invoke that came out of turn: that began while another of its shard was under way, skipped
    records, or carried some whose predecessors, in the shard or in its parents, were not worked off by then.

    `given_up`: numbers of records that a limit ended; they count as worked off.
    """
    return list(_Turns(await stream.shards(), stream.puts, set(given_up)).wrong(invokes))


class _Turns:
    """The records of each shard, and which of them are done, as time goes on."""

    def __init__(self, shards: Sequence[ListedShard], puts: Sequence[Put], given_up: set[int]) -> None:
        self._parents = {shard.identifier: shard.parents for shard in shards}
        self._order: dict[str, list[int]] = {shard.identifier: [] for shard in shards}
        self._done: set[int] = set()
        self._under_way: Counter[str] = Counter()
        for put in sorted(puts, key=lambda put: put.sequence):
            self._order[put.shard].append(put.sequence)
            if given_up and json.loads(put.data)["n"] in given_up:
                self._done.add(put.sequence)

    def wrong(self, invokes: Sequence[Invoke]) -> Iterator[str]:
        ends = [(invoke.ended, 0, index) for index, invoke in enumerate(invokes) if invoke.ended is not None]
        starts = [(invoke.started, 1, index) for index, invoke in enumerate(invokes)]
        for _, begins, index in sorted(ends + starts):
            invoke = invokes[index]
            shard = shard_of(invoke.records[0])
            if begins:
                yield from (f"invoke {index} of {shard}: {said}" for said in self._begun(shard, invoke.records))
                self._under_way[shard] += 1
            else:
                self._under_way[shard] -= 1
                self._done.update(int(sequence_of(record)) for record in done_by(invoke))

    def _begun(self, shard: str, records: Sequence[Record]) -> Iterator[str]:
        order, sequences = self._order[shard], [int(sequence_of(record)) for record in records]
        first = order.index(sequences[0])
        if self._under_way[shard]:
            yield "another invoke of the shard was under way"
        if sequences != order[first : first + len(sequences)]:
            yield "its records are no unbroken run of the shard"
        if early := [sequence for sequence in order[:first] if sequence not in self._done]:
            yield f"{len(early)} records before it were not worked off"
        for parent in self._parents[shard]:
            if any(sequence not in self._done for sequence in self._order.get(parent, ())):
                yield f"its parent {parent} was not worked off"
