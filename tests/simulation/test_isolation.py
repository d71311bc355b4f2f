"""Twenty mappings in one process: four that fail, each in its way, cost the other sixteen nothing."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from tests.simulation.functions import Behaviour
from tests.simulation.plans import Load, MappingPlan, Plan
from tests.simulation.worlds import World, simulate

_TROUBLE = 120.0
_BAD = ("hangs", "errors", "missing", "down")


def _load(name: str, every: float, size: int) -> list[Load]:
    rng = random.Random(name)
    moments = [number * every + rng.uniform(0, every) for number in range(int(_TROUBLE * 0.9 / every))]
    return [Load(at, "", "x" * size) for at in moments]


def _good(number: int) -> MappingPlan:
    made = MappingPlan(f"good-{number}", concurrency=5, behaviour=Behaviour(shortest=0.02, longest=0.1))
    made.load = _load(made.name, 2.0, 1000)
    return made


def _bad(name: str) -> MappingPlan:
    """Its backlog would fill the whole memory budget more than once, if it could."""
    made = MappingPlan(name, batch_size=100, window=5, concurrency=50, invoke_timeout=60)
    made.load = _load(name, 0.5, 200_000)
    made.behaviour.hangs = float(name == "hangs")
    made.behaviour.errors = float(name == "errors")
    made.outage = "missing" if name == "missing" else ""
    made.lambda_faults = float(name == "down")
    return made


@dataclass
class Seen:
    """What came of a run: seconds from a message's arrival to its delivery, by mapping; `/mappings` before the trouble's end."""

    latencies: dict[str, list[float]] = field(default_factory=dict)
    shown: dict[str, dict[str, object]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def p99(self) -> float:
        """Of all good mappings together."""
        every = sorted(one for name, some in self.latencies.items() if name.startswith("good") for one in some)
        return every[int(len(every) * 0.99)]


def _run(mappings: list[MappingPlan]) -> Seen:
    seen = Seen()

    async def look(world: World) -> None:
        if "down" in world.places:
            world.places["down"].lambda_faults.weights = {"refused": 1.0}
        await asyncio.sleep(_TROUBLE - 1.0)
        outboard = world.deployments[0].outboard
        assert outboard is not None
        seen.shown = {str(shown["name"]): dict(shown) for shown in outboard.mappings()}

    verdict = simulate(Plan(1, mappings, trouble_ends=_TROUBLE), beside=look)
    seen.broken = verdict.violations
    for attempt in verdict.history.attempts:
        some = seen.latencies.setdefault(attempt.exchange.caller.mapping, [])
        some += [(attempt.ended or 0.0) - verdict.history.produced[message].at for message in attempt.done]
    return seen


@pytest.fixture(scope="module")
def alone() -> Seen:
    return _run([_good(number) for number in range(16)])


@pytest.fixture(scope="module")
def together() -> Seen:
    return _run([*(_bad(name) for name in _BAD), *(_good(number) for number in range(16))])


def test_sixteen_good_mappings_keep_pace_beside_four_bad_ones(alone: Seen, together: Seen) -> None:
    assert sum(len(some) for name, some in together.latencies.items() if name.startswith("good")) >= 16 * 50
    assert together.p99() <= 2 * alone.p99()


@pytest.mark.parametrize(
    ("name", "error_type"),
    [
        ("hangs", "Timeout"),
        ("errors", "Runtime.ExitError|ValueError|Sandbox.Timedout"),
        ("missing", "QueueDoesNotExist"),
        ("down", "ConnectionError"),
    ],
)
def test_a_bad_mapping_shows_its_reason(together: Seen, name: str, error_type: str) -> None:
    error = together.shown[name]["lastError"]

    assert isinstance(error, dict)
    assert error["type"] in error_type.split("|")


def test_good_mappings_show_nothing_wrong(together: Seen) -> None:
    good = [shown for name, shown in together.shown.items() if name.startswith("good")]

    assert [(shown["state"], shown["lastError"]) for shown in good] == [("Enabled", None)] * 16


def test_the_bad_mappings_recover_by_themselves_and_no_promise_was_broken(together: Seen) -> None:
    assert together.broken == []
    assert {name: len(together.latencies[name]) >= len(_bad(name).load) for name in _BAD} == dict.fromkeys(_BAD, True)
