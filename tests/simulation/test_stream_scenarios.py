"""Situations of streams that random worlds meet too seldom, each with what was promised for it."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.simulation.functions import Behaviour
from tests.simulation.history import Attempt
from tests.simulation.loop import START
from tests.simulation.plans import Interruption, Load, MappingPlan, Plan, StreamPlan
from tests.simulation.worlds import Verdict, World, simulate


def _steady(count: int, every: float, *, since: float = 0.0, keys: int = 1) -> list[Load]:
    return [Load(since + number * every, f"k{number % keys}", "body") for number in range(count)]


def _mapping(stream: StreamPlan, load: list[Load], **fields: object) -> MappingPlan:
    return MappingPlan("s0", stream, load=load, **fields)  # type: ignore[arg-type]


def _done(verdict: Verdict) -> set[str]:
    return {identifier for attempt in verdict.history.attempts for identifier in attempt.done}


def _with(verdict: Verdict, identifier: str) -> list[Attempt]:
    return [attempt for attempt in verdict.history.attempts if identifier in attempt.batch]


def _dropped(verdict: Verdict) -> list[tuple[str, int, int]]:
    return [(one.reason, one.events, one.invokes) for one in verdict.history.dropped]


@pytest.mark.parametrize("kind", ["stop", "kill"])
def test_latest_loses_nothing_when_the_process_ends_before_its_first_checkpoint(kind: str) -> None:
    mapping = _mapping(
        StreamPlan(start="LATEST"), _steady(40, 0.25, since=-2.0), behaviour=Behaviour(shortest=3.0, longest=3.0)
    )
    ends = [Interruption(0, kind, at=1.5, restart=2.0)]

    verdict = simulate(Plan(1, [mapping], interruptions=ends, trouble_ends=20.0, drain=1))

    assert verdict.violations == []
    after_the_start = {f"s0-{number}" for number, load in enumerate(mapping.load) if load.at > 0.1}
    assert after_the_start <= _done(verdict)
    assert not {"s0-0", "s0-5"} & _done(verdict)


def test_splits_and_merges_under_load_with_a_failing_function_lose_nothing_and_keep_the_order() -> None:
    behaviour = Behaviour(errors=0.3, shortest=0.05, longest=0.3)
    reshards = [(3.0, "split"), (6.0, "split"), (9.0, "merge"), (12.0, "merge"), (15.0, "split")]
    mapping = _mapping(StreamPlan(shards=2, reshards=reshards), _steady(200, 0.1, keys=10), behaviour=behaviour)

    verdict = simulate(Plan(1, [mapping], trouble_ends=25.0))

    assert verdict.violations == []
    assert len(_done(verdict)) == 200
    assert len({attempt.shard for attempt in verdict.history.attempts}) >= 5


def test_an_iterator_that_expired_behind_a_slow_function_is_no_error() -> None:
    behaviour = Behaviour(shortest=400.0, longest=400.0)
    mapping = _mapping(StreamPlan(), _steady(2, 500.0), behaviour=behaviour, invoke_timeout=900)

    verdict = simulate(Plan(1, [mapping], trouble_ends=1500.0))

    assert verdict.violations == []
    assert sum(exchange.fault == "expired" for exchange in verdict.history.exchanges) >= 1
    assert verdict.history.lives[0].counts["s0"]["pollingErrors"] == 0


def test_an_empty_shard_that_was_split_is_not_read_again_after_a_restart() -> None:
    mapping = _mapping(StreamPlan(reshards=[(5.0, "split")]), _steady(5, 1.0, since=12.0))

    verdict = simulate(Plan(1, [mapping], interruptions=[Interruption(0, "stop", at=10.0)], trouble_ends=20.0))

    assert verdict.violations == []
    read = {
        (exchange.caller.process.name, exchange.shard[-1]) for exchange in verdict.history.exchanges if exchange.shard
    }
    assert read == {("p0.1", "0"), ("p0.1", "1"), ("p0.1", "2"), ("p0.2", "1"), ("p0.2", "2")}


def test_delivery_goes_on_while_the_disk_is_full() -> None:
    mapping = _mapping(StreamPlan(), _steady(30, 0.5))

    verdict = simulate(Plan(1, [mapping], trouble_ends=20.0, disk_full=(3.0, 18.0)))

    assert verdict.violations == []
    during = [
        attempt for attempt in verdict.history.attempts if START + 4.0 < attempt.started < START + 18.0 and attempt.done
    ]
    assert len(during) > 10
    assert len(verdict.history.attempts) == len({attempt.batch for attempt in verdict.history.attempts})


def test_a_disk_that_is_full_does_not_hold_up_a_stop_beyond_its_time() -> None:
    mapping = _mapping(StreamPlan(), _steady(30, 0.5), behaviour=Behaviour(shortest=4.0, longest=4.0))
    stop = Interruption(0, "stop", at=10.0)

    verdict = simulate(Plan(1, [mapping], interruptions=[stop], trouble_ends=25.0, drain=5, disk_full=(3.0, 24.0)))

    assert verdict.violations == []


def test_retries_are_counted_to_the_limit_and_the_next_batch_follows() -> None:
    stream = StreamPlan(retries=2)
    mapping = _mapping(stream, _steady(10, 0.001), batch_size=5, behaviour=Behaviour(poison={"s0-2"}))

    verdict = simulate(Plan(1, [mapping], trouble_ends=20.0))

    assert verdict.violations == []
    assert [len(attempt.batch) for attempt in verdict.history.attempts] == [5, 5, 5, 5]
    assert _dropped(verdict) == [("retry_attempts_exhausted", 5, 3)]


def test_bisecting_finds_the_one_record_that_fails() -> None:
    stream = StreamPlan(retries=1, bisect=True)
    mapping = _mapping(stream, _steady(10, 0.001), batch_size=10, behaviour=Behaviour(poison={"s0-6"}))

    verdict = simulate(Plan(1, [mapping], trouble_ends=20.0))

    assert verdict.violations == []
    assert _dropped(verdict) == [("retry_attempts_exhausted", 1, 2)]
    assert _done(verdict) == {f"s0-{number}" for number in range(10)} - {"s0-6"}


def test_a_partial_answer_is_tried_again_from_the_lowest_record_on() -> None:
    stream = StreamPlan(retries=1)
    behaviour = Behaviour(partial=True, poison={"s0-3", "s0-4"})
    mapping = _mapping(stream, _steady(6, 0.001), batch_size=6, behaviour=behaviour)

    verdict = simulate(Plan(1, [mapping], trouble_ends=20.0))

    assert verdict.violations == []
    assert [len(attempt.batch) for attempt in verdict.history.attempts] == [6, 3, 3]
    assert _dropped(verdict) == [("retry_attempts_exhausted", 3, 2)]


def test_only_the_records_that_are_too_old_are_cut_off() -> None:
    stream = StreamPlan(record_age=60)
    load = [Load(-30.0, "k", "old"), Load(0.0, "k", "new"), Load(0.0, "k", "new")]
    mapping = _mapping(stream, load, behaviour=Behaviour(poison={"s0-0"}))

    verdict = simulate(Plan(1, [mapping], trouble_ends=60.0))

    assert verdict.violations == []
    assert [(reason, events) for reason, events, _ in _dropped(verdict)] == [("record_age_exceeded", 1)]
    assert _done(verdict) == {"s0-1", "s0-2"}


def test_a_stream_that_is_deleted_and_created_again_is_begun_anew() -> None:
    stream = StreamPlan(start="LATEST", deleted=(5.0, 10.0))
    mapping = _mapping(stream, _steady(40, 0.5))

    verdict = simulate(Plan(1, [mapping], trouble_ends=30.0))

    assert verdict.violations == []
    assert {f"s0-{number}" for number in range(13, 40)} <= _done(verdict)


def test_children_wait_for_the_batch_of_a_parent_that_has_gone_from_the_stream() -> None:
    stream = StreamPlan(reshards=[(2.0, "split")], trims=[10.0])
    behaviour = Behaviour(shortest=100.0, longest=100.0)
    mapping = _mapping(stream, _steady(30, 1.0), batch_size=10, behaviour=behaviour, invoke_timeout=200)

    verdict = simulate(Plan(1, [mapping], trouble_ends=20.0))

    assert verdict.violations == []


async def _fail_first(world: World, poison: Sequence[str], seconds: float) -> None:
    place = world.places["s0"]
    place.function.behaviour.poison = set(poison)
    await asyncio.sleep(seconds)
    place.function.behaviour.poison = set()


def test_a_blocked_shard_reads_on_where_it_was_and_sends_nothing_twice_that_was_done() -> None:
    mapping = _mapping(StreamPlan(), _steady(50, 0.001), batch_size=10)

    verdict = simulate(Plan(1, [mapping], trouble_ends=40.0), beside=lambda world: _fail_first(world, ["s0-15"], 30.0))

    assert verdict.violations == []
    assert [len(_with(verdict, f"s0-{number}")) for number in (0, 25, 49)] == [1, 1, 1]
    assert len(_with(verdict, "s0-15")) > 3
