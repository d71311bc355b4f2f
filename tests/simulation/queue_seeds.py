"""Knows which queues, functions and loads there can be, and lets chance pick one."""

import random
from collections.abc import Callable

from tests.simulation.functions import Behaviour
from tests.simulation.plans import Load, MappingPlan, QueuePlan


def queue_mapping(rng: random.Random, name: str, trouble_ends: float, *, calm: bool) -> MappingPlan:
    queue = QueuePlan(fifo=rng.random() < 0.4)
    window = 0 if queue.fifo else rng.choice((0, 0, 0, 1, 2, 5, 20))
    made = MappingPlan(name, queue, window=window)
    made.batch_size = rng.choice((1, 3, 10)) if queue.fifo or not window else rng.choice((1, 5, 10, 25, 100))
    made.concurrency = rng.choice((None, 1, 2, 2, 5))
    queue.visibility = rng.choice((3, 10, 15, 30))
    queue.lenient = rng.random() < 0.7
    made.invoke_timeout = rng.choice((2, 8, 20))
    made.source_latency = rng.choice((0.002, 0.004, 0.03))
    made.behaviour = some_behaviour(rng, fifo=queue.fifo, invoke_timeout=made.invoke_timeout, calm=calm)
    made.load = _load(rng, name, trouble_ends, fifo=queue.fifo)
    if not calm:
        queue.redrive = rng.choice((0, 3, 6))
        made.source_faults = rng.choice((0.0, 0.03, 0.1, 0.3))
        made.lambda_faults = rng.choice((0.0, 0.03, 0.1, 0.3))
        queue.entry_faults = rng.choice((0.0, 0.0, 0.1))
        queue.duplicates = 0.0 if queue.fifo else rng.choice((0.0, 0.0, 0.05))
        made.outage = rng.choice(("",) * 17 + ("missing", "forbidden", "refused"))
        if queue.redrive and rng.random() < 0.3:
            made.behaviour.poison = {f"{name}-{rng.randrange(len(made.load))}"}
    return made


def make_heavy(mappings: list[MappingPlan]) -> None:
    """More bytes than the process may hold at once."""
    for mapping in mappings:
        mapping.batch_size = min(100, mapping.batch_size * 10) if mapping.window else mapping.batch_size
    heavy = mappings[0]
    heavy.load = [Load(0.0, load.group, "x" * 250_000) for load in heavy.load] * 4
    heavy.behaviour.poison = set()


def some_behaviour(rng: random.Random, *, fifo: bool, invoke_timeout: int, calm: bool) -> Behaviour:
    made = Behaviour(partial=rng.random() < 0.6, fifo=fifo, emulator=rng.random() < 0.2)
    made.longest = rng.choice((0.02, 0.2, min(1.5, invoke_timeout / 2), invoke_timeout * 0.9))
    made.shortest = made.longest / rng.choice((1, 2, 10))
    if calm:
        return made
    made.errors = rng.choice((0.0, 0.05, 0.2))
    made.item_failures = rng.choice((0.0, 0.02, 0.1))
    made.invalid_answers = rng.choice((0.0, 0.05))
    made.hangs = rng.choice((0.0, 0.0, 0.05))
    made.hang_seconds = invoke_timeout * rng.choice((1.1, 3.0))
    made.capacity = rng.choice((0, 0, 1, 3))
    made.refuses_above = rng.choice((0, 0, 0, 4))
    return made


def some_arrivals(rng: random.Random, trouble_ends: float) -> Callable[[], float]:
    """Gives one moment after the other, unsorted, at which something is sent."""
    shape = rng.choice(("at once", "steady", "bursts"))
    bursts = [rng.uniform(0, trouble_ends * 0.8) for _ in range(3)]
    shapes: dict[str, Callable[[], float]] = {
        "at once": lambda: 0.0,
        "steady": lambda: rng.uniform(0, trouble_ends * 0.8),
        "bursts": lambda: rng.choice(bursts) + rng.uniform(0, 0.1),
    }
    return shapes[shape]


def _load(rng: random.Random, name: str, trouble_ends: float, *, fifo: bool) -> list[Load]:
    count = rng.choice((3, 10, 25, 40))
    arrival = some_arrivals(rng, trouble_ends)
    groups = rng.choice((1, 2, 5))
    moments = sorted(arrival() for _ in range(count))
    return [
        Load(at, f"g{rng.randrange(groups)}" if fifo else "", f'{{"of": "{name}", "number": {number}}}')
        for number, at in enumerate(moments)
    ]
