"""Knows the promises of the service and finds in a history where one was broken."""

from collections.abc import Collection, Iterator, Mapping

from tests.simulation.history import History
from tests.simulation.kafka_promises import broken_by_topics
from tests.simulation.lives import Incarnation
from tests.simulation.places import AnyPlace, QueuePlace, StreamPlace
from tests.simulation.plans import Plan
from tests.simulation.queue_promises import broken_by_queues
from tests.simulation.reload_promises import broken_by_reloads
from tests.simulation.stream_promises import broken_by_streams
from tests.simulation.topic_place import TopicPlace
from tests.simulation.words import at, told

_PAYLOAD_LIMIT = 6_291_456


def violations(plan: Plan, history: History, places: Mapping[str, AnyPlace]) -> list[str]:
    """Every promise that this run broke, as sentences."""
    queues = {name: place for name, place in places.items() if isinstance(place, QueuePlace)}
    streams = {name: place for name, place in places.items() if isinstance(place, StreamPlace)}
    topics = {name: place for name, place in places.items() if isinstance(place, TopicPlace)}
    found = [f"illegal request: {request}" for request in history.illegal]
    found += [f"logged as an error: {line}" for line in history.errors if "mapping crashed" in line]
    found += [*inexact(history), *late_exits(history), *broken_by_reloads(history)]
    found += [
        *beyond_capacity(history, queues, {"ReceiveMessage", "Invoke"}),
        *beyond_capacity(history, streams, {"Invoke"}),
        *beyond_capacity(history, topics, {"Invoke"}),
    ]
    if plan.calm:
        found += repeated(history)
    found += broken_by_queues(plan, history.of(queues), queues) if queues else []
    found += broken_by_streams(plan, history.of(streams), streams) if streams else []
    found += broken_by_topics(plan, history.of(topics), topics) if topics else []
    return found


def inexact(history: History) -> Iterator[str]:
    """No batch is larger than asked for, in records or bytes."""
    for attempt in history.attempts:
        own = attempt.exchange.caller.plan
        most = own.batch_size if own is not None else 0
        if len(attempt.batch) > most or attempt.size > _PAYLOAD_LIMIT or not attempt.batch:
            yield told(attempt, f"sent {len(attempt.batch)} records, {attempt.size} bytes")


def beyond_capacity(history: History, places: Mapping[str, AnyPlace], operations: Collection[str]) -> Iterator[str]:
    """With a cap, invokes under way never exceed it; of a queue that includes receives: what comes can be invoked at once."""
    changes: dict[Incarnation, list[tuple[float, int]]] = {}
    for exchange in history.exchanges:
        own = exchange.caller.incarnation
        if exchange.operation in operations and exchange.caller.mapping in places and own is not None and _most(own):
            moments = changes.setdefault(own, [])
            moments += [(exchange.started, 1), (exchange.ended or float("inf"), -1)]
    for own, moments in changes.items():
        caller, most = f"{own.process.name}/{own.mapping}", _most(own)
        under_way = 0
        for moment, change in sorted(moments):
            under_way += change
            if under_way > most:
                calls = " and ".join(sorted(operations))
                yield f"{at(moment)}: {caller} has {under_way} of {calls} under way, MaximumConcurrency is {most}"
                break


def _most(own: Incarnation) -> int:
    return own.plan.concurrency or 0 if own.plan is not None else 0


def late_exits(history: History) -> Iterator[str]:
    """Every process that was asked to stop and was not killed ends, in the time it has for that."""
    for life in history.lives:
        if life.stop_asked is None or life.killed is not None:
            continue
        if life.ended is None:
            yield f"{life.process.name} never ended"
        elif life.ended > life.stop_asked + life.drain_seconds + 1.0:
            yield f"{life.process.name} took {life.ended - life.stop_asked:.1f} s to stop, allowed {life.drain_seconds}"


def repeated(history: History) -> Iterator[str]:
    """Where nothing goes wrong, everything is sent once."""
    seen: set[str] = set()
    for attempt in history.attempts:
        again = seen & set(attempt.batch)
        if again:
            yield told(attempt, f"sent {sorted(again)} again")
        seen |= set(attempt.batch)
