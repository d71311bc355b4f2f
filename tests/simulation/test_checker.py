"""The checker of streams finds what is wrong in a history: each fact that is falsified breaks the promise it belongs to."""

import dataclasses
from collections.abc import Callable

import pytest

from tests.simulation.checker import violations
from tests.simulation.functions import Behaviour
from tests.simulation.history import History
from tests.simulation.plans import Interruption, Load, MappingPlan, Plan, StreamPlan
from tests.simulation.worlds import World, simulate


def _load(count: int, every: float = 0.5) -> list[Load]:
    return [Load(number * every, f"k{number % 3}", "body") for number in range(count)]


def _calm() -> Plan:
    behaviour = Behaviour(shortest=0.1, longest=0.2)
    mapping = MappingPlan(
        "s0", StreamPlan(reshards=[(12.0, "split")]), load=_load(40), batch_size=3, behaviour=behaviour
    )
    return Plan(1, [mapping], trouble_ends=40.0, calm=True)


def _limited() -> Plan:
    """Some records are dropped after retries, an old one for its age; the process is restarted."""
    tried = MappingPlan("s0", StreamPlan(retries=1), load=_load(20), behaviour=Behaviour(poison={"s0-3"}))
    aged = MappingPlan("s1", StreamPlan(record_age=60), load=_load(5), behaviour=Behaviour(poison={"s1-0"}))
    return Plan(1, [tried, aged], interruptions=[Interruption(0, "stop", at=12.0)], trouble_ends=20.0)


def _ran(plan: Plan) -> World:
    worlds: list[World] = []

    async def keep(world: World) -> None:
        worlds.append(world)

    assert simulate(plan, beside=keep).violations == []
    return worlds[0]


def _without_a_record(world: World) -> None:
    history = world.history
    history.attempts[:] = [attempt for attempt in history.attempts if "s0-20" not in attempt.batch]


def _shuffled(world: World) -> None:
    attempt = next(attempt for attempt in world.history.attempts if len(attempt.batch) > 1)
    attempt.batch = attempt.batch[::-1]


def _overlapping(world: World) -> None:
    first, second = world.history.attempts[:2]
    first.exchange.ended = second.started + 0.01


def _done_later(world: World) -> None:
    world.history.attempts[3].exchange.ended = world.history.attempts[4].started + 0.01


def _sent_late(world: World) -> None:
    attempt = world.history.attempts[-1]
    attempt.exchange.started += 5.0


def _sent_twice(world: World) -> None:
    attempts = world.history.attempts
    exchange = dataclasses.replace(
        attempts[2].exchange, started=attempts[-1].started + 5, ended=attempts[-1].started + 6
    )
    attempts.append(dataclasses.replace(attempts[2], exchange=exchange))


def _saved_late(world: World) -> None:
    for saved in world.history.saves:
        saved.at += 1.0


def _saved_early(world: World) -> None:
    saved = [one for one in world.history.saves if one.position.isdigit()][3]
    saved.at -= 5.0


def _end_forgotten(world: World) -> None:
    world.history.saves[:] = [one for one in world.history.saves if one.position != "SHARD_END"]


def _position_unknown(world: World) -> None:
    next(one for one in world.history.saves if one.position.isdigit()).position = "7"


def _read_in_haste(world: World) -> None:
    reads = [one for one in world.history.exchanges if one.operation == "GetRecords"]
    for number, exchange in enumerate(reads[:5]):
        exchange.started = reads[0].started + number * 0.2


def _idle_for_long(world: World) -> None:
    world.history.reads[-1].exchange.started += 5.0


def _children_late(world: World) -> None:
    first = next(read for read in world.history.reads if read.shard.parents)
    first.exchange.started += 5.0


def _one_try_more(world: World) -> None:
    world.history.dropped[0].invokes += 1


def _one_try_missing(world: World) -> None:
    history, poison = world.history, "s0-3"
    history.attempts.remove(next(attempt for attempt in history.attempts if poison in attempt.batch))


def _no_limit(world: World) -> None:
    source = world.plan.mappings[0].source
    assert isinstance(source, StreamPlan)
    source.retries = None


def _dropped_young(world: World) -> None:
    next(one for one in world.history.dropped if one.reason == "record_age_exceeded").at -= 10.0


def _dropped_without_words(world: World) -> None:
    world.history.dropped[0].positions = ""


def _miscounted(world: World) -> None:
    world.history.lives[0].counts["s0"]["droppedEvents"] += 1


def _sent_after_a_stop(world: World) -> None:
    history = world.history
    last = history.attempts[-1]
    done = next(attempt for attempt in history.attempts if attempt.done)
    process = history.lives[-1].process
    caller = dataclasses.replace(done.exchange.caller, process=process)
    exchange = dataclasses.replace(done.exchange, caller=caller, started=last.started + 5.0, ended=last.started + 6.0)
    history.attempts.append(dataclasses.replace(done, exchange=exchange))


def _read_before_the_start(world: World) -> None:
    for saved in world.history.saves:
        saved.durable = None if saved.durable is None else saved.durable + 1.0


@pytest.mark.parametrize(
    ("plan", "falsify", "sentence"),
    [
        (_calm, _without_a_record, "was lost"),
        (_calm, _shuffled, "do not follow each other"),
        (_calm, _overlapping, "was at work on it"),
        (_calm, _done_later, "before those ahead of it"),
        (_calm, _sent_late, "s late"),
        (_calm, _sent_twice, "again"),
        (_calm, _saved_late, "did not save that"),
        (_calm, _saved_early, "ahead of what was done"),
        (_calm, _end_forgotten, "had not stored the end of"),
        (_calm, _position_unknown, "is no sequence number of"),
        (_calm, _read_in_haste, "more than 4 times a second"),
        (_calm, _idle_for_long, "is idle and read after"),
        (_calm, _children_late, "could be read"),
        (_calm, _read_before_the_start, "had not stored where"),
        (_limited, _one_try_more, "MaximumRetryAttempts is 1"),
        (_limited, _one_try_missing, "MaximumRetryAttempts is 1"),
        (_limited, _no_limit, "of which its mapping has no limit"),
        (_limited, _dropped_young, "MaximumRecordAgeInSeconds is 60"),
        (_limited, _dropped_without_words, "its log names 0 of them"),
        (_limited, _miscounted, "droppedEvents"),
        (_limited, _sent_after_a_stop, "again, done before"),
    ],
)
def test_a_falsified_fact_is_found(plan: Callable[[], Plan], falsify: Callable[[World], None], sentence: str) -> None:
    world = _ran(plan())

    falsify(world)

    found = violations(world.plan, world.history, world.places)
    assert any(sentence in broken for broken in found), found


def test_a_history_of_some_mappings_has_what_concerns_them() -> None:
    history = _ran(_limited()).history

    part = history.of({"s1"})

    assert isinstance(part, History)
    assert {attempt.exchange.caller.mapping for attempt in part.attempts} == {"s1"}
    assert {one.mapping for one in (*part.saves, *part.dropped)} == {"s1"}
    assert part.lives is history.lives
