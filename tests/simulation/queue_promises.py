"""Knows what is promised for a queue, beside order and stopping, and finds in a history where that was broken."""

from collections.abc import Iterator, Mapping

from tests.simulation.history import Attempt, Handed, History
from tests.simulation.lives import Life
from tests.simulation.places import QueuePlace
from tests.simulation.plans import Plan
from tests.simulation.queue_order import overtaking, two_live_attempts
from tests.simulation.queue_stopping import accounts, stopping
from tests.simulation.words import at, told, troubled

#: Latencies and the pause between the short polls at the end of a window.
_SLACK = 1.0


def broken_by_queues(plan: Plan, history: History, places: Mapping[str, QueuePlace]) -> list[str]:
    """`history` is of these places' mappings."""
    found = [*deleted_unprocessed(history), *unaccounted(history, places), *dead_without_an_invoke(history, places)]
    found += [*overtaking(history, places), *two_live_attempts(history, places)]
    found += [*late_batches(history, places), *beyond_budget(plan, history, places)]
    found += [*stopping(history, places), *accounts(history, places)]
    if plan.calm:
        found += needless_receives(history)
    return found


def deleted_unprocessed(history: History) -> Iterator[str]:
    """A message is deleted only once the function has reported it done, to the process that deletes it."""
    done: dict[tuple[str, str], float] = {}
    for attempt in history.attempts:
        for message in attempt.done:
            key = (attempt.exchange.caller.process.name, message)
            done[key] = min(done.get(key, float("inf")), attempt.ended or float("inf"))
    for deleted in history.deleted:
        if done.get((deleted.caller.process.name, deleted.message), float("inf")) > deleted.at:
            yield f"{at(deleted.at)}: {deleted.caller} deleted {deleted.message} without a success reported to it"


def unaccounted(history: History, places: Mapping[str, QueuePlace]) -> Iterator[str]:
    """Every message ended deleted, as a dead letter or still queued; what was deleted had run to its end."""
    for place in places.values():
        gone = {deleted.message for deleted in history.deleted if deleted.queue == place.queue.name}
        for produced in history.produced.values():
            if produced.source != place.queue.name:
                continue
            fates = [produced.message in fate for fate in (gone, place.queue.dead_letters, place.queue.messages)]
            if sum(fates) != 1:
                yield f"{produced.message} has {sum(fates)} fates"
            if fates[0] and not place.function.processed.get(produced.message):
                yield f"{produced.message} was deleted and never processed"


def dead_without_an_invoke(history: History, places: Mapping[str, QueuePlace]) -> Iterator[str]:
    """Stops, throttles and slow functions do not use up a message's receives: a dead letter was tried.

    Not asked where answers to receives got lost or processes died, nor of FIFO queues, where what stands behind a
    failing message goes back with it.
    """
    if any(life.killed is not None for life in history.lives):
        return
    tried = {message for attempt in history.attempts for message in attempt.batch}
    for place in places.values():
        if place.source.fifo or place.plan.source_faults or place.plan.outage:
            continue
        for message in place.queue.dead_letters:
            if message not in tried:
                yield f"{message} became a dead letter and was never sent to the function"


def late_batches(history: History, places: Mapping[str, QueuePlace]) -> Iterator[str]:
    """A batch is sent when its window, begun by its first received record, is over.

    Not asked of a batch that had to wait for its turn: for another batch out of the same receive, for a function or a
    queue that failed meanwhile.
    """
    attempted: set[str] = set()
    sent: dict[int, bool] = {}
    for attempt in history.attempts:
        handed = [history.by_handle[handle] for handle in attempt.handles if handle not in attempted]
        attempted.update(attempt.handles)
        leftover = any(sent.get(id(one.exchange), False) for one in handed)
        sent |= {id(one.exchange): True for one in handed}
        received = [one.exchange.ended for one in handed if one.exchange.ended is not None]
        if not received or leftover or len(handed) < len(attempt.batch):
            continue
        caller, began = attempt.exchange.caller, min(received)
        latest = began + (caller.plan or places[caller.mapping].plan).window + _SLACK
        if attempt.started > latest and not troubled(history, caller, began, attempt.started):
            yield told(attempt, f"sent {attempt.batch} {attempt.started - latest + _SLACK:.3f} s late")


def beyond_budget(plan: Plan, history: History, places: Mapping[str, QueuePlace]) -> Iterator[str]:
    """The bodies a process holds, from a receive's answer to their fate, stay within MaximumBufferedBytes."""
    if (
        sum(len(message.body) for place in places.values() for message in place.queue.ever.values())
        < plan.buffered_bytes
    ):
        return
    last = {handle: attempt for attempt in history.attempts for handle in attempt.handles}
    for life in history.lives:
        moments: list[tuple[float, int]] = []
        for handed in history.handed:
            if handed.exchange.caller.process is life.process and handed.exchange.saw == "answered":
                size = len(history.produced[handed.message].body)
                end = _let_go(handed, last.get(handed.handle), life)
                moments += [(handed.exchange.ended or 0.0, size), (end, -size)]
        held = 0
        for moment, change in sorted(moments):
            held += change
            if held > plan.buffered_bytes:
                yield f"{at(moment)}: {life.process.name} holds {held} bytes"
                break


def _let_go(handed: Handed, attempt: Attempt | None, life: Life) -> float:
    end = life.over or float("inf")
    return min(end, handed.lapses if attempt is None else attempt.ended or end)


def needless_receives(history: History) -> Iterator[str]:
    """Where nothing goes wrong, what is received before the stop is sent; what a reload finds unsent is handed back."""
    attempted = {handle for attempt in history.attempts for handle in attempt.handles}
    for handed in history.handed:
        if handed.handle not in attempted and not _found_by_a_reload(handed):
            yield f"{at(handed.at)}: {handed.exchange.caller} received {handed.message} and never sent it"


def _found_by_a_reload(handed: Handed) -> bool:
    """Whether it came when its mapping was dropped, or was in a batch that waited then."""
    own = handed.exchange.caller.incarnation
    if own is None or own.plan is None or own.dropped is None:
        return False
    return handed.at >= own.dropped - own.plan.window - _SLACK
