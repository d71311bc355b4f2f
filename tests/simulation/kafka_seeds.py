"""Knows which topics, groups, limits and loads there can be, and lets chance pick one."""

import random

from tests.simulation.functions import Behaviour
from tests.simulation.plans import Interruption, Load, MappingPlan, Plan, TopicPlan
from tests.simulation.queue_seeds import some_arrivals, some_behaviour


def add_topics(rng: random.Random, made: Plan) -> None:
    """One topic, or two, worked off by one to three processes that come and go."""
    made.processes = rng.choice((1, 2, 2, 3))
    late = [number for number in range(1, made.processes) if rng.random() < 0.5]
    made.joins = {number: rng.uniform(0.0, made.trouble_ends) for number in late}
    names = ("t0", "t1") if not made.mappings and rng.random() < 0.15 else ("t0",)
    made.mappings += [_topic_mapping(rng, name, made) for name in names]
    if rng.random() < 0.03:
        _make_heavy(made.mappings[-1])
    made.interruptions = []
    if not made.calm:
        made.interruptions = [_interruption(rng, made) for _ in range(rng.choice((0, 1, 1, 2, 3, 4)))]


def _topic_mapping(rng: random.Random, name: str, world: Plan) -> MappingPlan:
    topic = TopicPlan(
        partitions=rng.choice((1, 2, 3, 4)),
        start=rng.choice(("TRIM_HORIZON", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP")),
    )
    topic.start_at = rng.choice((-30.0, -3.0, 0.0))
    topic.gaps = rng.choice((0.0, 0.0, 0.2, 0.6))
    topic.retries = rng.choice((None, None, None, 0, 1, 3))
    topic.record_age = rng.choice((None, None, None, 60, 90))
    topic.bisect = rng.random() < 0.3
    made = MappingPlan(name, topic, window=rng.choice((0, 0, 0, 1, 5)))
    made.batch_size = rng.choice((1, 3, 10, 100))
    made.concurrency = rng.choice((None, None, 1, 2))
    made.invoke_timeout = rng.choice((2, 8, 20, 40))
    made.source_latency = rng.choice((0.002, 0.004, 0.03))
    made.behaviour = _behaviour(rng, made.invoke_timeout, calm=world.calm)
    made.load = _load(rng, name, world.trouble_ends)
    topic.grows = [rng.uniform(0.0, world.trouble_ends) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
    if not world.calm:
        _trouble(rng, made, topic, world)
    return made


def _behaviour(rng: random.Random, invoke_timeout: int, *, calm: bool) -> Behaviour:
    made = some_behaviour(rng, fifo=False, invoke_timeout=invoke_timeout, calm=calm)
    made.fifo = rng.random() < 0.3
    made.longest = min(made.longest, 9.0) if calm else made.longest
    made.shortest = min(made.shortest, made.longest)
    if not calm:
        made.item_failures = rng.choice((0.0, 0.02, 0.1, 0.3))
    return made


def _trouble(rng: random.Random, made: MappingPlan, topic: TopicPlan, world: Plan) -> None:
    ends = world.trouble_ends
    made.source_faults = rng.choice((0.0, 0.0, 0.03, 0.1, 0.3))
    made.lambda_faults = rng.choice((0.0, 0.03, 0.1, 0.3))
    made.outage = rng.choice(("",) * 18 + ("missing", "refused"))
    topic.divisions = [rng.uniform(0.0, ends) for _ in range(rng.choice((0, 0, 1, 2)))]
    if rng.random() < 0.1:
        topic.expiries = [rng.uniform(0.0, ends) for _ in range(2)]
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        since = rng.uniform(0.0, ends)
        topic.cuts.append((rng.randrange(world.processes), since, since + rng.choice((2.0, 12.0, 30.0))))
    if rng.random() < 0.1:
        since = rng.uniform(0.0, ends)
        topic.outages.append((since, since + rng.choice((1.0, 5.0, 20.0))))
    if (topic.retries is not None or topic.record_age is not None) and rng.random() < 0.4:
        made.behaviour.poison = {f"{made.name}-{rng.randrange(len(made.load))}" for _ in range(rng.choice((1, 1, 2)))}


def _interruption(rng: random.Random, made: Plan) -> Interruption:
    process, restart = rng.randrange(made.processes), rng.choice((0.01, 0.5, 5.0, 20.0))
    kind = rng.choice(("stop", "kill"))
    if rng.random() < 0.3:
        return Interruption(process, kind, step=int(10 ** rng.uniform(1, 3.3)), restart=restart)
    return Interruption(process, kind, at=rng.uniform(0.0, made.trouble_ends), restart=restart)


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
