"""Knows what order means for a stream: one live attempt of a shard at a time, batches without gaps, and nobody overtakes."""

from collections.abc import Iterator

from tests.simulation.history import Attempt
from tests.simulation.stream import Entry
from tests.simulation.stream_facts import StreamFacts
from tests.simulation.words import told


def disorder(facts: StreamFacts) -> Iterator[str]:
    yield from two_live_attempts(facts)
    for attempt in facts.history.attempts:
        entries = facts.entries(attempt)
        yield from _scattered(attempt, entries)
        yield from _overtaking(attempt, entries, facts)


def two_live_attempts(facts: StreamFacts) -> Iterator[str]:
    """Never two attempts of one shard at once, nor of one partition key, be it in a shard and in its child."""
    ends = {life.process: life.over for life in facts.history.lives}
    live: list[tuple[float, Attempt, set[str]]] = []
    for attempt in facts.history.attempts:
        entries = facts.entries(attempt)
        marks = {f"shard {attempt.shard}", *(f"key {entry.key}" for entry in entries)}
        live = [one for one in live if one[0] > attempt.started]
        for _, other, others_marks in live:
            for mark in sorted(marks & others_marks):
                yield told(attempt, f"began {mark} while {other.exchange.caller} was at work on it")
        end = min(attempt.ended or float("inf"), ends[attempt.exchange.caller.process] or float("inf"))
        live.append((end, attempt, marks))


def _scattered(attempt: Attempt, entries: list[Entry]) -> Iterator[str]:
    """A batch is a run of one shard, but for records that nobody can read any more."""
    if any(entry.shard.id != attempt.shard for entry in entries):
        yield told(attempt, f"sent {attempt.batch} as records of {attempt.shard}")
        return
    shard, first, last = entries[0].shard, entries[0].index, entries[-1].index
    run = [entry for entry in shard.entries[first : last + 1] if entry.gone is None or entry in entries]
    if entries != run:
        yield told(attempt, f"sent {attempt.batch}, which do not follow each other in {attempt.shard}")


def _overtaking(attempt: Attempt, entries: list[Entry], facts: StreamFacts) -> Iterator[str]:
    """What came before in the shard, or of a key in the shard's parents, is done or dropped, or goes along."""
    first = entries[0]
    if facts.safe[first.shard][first.index] > attempt.started:
        yield told(attempt, f"sent {first.id} before those ahead of it in {first.shard.id} were done")
    first_of_key = {entry.key: entry for entry in reversed(entries)}
    for entry in first_of_key.values():
        if facts.before_key[entry.id] > attempt.started:
            yield told(attempt, f"sent {entry.id} before those of its key in a parent of {first.shard.id} were done")
