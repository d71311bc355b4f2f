"""Knows what a seed stands for: by its remainder of three its sources are queues, streams, or topics; or two of these."""

import random

from tests.simulation.kafka_seeds import add_topics
from tests.simulation.plans import Interruption, Plan
from tests.simulation.queue_seeds import make_heavy, queue_mapping
from tests.simulation.reload_seeds import add_reloads
from tests.simulation.stream_seeds import add_streams

#: What a seed's remainder stands for.
KINDS = 3
QUEUES, STREAMS, TOPICS = range(KINDS)


def plan(seed: int) -> Plan:
    """The world of a seed."""
    made = _world_of_queues(seed)
    if seed % KINDS == STREAMS:
        rng = random.Random(f"kinesis {seed}")
        if rng.random() < 0.7:
            made.mappings, made.processes = [], 1
            for interruption in made.interruptions:
                interruption.process = 0
        add_streams(rng, made)
    elif seed % KINDS == TOPICS:
        rng = random.Random(f"kafka {seed}")
        if rng.random() < 0.85:
            made.mappings = []
        add_topics(rng, made)
    add_reloads(made)
    return made


def _world_of_queues(seed: int) -> Plan:
    rng = random.Random(f"plan {seed}")
    calm = rng.random() < 0.15
    trouble_ends = rng.choice((10.0, 20.0, 40.0))
    mappings = [
        queue_mapping(rng, f"m{number}", trouble_ends, calm=calm) for number in range(rng.choice((1, 1, 1, 2, 2, 3)))
    ]
    processes = 1 if calm else rng.choice((1, 1, 2))
    made = Plan(seed, mappings, processes, trouble_ends=trouble_ends, calm=calm)
    if rng.random() < 0.03:
        make_heavy(made.mappings)
    made.drain = rng.choice((5, 30, 60, 120))
    if not calm:
        made.interruptions = [_interruption(rng, trouble_ends, processes) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    return made


def _interruption(rng: random.Random, trouble_ends: float, processes: int) -> Interruption:
    process, restart = rng.randrange(processes), rng.choice((0.01, 0.5, 5.0))
    kind = rng.choice(("stop", "kill"))
    if rng.random() < 0.6:
        return Interruption(process, kind, step=int(10 ** rng.uniform(1, 3.3)), restart=restart)
    return Interruption(process, kind, at=rng.uniform(0.0, trouble_ends), restart=restart)
