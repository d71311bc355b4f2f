"""Knows which streams, limits and loads there can be, and lets chance pick one."""

import random

from tests.simulation.functions import Behaviour
from tests.simulation.plans import Load, MappingPlan, Plan, StreamPlan
from tests.simulation.queue_seeds import some_arrivals, some_behaviour


def add_streams(rng: random.Random, made: Plan) -> None:
    """One stream, or two, and what can be wrong with the disk and the clock."""
    names = ("s0", "s1") if not made.mappings and rng.random() < 0.25 else ("s0",)
    made.mappings += [_stream_mapping(rng, name, made.trouble_ends, calm=made.calm) for name in names]
    if rng.random() < 0.03:
        _make_heavy(made.mappings[-1])
    if made.calm:
        return
    if rng.random() < 0.15:
        begins = rng.choice((0.0, rng.uniform(0.0, made.trouble_ends)))
        made.disk_full = begins, rng.uniform(begins, made.trouble_ends)
    made.skew = rng.choice((0.0,) * 8 + (0.3, -0.3))


def _stream_mapping(rng: random.Random, name: str, trouble_ends: float, *, calm: bool) -> MappingPlan:
    stream = StreamPlan(shards=rng.choice((1, 1, 2, 3)), start=rng.choice(("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP")))
    stream.start_at = rng.choice((-30.0, -3.0, 0.0))
    stream.listed_at_once = rng.choice((1, 2, 1000))
    stream.tells_children = rng.random() < 0.6
    stream.empty_pages = rng.choice((0.0, 0.2, 0.6))
    made = MappingPlan(name, stream, window=rng.choice((0, 0, 0, 1, 5)))
    made.batch_size = rng.choice((1, 3, 10, 100))
    made.concurrency = rng.choice((None, None, 1, 2))
    made.invoke_timeout = rng.choice((2, 8, 20))
    made.source_latency = rng.choice((0.002, 0.004, 0.03))
    made.behaviour = _behaviour(rng, made.invoke_timeout, calm=calm)
    made.load = _load(rng, name, trouble_ends)
    stream.reshards = [
        (rng.uniform(0.0, trouble_ends), rng.choice(("split", "split", "merge")))
        for _ in range(rng.choice((0, 1, 2, 3)))
    ]
    _limit(rng, made, stream)
    if not calm:
        _trouble(rng, made, stream, trouble_ends)
    return made


def _behaviour(rng: random.Random, invoke_timeout: int, *, calm: bool) -> Behaviour:
    made = some_behaviour(rng, fifo=False, invoke_timeout=invoke_timeout, calm=calm)
    made.stops = rng.random() < 0.5
    if not calm:
        made.item_failures = rng.choice((0.0, 0.02, 0.1, 0.3))
    return made


def _limit(rng: random.Random, made: MappingPlan, stream: StreamPlan) -> None:
    stream.retries = rng.choice((None, None, None, 0, 1, 3))
    stream.record_age = rng.choice((None, None, None, 60, 90))
    stream.bisect = rng.random() < 0.3


def _trouble(rng: random.Random, made: MappingPlan, stream: StreamPlan, trouble_ends: float) -> None:
    made.source_faults = rng.choice((0.0, 0.03, 0.1, 0.3))
    made.lambda_faults = rng.choice((0.0, 0.03, 0.1, 0.3))
    made.outage = rng.choice(("",) * 17 + ("missing", "forbidden", "refused"))
    stream.expiries = rng.choice((0.0, 0.0, 0.05, 0.2))
    if rng.random() < 0.1:
        stream.trims = [rng.uniform(0.0, trouble_ends) for _ in range(2)]
    if rng.random() < 0.06:
        deleted = rng.uniform(1.0, trouble_ends * 0.7)
        stream.deleted = deleted, deleted + rng.uniform(3.0, trouble_ends * 0.3 + 3.0)
    if (stream.retries is not None or stream.record_age is not None) and rng.random() < 0.4:
        made.behaviour.poison = {f"{made.name}-{rng.randrange(len(made.load))}" for _ in range(rng.choice((1, 1, 2)))}


def _load(rng: random.Random, name: str, trouble_ends: float) -> list[Load]:
    """A few records were there before the start, the others arrive in it."""
    arrival = some_arrivals(rng, trouble_ends)
    before = [rng.uniform(-40.0, 0.0) for _ in range(rng.choice((0, 0, 5, 15)))]
    moments = sorted([*before, *(arrival() for _ in range(rng.choice((3, 10, 25, 40))))])
    keys = rng.choice((1, 2, 5, 20))
    return [Load(at, f"k{rng.randrange(keys)}", f"record {number}") for number, at in enumerate(moments)]


def _make_heavy(mapping: MappingPlan) -> None:
    """More bytes than the process may hold at once."""
    mapping.load = [Load(0.0, load.group, "x" * 250_000) for load in mapping.load] * 4
    mapping.behaviour.poison = set()
