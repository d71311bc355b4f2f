"""Situations of queues that random worlds meet too seldom, each with what was promised for it."""

from tests.simulation.functions import Behaviour
from tests.simulation.plans import Interruption, Load, MappingPlan, Plan, QueuePlan
from tests.simulation.worlds import Verdict, World, simulate


def _at(moment: float, count: int) -> list[Load]:
    return [Load(moment, "", "body") for _ in range(count)]


async def _throttle(world: World) -> None:
    for place in world.places.values():
        place.lambda_faults.weights = {"throttled": 1.0}


def _most_receives(verdict: Verdict) -> int:
    counts: dict[str, int] = {}
    for handed in verdict.history.handed:
        counts[handed.message] = counts.get(handed.message, 0) + 1
    return max(counts.values())


def test_a_stop_beside_waiting_pollers_makes_no_dead_letter() -> None:
    mapping = MappingPlan("m0", QueuePlan(redrive=3), behaviour=Behaviour(shortest=0.2, longest=0.4))
    # The backlog opens pollers; what comes after the stop meets all those that still wait for an answer.
    mapping.load = _at(0.0, 100) + _at(1.2, 3)
    stop = Interruption(0, "stop", at=1.1, restart=1.0)

    verdict = simulate(Plan(1, [mapping], interruptions=[stop], trouble_ends=10.0))

    assert verdict.violations == []
    assert len(verdict.history.deleted) == 103


def test_a_window_longer_than_the_visibility_time_out_sends_nothing_twice() -> None:
    mapping = MappingPlan("m0", QueuePlan(visibility=30), batch_size=1000, window=60)
    mapping.load = [load for second in range(0, 180, 7) for load in _at(float(second), 2)]

    verdict = simulate(Plan(1, [mapping], trouble_ends=200.0, calm=True))

    assert verdict.violations == []
    assert _most_receives(verdict) == 1


def test_at_its_concurrency_a_mapping_receives_nothing_that_it_cannot_invoke_for() -> None:
    behaviour = Behaviour(shortest=40.0, longest=50.0)
    mapping = MappingPlan("m0", QueuePlan(visibility=30, redrive=3), concurrency=2, behaviour=behaviour)
    mapping.load = _at(0.0, 100)

    verdict = simulate(Plan(1, [mapping], trouble_ends=10.0, calm=True))

    assert verdict.violations == []
    assert _most_receives(verdict) == 1


def test_a_function_that_is_throttled_for_long_uses_up_no_receives() -> None:
    mapping = MappingPlan("m0", QueuePlan(visibility=10, redrive=3), concurrency=5, lambda_faults=1.0)
    mapping.load = _at(0.0, 30)

    verdict = simulate(Plan(1, [mapping], trouble_ends=120.0), beside=_throttle)

    assert verdict.violations == []
    assert (len(verdict.history.deleted), _most_receives(verdict)) == (30, 1)


def test_a_stop_while_everything_is_throttled_hands_all_of_it_back() -> None:
    mapping = MappingPlan("m0", QueuePlan(visibility=30), concurrency=5, lambda_faults=1.0)
    mapping.load = _at(0.0, 30)
    stop = Interruption(0, "stop", at=15.0, restart=1.0)

    verdict = simulate(Plan(1, [mapping], interruptions=[stop], trouble_ends=60.0), beside=_throttle)

    assert verdict.violations == []
    assert verdict.history.lives[0].ended is not None
