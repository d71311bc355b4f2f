"""Knows what became of the records of a stream: which must have been processed, when each met its fate, what was saved."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.simulation.history import Dropped, History, Saved
from tests.simulation.loop import START
from tests.simulation.stream import Entry, Shard

if TYPE_CHECKING:
    from tests.simulation.places import StreamPlace

NEVER = float("inf")
SHARD_END = "SHARD_END"


def begins(place: "StreamPlace", history: History, skew: float) -> float:
    """The moment whose records, and all later ones, are the mapping's to process."""
    match place.source.start:
        case "TRIM_HORIZON":
            return -NEVER
        case "AT_TIMESTAMP":
            return START + place.source.start_at
        case _:
            # A clock that is ahead takes for the past what arrives until then.
            return first_start(place, history) + max(0.0, skew)


def first_start(place: "StreamPlace", history: History) -> float:
    """When a mapping that starts at LATEST started for the first time: it had said so on the disk, or had begun to read."""
    own = place.plan.name
    stored = (one.at for one in history.saves if one.mapping == own and one.durable is not None)
    read = (
        exchange.started
        for exchange in history.exchanges
        if exchange.caller.mapping == own and exchange.operation == "GetShardIterator"
    )
    return min(next(stored, NEVER), next(read, NEVER))


def fates(place: "StreamPlace", history: History) -> dict[str, float]:
    """When a record was processed, as far as its sender was told, or dropped, or gone from the stream; by identifier."""
    over: dict[str, float] = {}

    def met(identifier: str, at: float) -> None:
        over[identifier] = min(at, over.get(identifier, NEVER))

    for attempt in history.attempts:
        if attempt.exchange.caller.mapping == place.plan.name:
            for identifier in attempt.done:
                met(identifier, attempt.ended or NEVER)
    for dropped in history.dropped:
        if dropped.mapping == place.plan.name:
            for entry in dropped_entries(dropped, place):
                met(entry.id, dropped.at)
    for entry in place.stream.ever.values():
        if entry.gone is not None:
            met(entry.id, entry.gone)
    return over


def dropped_entries(dropped: Dropped, place: "StreamPlace") -> list[Entry]:
    """The records that a line of the log means. Empty if its positions name none."""
    numbers = re.findall(r"\d+", dropped.positions)
    for shard in place.stream.every_shard():
        if shard.id != dropped.lane:
            continue
        by_number = {str(entry.sequence): entry for entry in shard.entries}
        named = [by_number[number] for number in numbers if number in by_number]
        if named and len(named) == len(numbers):
            first, last = named[0].index, named[-1].index
            return shard.entries[first : last + 1] if ".." in dropped.positions else named
    return []


def open_entries(place: "StreamPlace", history: History) -> Iterator[Entry]:
    """The records that the mapping owes a fate."""
    start, over = begins(place, history, place.skew), fates(place, history)
    for entry in place.stream.ever.values():
        if entry.id not in over and entry.arrived >= start:
            yield entry


def has_begun(place: "StreamPlace", history: History) -> bool:
    """Whether it is settled where the mapping starts."""
    return begins(place, history, place.skew) < NEVER


def unfinished_shards(place: "StreamPlace", history: History) -> Iterator[Shard]:
    """The closed shards of which it is not on the disk that all was read."""
    for shard in place.stream.listed():
        if shard.closed is not None and not any(
            saved.position == SHARD_END for saved in saves_of(shard, place, history) if saved.durable is not None
        ):
            yield shard


def saves_of(shard: Shard, place: "StreamPlace", history: History) -> Iterator[Saved]:
    """Its positions as they were saved, in order."""
    for saved in history.saves:
        if saved.mapping == place.plan.name and saved.shard == shard.id and _stream_of(saved) == shard.stream_created:
            yield saved


def _stream_of(saved: Saved) -> float:
    """When the stream was created that a position belongs to."""
    return float(saved.stream.rpartition("@")[2])
