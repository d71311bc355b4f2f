"""Knows which reloads there can be, and lets chance pick some; by numbers of its own, so that the worlds stay as they are."""

import random
from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.plans import MappingPlan, Plan, QueuePlan, Reload, StreamPlan, TopicPlan

#: Seconds, so that two have an order.
_APART = 0.0001


def add_reloads(made: Plan) -> None:
    """In every third world."""
    rng = random.Random(f"reload {made.seed}")
    if rng.random() >= 1 / 3:
        return
    now = {mapping.name: mapping for mapping in made.mappings}
    for at in _moments(rng, made):
        wanted, broken = _changed(rng, made, now), rng.choice(("",) * 6 + ("field", "text"))
        if not broken:
            now = wanted
        made.reloads.append(_reload(rng, made, at, wanted, broken))
    if made.reloads[-1].broken or len(now) < len(made.mappings) or not all(one.enabled for one in now.values()):
        last = made.reloads[-1].at
        at = _APART + rng.choice((last, rng.uniform(last, max(last, made.trouble_ends))))
        whole = {mapping.name: replace(now.get(mapping.name, mapping), enabled=True) for mapping in made.mappings}
        made.reloads.append(_reload(rng, made, at, whole, ""))


def _reload(rng: random.Random, made: Plan, at: float, mappings: dict[str, MappingPlan], broken: str) -> Reload:
    noticed = tuple(rng.choice((0.0, 0.01, rng.uniform(0.0, 6.0))) for _ in range(made.processes))
    return Reload(at, list(mappings.values()), noticed, broken)


def _moments(rng: random.Random, made: Plan) -> list[float]:
    """At any time, beside a stop or a kill, or one right after the other."""
    ends = made.trouble_ends
    beside = [one.at for one in made.interruptions if not one.step]
    moments: list[float] = []
    for _ in range(rng.choice((1, 2, 2, 3, 5))):
        kind = rng.random()
        if kind < 0.3 and beside:
            at = rng.choice(beside) + rng.choice((-3.0, -0.1, 0.0, 0.005, 1.0)) * rng.random()
        elif kind < 0.6 and moments:
            at = moments[-1] + rng.choice((0.0, 0.01, 1.0, 5.0)) * rng.random()
        else:
            at = rng.uniform(0.0, ends)
        moments.append(min(max(0.0, at), ends))
    return [at + _APART * number for number, at in enumerate(sorted(moments))]


def _changed(rng: random.Random, made: Plan, now: dict[str, MappingPlan]) -> dict[str, MappingPlan]:
    """One mapping is otherwise, sometimes two or none; what is gone comes back in its place."""
    then = dict(now)
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2))):
        first = rng.choice(made.mappings)
        one = then.get(first.name)
        kind = rng.random()
        if one is None:
            then[first.name] = first
        elif not one.enabled:
            then[first.name] = replace(one, enabled=True)
        elif kind < 0.2:
            del then[first.name]
        elif kind < 0.4:
            then[first.name] = replace(one, enabled=False)
        else:
            then[first.name] = _fitting(replace(one, **dict(_some(rng, first))))
    return {mapping.name: then[mapping.name] for mapping in made.mappings if mapping.name in then}


def _some(rng: random.Random, first: MappingPlan) -> Iterator[tuple[str, object]]:
    """Some of the fields that a running mapping can change, as they will be."""
    for name, value in (
        ("batch_size", rng.choice((1, 2, 7, 10))),
        ("concurrency", rng.choice((None, 1, 3))),
        ("invoke_timeout", first.invoke_timeout + rng.choice((0, 1))),
        ("window", 0 if isinstance(first.source, QueuePlan) and first.source.fifo else rng.choice((0, 1, 3))),
        ("source", _limits(rng, first.source)),
    ):
        if rng.random() < 0.5:
            yield name, value


def _fitting(mapping: MappingPlan) -> MappingPlan:
    """A queue's large batches need a window."""
    small = isinstance(mapping.source, QueuePlan) and not mapping.window
    return replace(mapping, batch_size=min(10, mapping.batch_size)) if small else mapping


def _limits(rng: random.Random, source: QueuePlan | StreamPlan | TopicPlan) -> QueuePlan | StreamPlan | TopicPlan:
    """What has a limit keeps one, so that nothing is tried for ever."""
    if isinstance(source, QueuePlan):
        return source
    return replace(
        source,
        bisect=rng.random() < 0.5,
        retries=None if source.retries is None else rng.choice((0, 1, 3)),
        record_age=None if source.record_age is None else rng.choice((60, 90)),
    )
