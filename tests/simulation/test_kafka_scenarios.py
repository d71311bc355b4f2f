"""Topics and groups in worlds that say what happens in them, so that more can be asked of the service than of any world."""

from tests.simulation.functions import Behaviour
from tests.simulation.loop import START
from tests.simulation.plans import Interruption, Load, MappingPlan, Plan, TopicPlan
from tests.simulation.worlds import Verdict, simulate


def _load(count: int, every: float, since: float = 0.0) -> list[Load]:
    return [Load(since + number * every, f"k{number % 7}", "body") for number in range(count)]


def _world(mapping: MappingPlan, *, processes: int = 1, trouble_ends: float = 30.0) -> Plan:
    return Plan(1, [mapping], processes, trouble_ends=trouble_ends)


def _mapping(partitions: int = 4, **given: object) -> MappingPlan:
    made = MappingPlan("t0", TopicPlan(partitions=partitions), batch_size=10)
    made.behaviour = Behaviour(shortest=0.1, longest=0.3)
    for name, value in given.items():
        setattr(made, name, value)
    return made


def _sent_twice(verdict: Verdict) -> set[str]:
    seen: set[str] = set()
    again: set[str] = set()
    for attempt in verdict.history.attempts:
        again |= seen & set(attempt.batch)
        seen |= set(attempt.batch)
    return again


def test_processes_that_join_and_leave_in_peace_repeat_nothing() -> None:
    plan = _world(_mapping(load=_load(200, 0.15)), processes=3)
    plan.joins = {1: 6.0, 2: 12.0}
    plan.interruptions = [Interruption(0, "stop", at=20.0, restart=4.0)]

    verdict = simulate(plan)

    assert verdict.violations == []
    assert len(verdict.history.ownerships) >= 8
    assert _sent_twice(verdict) == set()


def test_after_a_kill_the_others_go_on_and_only_what_was_in_hand_comes_again() -> None:
    plan = _world(_mapping(load=_load(200, 0.1)), processes=2)
    plan.interruptions = [Interruption(0, "kill", at=10.03, restart=100.0)]

    verdict = simulate(plan)

    assert verdict.violations == []
    # Up to half a second's records of each partition, and the batch under way.
    assert len(_sent_twice(verdict)) <= 4 * 10 + 10
    # The group notices within a session.
    dead = [at for at, _ in verdict.history.evictions]
    assert len(dead) == 1
    assert 1000.0 + 10.03 + 6.0 <= dead[0] <= 1000.0 + 10.03 + 14.0


def test_what_an_invoke_of_half_a_minute_has_done_counts_although_the_group_did_not_wait_for_it() -> None:
    mapping = _mapping(partitions=1, load=_load(1, 0.0), invoke_timeout=60)
    mapping.behaviour = Behaviour(shortest=30.0, longest=30.0)
    mapping.source.divisions = [1.0]  # type: ignore[union-attr]

    verdict = simulate(_world(mapping))

    assert verdict.violations == []
    assert len(verdict.history.attempts) == 1
    assert [one.offset for one in verdict.history.commits][-1] == 1


def test_a_function_of_twelve_minutes_keeps_its_partition_and_is_invoked_once_through_a_rebalance() -> None:
    minutes = 12 * 60.0
    mapping = _mapping(partitions=1, load=_load(1, 0.0), invoke_timeout=900)
    mapping.behaviour = Behaviour(shortest=minutes, longest=minutes)
    mapping.source.divisions = [300.0]  # type: ignore[union-attr]

    verdict = simulate(_world(mapping, trouble_ends=minutes + 60.0))

    history = verdict.history
    assert verdict.violations == []
    assert len(history.attempts) == 1
    assert history.evictions == [], "taken for dead although its session is seconds long"
    before, after, *_ = history.ownerships
    assert before.asked is not None
    assert START + 300.0 <= before.asked <= START + 304.0
    assert after.since - before.asked < 26.0  # 20 s for the invoke, a commit, and the group's own time
    assert [one.offset for one in history.commits][-1] == 1


def test_a_record_that_always_fails_blocks_its_partition_alone() -> None:
    mapping = _mapping(partitions=2, load=[Load(0.0, key, "body") for key in "ab" * 10], batch_size=1)
    mapping.source.retries = 5  # type: ignore[union-attr]
    mapping.behaviour.poison = {"t0-0"}

    verdict = simulate(_world(mapping))

    assert verdict.violations == []
    last = {attempt.shard: attempt.started for attempt in verdict.history.attempts}
    poisoned = next(attempt.shard for attempt in verdict.history.attempts if "t0-0" in attempt.batch)
    (other,) = last.keys() - {poisoned}
    assert last[other] < 1010.0
    assert sum("t0-0" in attempt.batch for attempt in verdict.history.attempts) == 6


def test_a_group_that_starts_at_the_latest_passes_over_what_was_there_and_nothing_later() -> None:
    mapping = _mapping(load=[*_load(20, 0.1, since=-30.0), *_load(20, 0.5, since=5.0)])
    mapping.source.start = "LATEST"  # type: ignore[union-attr]
    plan = _world(mapping, processes=2)
    plan.interruptions = [Interruption(0, "kill", at=5.2), Interruption(1, "kill", at=5.2)]

    verdict = simulate(plan)

    assert verdict.violations == []
    done = {identifier for attempt in verdict.history.attempts for identifier in attempt.done}
    assert done == {f"t0-{number}" for number in range(20, 40)}


def test_a_cluster_out_of_reach_for_a_minute_costs_nothing_but_time() -> None:
    mapping = _mapping(load=_load(100, 0.5))
    mapping.source.outages = [(5.0, 65.0)]  # type: ignore[union-attr]

    verdict = simulate(_world(mapping, processes=2, trouble_ends=70.0))

    assert verdict.violations == []
