"""Four shards of one stream: one whose function fails costs the other three nothing, and it can be seen which one it is."""

import asyncio
from dataclasses import dataclass, field

import pytest

from tests.simulation.functions import Behaviour
from tests.simulation.plans import Load, MappingPlan, Plan, StreamPlan
from tests.simulation.stream import HASHES, hash_of
from tests.simulation.worlds import World, simulate

_TROUBLE = 120.0
_SHARDS = 4
_EVERY = 0.25


def _key_in(shard: int) -> str:
    """A partition key of which the records are in that shard."""
    return next(key for key in map(str, range(1000)) if hash_of(key) * _SHARDS // HASHES == shard)


def _mapping(concurrency: int | None) -> MappingPlan:
    behaviour = Behaviour(shortest=0.02, longest=0.1)
    made = MappingPlan("s0", StreamPlan(shards=_SHARDS), batch_size=10, concurrency=concurrency, behaviour=behaviour)
    keys = [_key_in(shard) for shard in range(_SHARDS)]
    made.load = [Load(number * _EVERY / _SHARDS, keys[number % _SHARDS], "body") for number in range(1600)]
    return made


@dataclass
class Seen:
    """Seconds from a record's arrival to its delivery, by shard; the mapping as it was shown before the trouble's end."""

    latencies: dict[str, list[float]] = field(default_factory=dict)
    shown: dict[str, object] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def p99(self) -> float:
        """Of the shards without poison together."""
        every = sorted(one for shard, some in self.latencies.items() if not shard.endswith("0") for one in some)
        return every[int(len(every) * 0.99)]


def _run(poison: set[str], concurrency: int | None) -> Seen:
    seen = Seen()

    async def look(world: World) -> None:
        world.places["s0"].function.behaviour.poison = poison
        await asyncio.sleep(_TROUBLE - 1.0)
        outboard = world.deployments[0].outboard
        assert outboard is not None
        seen.shown = dict(outboard.mappings()[0])
        world.places["s0"].function.behaviour.poison = set()

    verdict = simulate(Plan(1, [_mapping(concurrency)], trouble_ends=_TROUBLE), beside=look)
    seen.broken = verdict.violations
    for attempt in verdict.history.attempts:
        some = seen.latencies.setdefault(attempt.shard, [])
        some += [(attempt.ended or 0.0) - verdict.history.produced[record].at for record in attempt.done]
    return seen


@pytest.mark.parametrize("concurrency", [None, 2])
def test_three_shards_keep_pace_beside_one_that_is_blocked(concurrency: int | None) -> None:
    alone, together = _run(set(), concurrency), _run({"s0-100"}, concurrency)

    assert (alone.broken, together.broken) == ([], [])
    assert [len(some) for some in together.latencies.values()] == [400] * _SHARDS
    assert together.p99() <= 2 * alone.p99()


def test_a_blocked_shard_is_shown_with_its_record_and_its_error() -> None:
    shown = _run({"s0-100"}, None).shown

    assert shown["state"] == "blocked"
    assert "shardId-000000000000" in str(shown["stateReason"])
    assert "ValueError" in str(shown["stateReason"])
