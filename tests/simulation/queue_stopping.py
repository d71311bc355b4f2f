"""Knows what a graceful end owes a queue: nothing received is forgotten, nothing done comes again, the counts add up."""

from collections.abc import Iterator, Mapping

from tests.simulation.history import Handed, History
from tests.simulation.lives import Stretch
from tests.simulation.loop import START
from tests.simulation.places import QueuePlace
from tests.simulation.queue_order import visibility_troubled

#: Seconds after the exit at which what was not sent must be visible.
_VISIBLE_WITHIN = 1.0


def stopping(history: History, places: Mapping[str, QueuePlace]) -> Iterator[str]:
    """Of every mapping that a reload or the stop of its process ended, and that was not killed."""
    for life in history.stretches_of_all():
        if life.stop_asked is None or life.ended is None:
            continue
        yield from _forgotten(life, life.ended, history, places)
        yield from _done_and_coming_again(life, life.ended, history)
        yield from _received_again(life, life.ended, history, places)


def _forgotten(life: Stretch, ended: float, history: History, places: Mapping[str, QueuePlace]) -> Iterator[str]:
    """What was received and never sent is visible; where the time to drain ran out, that is asked of what came in time."""
    sent = {handle for attempt in history.attempts for handle in attempt.handles}
    troubled = visibility_troubled(life.process.name, ended + _VISIBLE_WITHIN, history)
    for handed in history.handed:
        exchange = handed.exchange
        if not life.owns(exchange.caller) or handed.handle in sent or troubled:
            continue
        if life.late and (exchange.saw != "answered" or (exchange.ended or 0.0) > ended - 2.0):
            continue
        answered = exchange.saw in {"answered", "cut off"} or not exchange.fault
        hidden = handed.lapses > ended + _VISIBLE_WITHIN and not _taken_again(handed, ended, history, places)
        if answered and hidden:
            until = handed.lapses - START
            yield f"{life} ended at {ended - START:.3f} s and left {handed.message} invisible until {until:.3f} s"


def _done_and_coming_again(life: Stretch, ended: float, history: History) -> Iterator[str]:
    """What the function reported done before the exit is deleted by then, unless a delete went wrong."""
    deletes = [exchange for exchange in history.exchanges if exchange.operation.startswith("DeleteMessage")]
    troubled = any(exchange.fault and life.owns(exchange.caller) for exchange in deletes)
    gone = {deleted.message for deleted in history.deleted if deleted.at <= ended}
    for attempt in history.attempts:
        if not life.owns(attempt.exchange.caller) or troubled or life.late:
            continue
        kept = {
            message
            for message, handle in zip(attempt.batch, attempt.handles, strict=True)
            if message in attempt.done - gone and history.by_handle[handle].lapses > (attempt.ended or 0.0)
        }
        if kept and not visibility_troubled(life.process.name, ended, history):
            yield f"{life} ended at {ended - START:.3f} s and had not deleted {sorted(kept)}"


def _received_again(life: Stretch, ended: float, history: History, places: Mapping[str, QueuePlace]) -> Iterator[str]:
    """A process that stops does not receive again what it has just handed back: that would use up receives."""
    seen: set[str] = set()
    for handed in history.handed:
        exchange = handed.exchange
        if not life.owns(exchange.caller) or exchange.fault or life.late:
            continue
        if places[exchange.caller.mapping].source.duplicates:
            continue
        if (life.stop_asked or ended) < handed.at <= ended:
            if handed.message in seen:
                yield f"{life} stops, and received {handed.message} again at {handed.at - START:.3f} s"
            seen.add(handed.message)


def _taken_again(handed: Handed, ended: float, history: History, places: Mapping[str, QueuePlace]) -> bool:
    message = places[handed.exchange.caller.mapping].queue.ever[handed.message]
    if message.gone is not None and message.gone <= ended + _VISIBLE_WITHIN:
        return True
    return any(
        other.message == handed.message and handed.at < other.at <= ended + _VISIBLE_WITHIN and other is not handed
        for other in history.handed
    )


def accounts(history: History, places: Mapping[str, QueuePlace]) -> Iterator[str]:
    """Of a mapping that drained to its end: what it counted is what happened, and every event has one fate."""
    for life in history.stretches_of_all():
        counted, where = life.counts, f"{life.process.name}/{life.mapping}"
        if life.ended is None or life.late or life.mapping not in places or not counted:
            continue
        for name, number in _happened(life, history).items():
            if counted[name] != number:
                yield f"{where} counts {counted[name]} {name}, there were {number}"
        fates = counted["deliveredEvents"] + counted["returnedEvents"] + counted["handedBackEvents"]
        if fates != counted["polledEvents"]:
            yield f"{where} polled {counted['polledEvents']} events and counts {fates} fates"


def _happened(life: Stretch, history: History) -> dict[str, int]:
    attempts = [attempt for attempt in history.attempts if life.owns(attempt.exchange.caller)]
    handed = [one for one in history.handed if life.owns(one.exchange.caller)]
    return {
        "polledEvents": sum(one.exchange.saw == "answered" for one in handed),
        "invocations": len(attempts),
        "invokedEvents": sum(len(attempt.batch) for attempt in attempts),
        "deliveredEvents": sum(message in attempt.done for attempt in attempts for message in attempt.batch),
    }
