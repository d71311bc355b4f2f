"""Knows what order means for FIFO queues: one live attempt of a message group at a time, and nobody overtakes."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tests.simulation.history import Attempt, History
from tests.simulation.loop import START

if TYPE_CHECKING:
    from tests.simulation.deployment import Place


def two_live_attempts(history: History, places: Mapping[str, "Place"]) -> Iterator[str]:
    """Never two attempts of one group at once, of whatever processes of ours are alive."""
    live: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in history.attempts:
        if not places[attempt.exchange.caller.mapping].plan.fifo:
            continue
        for group in {history.produced[message].group for message in attempt.batch}:
            others = live.setdefault((attempt.exchange.caller.mapping, group), [])
            others[:] = [other for other in others if end(other, history) > attempt.started]
            for other in others:
                if not lapsed_by_fault(other, attempt, group, history):
                    yield _sentence(attempt, f"began group {group} while {other.exchange.caller} was at work on it")
            others.append(attempt)


def overtaking(history: History, places: Mapping[str, "Place"]) -> Iterator[str]:
    """A message is sent only with or after the earlier ones of its group, unless those are done or gone."""
    done: dict[str, float] = {}
    for attempt in history.attempts:
        for message in attempt.done:
            done.setdefault(message, attempt.ended or float("inf"))
    for attempt in history.attempts:
        place = places[attempt.exchange.caller.mapping]
        if not place.plan.fifo:
            continue
        yield from _shuffled(attempt, place)
        first: dict[str, int] = {}
        for message in attempt.batch:
            found = place.queue.ever[message]
            first[found.group] = min(first.get(found.group, found.sequence), found.sequence)
        for earlier in place.queue.ever.values():
            if earlier.sequence < first.get(earlier.group, 0) and (earlier.gone or float("inf")) > attempt.started:
                if done.get(earlier.id, float("inf")) > attempt.started and not _taken_by_fault(
                    earlier.id, attempt, history
                ):
                    yield _sentence(attempt, f"sent {attempt.batch} before {earlier.id} of the same group was done")


def _shuffled(attempt: Attempt, place: "Place") -> Iterator[str]:
    last: dict[str, int] = {}
    for message in attempt.batch:
        found = place.queue.ever[message]
        if last.get(found.group, 0) >= found.sequence:
            yield _sentence(attempt, f"sent {attempt.batch} out of order")
        last[found.group] = found.sequence


def end(attempt: Attempt, history: History) -> float:
    """When its caller knew of its end, or died."""
    process = attempt.exchange.caller.process
    over = next((life.over for life in history.lives if life.process is process), None)
    return min(attempt.ended or float("inf"), over or float("inf"))


def lapsed_by_fault(older: Attempt, newer: Attempt, group: str, history: History) -> bool:
    """Whether the older attempt lost its messages because SQS did not answer what would have kept them."""
    caller = older.exchange.caller
    for handle in older.handles:
        handed = history.by_handle[handle]
        same_group = history.produced[handed.message].group == group
        if same_group and handed.lapses < newer.started and visibility_troubled(caller.process.name, newer.started, history):
            return True
    return False


def _taken_by_fault(message: str, attempt: Attempt, history: History) -> bool:
    caller = attempt.exchange.caller
    lapsed = any(
        history.by_handle[handle].lapses < attempt.started for handle in attempt.handles
    )  # it was sent although it was no longer ours
    return lapsed and visibility_troubled(caller.process.name, attempt.started, history)


def visibility_troubled(process: str, until: float, history: History) -> bool:
    """Whether a call that keeps messages invisible went wrong."""
    return any(
        exchange.caller.process.name == process
        and exchange.operation.startswith("ChangeMessageVisibility")
        and exchange.started < until
        and (exchange.fault or exchange.saw not in {"answered", ""})
        for exchange in history.exchanges
    )


def _sentence(attempt: Attempt, what: str) -> str:
    return f"at {attempt.started - START:.3f} s: {attempt.exchange.caller} {what}"
