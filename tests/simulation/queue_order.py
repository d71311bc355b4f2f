"""Knows what order means for FIFO queues: one live attempt of a message group at a time, and nobody overtakes."""

from collections.abc import Iterator, Mapping

from tests.simulation.history import Attempt, History
from tests.simulation.places import QueuePlace
from tests.simulation.words import end, told


def two_live_attempts(history: History, places: Mapping[str, QueuePlace]) -> Iterator[str]:
    """Never two attempts of one group at once, of whatever processes of ours are alive."""
    live: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in history.attempts:
        if not places[attempt.exchange.caller.mapping].source.fifo:
            continue
        for group in {history.produced[message].group for message in attempt.batch}:
            others = live.setdefault((attempt.exchange.caller.mapping, group), [])
            others[:] = [other for other in others if end(other, history) > attempt.started]
            for other in others:
                if not lapsed_by_fault(other, attempt, group, history):
                    yield told(attempt, f"began group {group} while {other.exchange.caller} was at work on it")
            others.append(attempt)


def overtaking(history: History, places: Mapping[str, QueuePlace]) -> Iterator[str]:
    """A message is sent only with or after the earlier ones of its group, unless those are done or gone."""
    done: dict[str, float] = {}
    for attempt in history.attempts:
        for message in attempt.done:
            done.setdefault(message, attempt.ended or float("inf"))
    for attempt in history.attempts:
        place = places[attempt.exchange.caller.mapping]
        if not place.source.fifo:
            continue
        yield from _shuffled(attempt, place)
        first: dict[str, int] = {}
        for message in attempt.batch:
            found = place.queue.ever[message]
            first[found.group] = min(first.get(found.group, found.sequence), found.sequence)
        for earlier in place.queue.ever.values():
            behind = earlier.sequence < first.get(earlier.group, 0)
            over = min(earlier.gone or float("inf"), done.get(earlier.id, float("inf")))
            if behind and over > attempt.started and not _taken_by_fault(attempt, earlier.group, history):
                yield told(attempt, f"sent {attempt.batch} before {earlier.id} of the same group was done")


def _shuffled(attempt: Attempt, place: QueuePlace) -> Iterator[str]:
    last: dict[str, int] = {}
    for message in attempt.batch:
        found = place.queue.ever[message]
        if last.get(found.group, 0) >= found.sequence:
            yield told(attempt, f"sent {attempt.batch} out of order")
        last[found.group] = found.sequence


def lapsed_by_fault(older: Attempt, newer: Attempt, group: str, history: History) -> bool:
    """Whether the older attempt lost its messages of the group because of calls that went wrong."""
    handles = [handle for handle in older.handles if _group(handle, history) == group]
    return any(_lost_by_fault(handle, newer.started, history) for handle in handles)


def _taken_by_fault(attempt: Attempt, group: str, history: History) -> bool:
    handles = [handle for handle in attempt.handles if _group(handle, history) == group]
    return any(_lost_by_fault(handle, attempt.started, history) for handle in handles)


def _group(handle: str, history: History) -> str:
    return history.produced[history.by_handle[handle].message].group


def _lost_by_fault(handle: str, moment: float, history: History) -> bool:
    """Whether the message was no longer the receiver's, after a receive with a late answer or a failed extension."""
    handed = history.by_handle[handle]
    if handed.lapses >= moment:
        return False
    return bool(handed.exchange.fault) or visibility_troubled(handed.exchange.caller.process.name, moment, history)


def visibility_troubled(process: str, until: float, history: History) -> bool:
    """Whether a call that keeps messages invisible went wrong."""
    return any(
        exchange.caller.process.name == process
        and exchange.operation.startswith("ChangeMessageVisibility")
        and exchange.started < until
        and (exchange.fault or exchange.saw not in {"answered", ""})
        for exchange in history.exchanges
    )
