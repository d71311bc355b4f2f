"""Knows what a reload promises: it touches what it changes, and nothing else; the old drains before the new begins."""

from collections.abc import Iterator

from tests.simulation.history import History
from tests.simulation.lives import Incarnation
from tests.simulation.words import at

#: Seconds beside those that a dropped mapping has for draining.
_SLACK = 1.0
NEVER = float("inf")


def broken_by_reloads(history: History) -> Iterator[str]:
    yield from history.misled
    yield from touched(history)
    yield from slow_to_go(history)
    yield from cut_off(history)
    yield from two_at_once(history)


def touched(history: History) -> Iterator[str]:
    """What no reload changed goes on; what none put there does not begin."""
    for own in history.incarnations:
        if own.gone is not None and own.dropped is None:
            yield f"{_at(own.gone, own)} was ended, though no reload had changed it"
        if own.plan is None:
            yield f"{_at(own.began, own)} began, and no configuration in force had it"


def slow_to_go(history: History) -> Iterator[str]:
    """What was dropped is gone when its invokes must have ended."""
    for stretch in history.stretches_of_all():
        own, over = stretch.incarnation, stretch.over
        if own.dropped is not None and (NEVER if over is None else over) > own.dropped + stretch.allowed + _SLACK:
            yield f"{_at(own.dropped, own)} was dropped, and was not gone after {stretch.allowed} s"


def cut_off(history: History) -> Iterator[str]:
    """What a reload takes away finishes the invokes that are under way."""
    dropped = {one.incarnation: one for one in history.stretches_of_all() if one.incarnation.dropped is not None}
    for exchange in history.exchanges:
        own = exchange.caller.incarnation
        if exchange.operation == "Invoke" and exchange.saw == "cut off" and own in dropped and not dropped[own].late:
            yield f"{_at(exchange.ended or 0.0, own)} was cut off in an invoke"


def two_at_once(history: History) -> Iterator[str]:
    """A mapping calls nobody before all calls of the one in whose place it came have ended."""
    newest: dict[str, Incarnation] = {}
    open_until: dict[str, float] = {}
    for exchange in history.exchanges:
        caller, own = str(exchange.caller), exchange.caller.incarnation
        if own is None:
            continue
        before = newest.setdefault(caller, own)
        if own.began > before.began or (own is not before and own.began == before.began):
            if open_until[caller] > exchange.started:
                yield f"{_at(exchange.started, own)} began with {exchange.operation} before the one before it had drained"
            newest[caller], open_until[caller] = own, 0.0
        elif own is not before:
            yield f"{_at(exchange.started, own)} called {exchange.operation} when a newer one had begun"
            continue
        ended = NEVER if exchange.ended is None else exchange.ended
        open_until[caller] = max(open_until.get(caller, 0.0), ended)


def _at(moment: float, own: Incarnation) -> str:
    return f"{at(moment)}: {own.process.name}/{own.mapping}"
