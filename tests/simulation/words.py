"""Knows how a moment and a call are named in the sentences of a finding, and which calls had gone wrong by then."""

from tests.simulation.history import Attempt, Caller, History
from tests.simulation.loop import START

#: A function that was out of reach or room is tried more carefully for so many seconds.
_MEMORY = 120.0


def at(moment: float) -> str:
    return f"at {moment - START:.3f} s"


def told(attempt: Attempt, what: str) -> str:
    """What the caller of an attempt did when it began."""
    return f"{at(attempt.started)}: {attempt.exchange.caller} {what}"


def end(attempt: Attempt, history: History) -> float:
    """When its caller knew of its end, or died."""
    process = attempt.exchange.caller.process
    over = next((life.over for life in history.lives if life.process is process), None)
    return min(attempt.ended or float("inf"), over or float("inf"))


def troubled(history: History, caller: Caller, since: float, until: float) -> bool:
    """Whether a call of this mapping went wrong in that time, or its function had been out of reach or room before."""
    for exchange in history.exchanges:
        if str(exchange.caller) == str(caller) and exchange.started < until:
            wrong = exchange.fault or exchange.saw not in {"answered", ""}
            memory = _MEMORY if exchange.operation == "Invoke" else 0.0
            if wrong and (exchange.ended or until) >= since - memory:
                return True
    refused = (attempt for attempt in history.attempts if not attempt.ran and since - _MEMORY < attempt.started < until)
    return any(str(attempt.exchange.caller) == str(caller) for attempt in refused)
