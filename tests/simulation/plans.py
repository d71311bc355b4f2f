"""Knows what a seed stands for: queues, functions, load, faults, and when processes are stopped and killed."""

import random
from dataclasses import dataclass, field

from tests.simulation.functions import Behaviour


@dataclass(slots=True)
class Load:
    """One message to be sent: seconds after the start, its FIFO group, its body."""

    at: float
    group: str
    body: str


@dataclass(slots=True)
class MappingPlan:
    """One mapping with its queue and its function. `sqs_faults` and `lambda_faults` are shares of the calls."""

    name: str
    fifo: bool = False
    batch_size: int = 10
    window: int = 0
    concurrency: int | None = None
    visibility: int = 30
    redrive: int = 0
    invoke_timeout: int = 60
    behaviour: Behaviour = field(default_factory=Behaviour)
    sqs_faults: float = 0.0
    lambda_faults: float = 0.0
    entry_faults: float = 0.0
    duplicates: float = 0.0
    lenient: bool = True
    load: list[Load] = field(default_factory=list)
    #: What is wrong with the source as a whole while there is trouble: "", "missing", "forbidden" or "refused".
    outage: str = ""
    sqs_latency: float = 0.004


@dataclass(slots=True)
class Interruption:
    """What happens to one process: it is stopped or killed `at` seconds after the start, or at its n-th step."""

    process: int
    kind: str
    at: float = 0.0
    step: int = 0
    #: Seconds until the next process takes its place.
    restart: float = 0.5


@dataclass(slots=True)
class Plan:
    seed: int
    mappings: list[MappingPlan]
    processes: int = 1
    interruptions: list[Interruption] = field(default_factory=list)
    trouble_ends: float = 30.0
    drain: int = 60
    buffered_bytes: int = 16_777_216
    #: Nothing goes wrong at all: then more is promised.
    calm: bool = False


def plan(seed: int) -> Plan:
    """The world of a seed."""
    rng = random.Random(f"plan {seed}")
    calm = rng.random() < 0.15
    trouble_ends = rng.choice((10.0, 20.0, 40.0))
    mappings = [
        _mapping(rng, f"m{number}", trouble_ends, calm=calm) for number in range(rng.choice((1, 1, 1, 2, 2, 3)))
    ]
    processes = 1 if calm else rng.choice((1, 1, 2))
    made = Plan(seed, mappings, processes, trouble_ends=trouble_ends, calm=calm)
    if rng.random() < 0.03:
        _make_heavy(rng, made)
    made.drain = rng.choice((5, 30, 60, 120))
    if not calm:
        made.interruptions = [_interruption(rng, trouble_ends, processes) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    return made


def _make_heavy(rng: random.Random, made: Plan) -> None:
    """More bytes than the process may hold at once."""
    for mapping in made.mappings:
        mapping.batch_size = min(100, mapping.batch_size * 10) if mapping.window else mapping.batch_size
    heavy = made.mappings[0]
    heavy.load = [Load(0.0, load.group, "x" * 250_000) for load in heavy.load] * 4
    heavy.behaviour.poison = set()


def _mapping(rng: random.Random, name: str, trouble_ends: float, *, calm: bool) -> MappingPlan:
    fifo = rng.random() < 0.4
    window = 0 if fifo else rng.choice((0, 0, 0, 1, 2, 5, 20))
    made = MappingPlan(name, fifo, window=window)
    made.batch_size = rng.choice((1, 3, 10)) if fifo or not window else rng.choice((1, 5, 10, 25, 100))
    made.concurrency = rng.choice((None, 1, 2, 2, 5))
    made.visibility = rng.choice((3, 10, 15, 30))
    made.lenient = rng.random() < 0.7
    made.invoke_timeout = rng.choice((2, 8, 20))
    made.sqs_latency = rng.choice((0.002, 0.004, 0.03))
    made.behaviour = _behaviour(rng, fifo=fifo, invoke_timeout=made.invoke_timeout, calm=calm)
    made.load = _load(rng, name, trouble_ends, fifo=fifo)
    if not calm:
        made.redrive = rng.choice((0, 3, 6))
        made.sqs_faults = rng.choice((0.0, 0.03, 0.1, 0.3))
        made.lambda_faults = rng.choice((0.0, 0.03, 0.1, 0.3))
        made.entry_faults = rng.choice((0.0, 0.0, 0.1))
        made.duplicates = 0.0 if fifo else rng.choice((0.0, 0.0, 0.05))
        made.outage = rng.choice(("",) * 17 + ("missing", "forbidden", "refused"))
        if made.redrive and rng.random() < 0.3:
            made.behaviour.poison = {f"{name}-{rng.randrange(len(made.load))}"}
    return made


def _behaviour(rng: random.Random, *, fifo: bool, invoke_timeout: int, calm: bool) -> Behaviour:
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


def _load(rng: random.Random, name: str, trouble_ends: float, *, fifo: bool) -> list[Load]:
    count = rng.choice((3, 10, 25, 40))
    shape = rng.choice(("at once", "steady", "bursts"))
    bursts = [rng.uniform(0, trouble_ends * 0.8) for _ in range(3)]
    times = {
        "at once": lambda: 0.0,
        "steady": lambda: rng.uniform(0, trouble_ends * 0.8),
        "bursts": lambda: rng.choice(bursts) + rng.uniform(0, 0.1),
    }
    groups = rng.choice((1, 2, 5))
    moments = sorted(times[shape]() for _ in range(count))
    return [
        Load(at, f"g{rng.randrange(groups)}" if fifo else "", f'{{"of": "{name}", "number": {number}}}')
        for number, at in enumerate(moments)
    ]


def _interruption(rng: random.Random, trouble_ends: float, processes: int) -> Interruption:
    process, restart = rng.randrange(processes), rng.choice((0.01, 0.5, 5.0))
    kind = rng.choice(("stop", "kill"))
    if rng.random() < 0.6:
        return Interruption(process, kind, step=int(10 ** rng.uniform(1, 3.3)), restart=restart)
    return Interruption(process, kind, at=rng.uniform(0.0, trouble_ends), restart=restart)
