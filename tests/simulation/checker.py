"""Knows the promises of the service and finds in a history where one was broken."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tests.simulation.history import Attempt, Caller, Handed, History, Life
from tests.simulation.loop import START
from tests.simulation.ordering import overtaking, two_live_attempts
from tests.simulation.plans import MappingPlan, Plan
from tests.simulation.stopping import accounts, stopping

if TYPE_CHECKING:
    from tests.simulation.deployment import Place

_PAYLOAD_LIMIT = 6_291_456
#: Latencies and the pause between the short polls at the end of a window.
_SLACK = 1.0


def violations(plan: Plan, history: History, places: Mapping[str, "Place"]) -> list[str]:
    """Every promise that this run broke, as sentences."""
    plans = {mapping.name: mapping for mapping in plan.mappings}
    found = [f"illegal request: {request}" for request in history.illegal]
    found += [f"logged as an error: {line}" for line in history.errors if "mapping crashed" in line]
    found += [*deleted_unprocessed(history), *unaccounted(history, places), *inexact(history, plans)]
    found += [
        *dead_without_an_invoke(plan, history, places),
        *overtaking(history, places),
        *two_live_attempts(history, places),
    ]
    found += [*beyond_capacity(history, plans), *late_batches(history, plans), *beyond_budget(plan, history)]
    found += [*stopping(history, places), *accounts(history)]
    if plan.calm:
        found += [*needless_receives(history), *repeated(history)]
    return found


def at(moment: float) -> str:
    return f"at {moment - START:.3f} s"


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


def unaccounted(history: History, places: Mapping[str, "Place"]) -> Iterator[str]:
    """Every message ended deleted, as a dead letter or still queued; what was deleted had run to its end."""
    for place in places.values():
        gone = {deleted.message for deleted in history.deleted if deleted.queue == place.queue.name}
        for produced in history.produced.values():
            if produced.queue != place.queue.name:
                continue
            fates = [produced.message in fate for fate in (gone, place.queue.dead_letters, place.queue.messages)]
            if sum(fates) != 1:
                yield f"{produced.message} has {sum(fates)} fates"
            if fates[0] and not place.function.processed.get(produced.message):
                yield f"{produced.message} was deleted and never processed"


def dead_without_an_invoke(plan: Plan, history: History, places: Mapping[str, "Place"]) -> Iterator[str]:
    """Stops, throttles and slow functions do not use up a message's receives: a dead letter was tried.

    Not asked where answers to receives got lost or processes died, nor of FIFO queues, where what stands behind a
    failing message goes back with it.
    """
    if any(life.killed is not None for life in history.lives):
        return
    tried = {message for attempt in history.attempts for message in attempt.batch}
    for place in places.values():
        if place.plan.fifo or place.plan.sqs_faults or place.plan.outage:
            continue
        for message in place.queue.dead_letters:
            if message not in tried:
                yield f"{message} became a dead letter and was never sent to the function"


def inexact(history: History, plans: Mapping[str, MappingPlan]) -> Iterator[str]:
    """No batch is larger than asked for, in records or bytes."""
    for attempt in history.attempts:
        most = plans[attempt.exchange.caller.mapping].batch_size
        if len(attempt.batch) > most or attempt.size > _PAYLOAD_LIMIT or not attempt.batch:
            yield f"{at(attempt.started)}: {attempt.exchange.caller} sent {len(attempt.batch)} records, {attempt.size} bytes"


def beyond_capacity(history: History, plans: Mapping[str, MappingPlan]) -> Iterator[str]:
    """With a cap, receives and invokes under way together never exceed it: what is received can be invoked at once."""
    changes: dict[str, list[tuple[float, int]]] = {}
    for exchange in history.exchanges:
        if exchange.operation in {"ReceiveMessage", "Invoke"} and plans[exchange.caller.mapping].concurrency:
            moments = changes.setdefault(str(exchange.caller), [])
            moments += [(exchange.started, 1), (exchange.ended or float("inf"), -1)]
    for caller, moments in changes.items():
        most = plans[caller.partition("/")[2]].concurrency or 0
        under_way = 0
        for moment, change in sorted(moments):
            under_way += change
            if under_way > most:
                yield f"{at(moment)}: {caller} has {under_way} receives and invokes under way, MaximumConcurrency is {most}"
                break


def late_batches(history: History, plans: Mapping[str, MappingPlan]) -> Iterator[str]:
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
        latest = began + plans[caller.mapping].window + _SLACK
        if attempt.started > latest and not troubled(history, caller, began, attempt.started):
            yield f"{at(attempt.started)}: {caller} sent {attempt.batch} {attempt.started - latest + _SLACK:.3f} s late"


def troubled(history: History, caller: Caller, since: float, until: float) -> bool:
    """Whether a call of this mapping went wrong in that time, or its function had been out of reach or room before."""
    for exchange in history.exchanges:
        if str(exchange.caller) == str(caller) and exchange.started < until:
            wrong = exchange.fault or exchange.saw not in {"answered", ""}
            memory = 120.0 if exchange.operation == "Invoke" else 0.0
            if wrong and (exchange.ended or until) >= since - memory:
                return True
    refused = (attempt for attempt in history.attempts if not attempt.ran and since - 120.0 < attempt.started < until)
    return any(str(attempt.exchange.caller) == str(caller) for attempt in refused)


def beyond_budget(plan: Plan, history: History) -> Iterator[str]:
    """The bodies a process holds, from a receive's answer to their fate, stay within MaximumBufferedBytes."""
    if sum(len(produced.body) for produced in history.produced.values()) < plan.buffered_bytes:
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
    """Where nothing goes wrong, what is received before the stop is sent."""
    attempted = {handle for attempt in history.attempts for handle in attempt.handles}
    for handed in history.handed:
        if handed.handle not in attempted:
            yield f"{at(handed.at)}: {handed.exchange.caller} received {handed.message} and never sent it"


def repeated(history: History) -> Iterator[str]:
    """Where nothing goes wrong, every message is sent once."""
    seen: set[str] = set()
    for attempt in history.attempts:
        again = seen & set(attempt.batch)
        if again:
            yield f"{at(attempt.started)}: {attempt.exchange.caller} sent {sorted(again)} again"
        seen |= set(attempt.batch)
