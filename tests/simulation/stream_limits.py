"""Knows when a record of a stream may be given up: by a limit that its mapping has, after what it allows, and out loud."""

from collections.abc import Iterator

from tests.simulation.fates import dropped_entries
from tests.simulation.history import Dropped
from tests.simulation.stream import Entry
from tests.simulation.stream_facts import StreamFacts, drained
from tests.simulation.words import at


def wrongly_dropped(facts: StreamFacts) -> Iterator[str]:
    for dropped in facts.history.dropped:
        entries = dropped_entries(dropped, facts.place)
        if len(entries) != dropped.events:
            yield f"{_where(dropped)} dropped {dropped.events} events, and its log names {len(entries)} of them"
            continue
        match dropped.reason:
            case "retry_attempts_exhausted":
                yield from _too_few_or_many_tries(dropped, entries, facts)
            case "record_age_exceeded":
                yield from _too_young(dropped, entries, facts)
            case _:
                yield f"{_where(dropped)} dropped {_ids(entries)} for {dropped.reason}, which nothing was"
    yield from _miscounted(facts)


def _too_few_or_many_tries(dropped: Dropped, entries: list[Entry], facts: StreamFacts) -> Iterator[str]:
    """N retries are N + 1 invokes of exactly these records that came to the function, since they were read last.

    Not counted where the age of records can shorten a batch between two invokes.
    """
    allowed = facts.source_for(dropped).retries
    if allowed is None:
        yield f"{_where(dropped)} dropped {_ids(entries)} after retries, of which its mapping has no limit"
        return
    if facts.source_for(dropped).record_age is not None:
        return
    batch = tuple(entry.id for entry in entries)
    read = max(
        (
            one.exchange.ended or 0.0
            for one in facts.history.reads
            if one.exchange.caller.process is dropped.process and batch[0] in one.exchange.messages
        ),
        default=0.0,
    )
    tries = sum(
        attempt.failed and attempt.batch == batch and read <= attempt.started <= dropped.at
        for attempt in facts.history.attempts
        if attempt.exchange.caller.process is dropped.process
    )
    if not tries == dropped.invokes == allowed + 1:
        yield (
            f"{_where(dropped)} dropped {_ids(entries)} after {tries} failed invokes, says {dropped.invokes}, "
            f"MaximumRetryAttempts is {allowed}"
        )


def _too_young(dropped: Dropped, entries: list[Entry], facts: StreamFacts) -> Iterator[str]:
    limit = facts.source_for(dropped).record_age
    for entry in entries:
        age = dropped.at + facts.place.skew - entry.arrived
        if limit is None or age <= limit - 0.001:
            yield f"{_where(dropped)} dropped {entry.id} {age:.3f} s old, MaximumRecordAgeInSeconds is {limit}"


def _miscounted(facts: StreamFacts) -> Iterator[str]:
    """What a process counted as dropped is what its log says, and what it counted as polled and done what happened."""
    for life in facts.stretches:
        counted, attempts = life.counts, facts.attempts_of(life)
        if not counted or not drained(life):
            continue
        happened = {
            "polledEvents": sum(read.count for read in facts.reads_of(life)),
            "invocations": len(attempts),
            "invokedEvents": sum(len(attempt.batch) for attempt in attempts),
            "deliveredEvents": sum(len(attempt.done) for attempt in attempts),
            "droppedEvents": sum(one.events for one in facts.history.dropped if life.owns(one)),
        }
        for name, number in happened.items():
            if counted[name] != number:
                yield f"{life.process.name}/{facts.name} counts {counted[name]} {name}, there were {number}"


def _where(dropped: Dropped) -> str:
    process = dropped.process.name if dropped.process else "nobody"
    return f"{at(dropped.at)}: {process}/{dropped.mapping}"


def _ids(entries: list[Entry]) -> str:
    return ", ".join(entry.id for entry in entries)
