"""Situations of reloads, each with what was promised for it; and each fact that is falsified breaks its promise."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.simulation.checker import violations
from tests.simulation.functions import Behaviour
from tests.simulation.history import Exchange
from tests.simulation.plans import Load, MappingPlan, Plan, QueuePlan, Reload, TopicPlan
from tests.simulation.worlds import World, simulate


def _load(count: int, every: float) -> list[Load]:
    return [Load(number * every, f"k{number % 4}", "body") for number in range(count)]


def _ran(plan: Plan) -> World:
    worlds: list[World] = []

    async def keep(world: World) -> None:
        worlds.append(world)

    assert simulate(plan, beside=keep).violations == []
    return worlds[0]


def _changed() -> Plan:
    """One queue's mapping is changed in the middle of its work, the other one's is not."""
    slow = Behaviour(shortest=2.0, longest=3.0)
    changed = MappingPlan("m0", batch_size=3, load=_load(10, 0.0) + _load(30, 0.5), behaviour=slow)
    same = MappingPlan("m1", load=_load(30, 0.5))
    reload = Reload(7.0, [replace(changed, batch_size=2), same])
    return Plan(1, [changed, same], reloads=[reload], trouble_ends=20.0, calm=True)


def test_only_what_changes_begins_anew() -> None:
    history = _ran(_changed()).history

    first, idle, last = ([one for one in history.incarnations if one.mapping == name] for name in ("m0", "idle", "m1"))
    assert (len(first), len(idle), len(last)) == (2, 1, 1)
    assert first[0].dropped == 1007.0
    assert first[0].gone == first[1].began
    sizes = {
        number: max(len(one.batch) for one in history.attempts if one.exchange.caller.incarnation is own)
        for number, own in enumerate(first)
    }
    assert sizes == {0: 3, 1: 2}


def test_members_that_are_reloaded_one_after_the_other_send_nothing_twice() -> None:
    # The second one is reloaded while the group, which waits for its invoke, is divided anew for the first one.
    behaviour = Behaviour(shortest=9.0, longest=9.0)
    mapping = MappingPlan("t0", TopicPlan(partitions=2), batch_size=3, load=_load(40, 0.01), behaviour=behaviour)
    for second in range(8, 14):
        reload = Reload(9.0, [replace(mapping, window=1)], (0.0, second - 9.0 + 0.5))
        plan = Plan(second, [mapping], processes=2, reloads=[reload], trouble_ends=15.0, drain=120, calm=True)

        assert simulate(plan).violations == []


def test_what_is_removed_and_put_back_while_it_drains_goes_on_where_it_was() -> None:
    queue = MappingPlan("m0", QueuePlan(fifo=True), load=_load(20, 0.3), behaviour=Behaviour(shortest=3.0, longest=4.0))
    reloads = [Reload(2.0, []), Reload(2.5, [queue]), Reload(2.6, []), Reload(2.7, [replace(queue, batch_size=1)])]

    history = _ran(Plan(1, [queue], reloads=reloads, trouble_ends=10.0, calm=True)).history

    assert [one.plan and one.plan.batch_size for one in history.incarnations if one.mapping == "m0"] == [10, 1]
    assert len(history.deleted) == 20


def _exchange(world: World, operation: str, number: int) -> Exchange:
    """The first of the mapping's calls as it was, or the last of them, as it is since the reload."""
    own = [one for one in world.history.incarnations if one.mapping == "m0"][number]
    calls = [one for one in world.history.exchanges if one.caller.incarnation is own and one.operation == operation]
    return calls[0]


def _never_gone(world: World) -> None:
    world.history.incarnations[0].gone = 1200.0


def _not_changed(world: World) -> None:
    world.history.incarnations[0].dropped = None


def _not_wanted(world: World) -> None:
    world.history.incarnations[-1].plan = None


def _not_drained(world: World) -> None:
    _exchange(world, "Invoke", 0).ended = 1020.0


def _cut_off(world: World) -> None:
    _exchange(world, "Invoke", 0).saw = "cut off"


def _miscounted(world: World) -> None:
    world.history.incarnations[0].counts["polledEvents"] += 1


def _left_invisible(world: World) -> None:
    history = world.history
    own = history.incarnations[0]
    handed = next(one for one in history.handed if one.exchange.caller.incarnation is own)
    history.attempts[:] = [one for one in history.attempts if handed.handle not in one.handles]
    handed.lapses = 1100.0
    history.deleted[:] = [one for one in history.deleted if one.message != handed.message]
    world.places["m0"].queue.ever[handed.message].gone = None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("falsify", "sentence"),
    [
        (_never_gone, "was not gone after"),
        (_not_changed, "though no reload had changed it"),
        (_not_wanted, "no configuration in force had it"),
        (_not_drained, "before the one before it had drained"),
        (_cut_off, "was cut off in an invoke"),
        (_miscounted, "polledEvents, there were"),
        (_left_invisible, "invisible until"),
    ],
)
def test_what_is_wrong_with_a_reload_is_found(falsify: Callable[[World], None], sentence: str) -> None:
    plan = _changed()
    world = _ran(plan)
    falsify(world)

    assert any(sentence in broken for broken in violations(plan, world.history, world.places))


def test_a_refusal_that_is_none_and_one_that_is_not_asked_for_are_found() -> None:
    world = _ran(_changed())
    assert world.history.misled == []
    world.history.misled.append("at 7.000 s: p0.1 refused what it should not have")

    assert world.history.misled[0] in violations(_changed(), world.history, world.places)
