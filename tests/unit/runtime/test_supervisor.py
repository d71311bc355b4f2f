"""All mappings of a process run side by side, one after those in whose place it comes; they drain within one bound."""

import asyncio

import pytest

from outboard.core.outcome import Unavailable
from outboard.runtime.mapping import MappingRun
from outboard.runtime.supervisor import Supervisor
from tests.unit.observe.stage import Stage
from tests.unit.runtime.stage import OneLane, ScriptedFeed, ScriptedFunction, Sources, mapping_of, records, work_of
from tests.unit.virtual import virtual


def supervising(*mappings: MappingRun, drain_timeout: float = 30.0) -> Supervisor:
    supervisor = Supervisor(drain_timeout)
    for mapping in mappings:
        supervisor.start(mapping)
    return supervisor


class Member:
    """Drains for `drains` seconds, and notes when it began and when it had drained."""

    in_flight = 1

    def __init__(self, name: str, drains: float = 0.0) -> None:
        self.name = name
        self.began: float | None = None
        self.drained: float | None = None
        self._drains = drains
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()

    async def run(self) -> None:
        if self._stopped.is_set():
            return
        now = asyncio.get_running_loop().time
        self.began = now()
        await self._stopped.wait()
        await asyncio.sleep(self._drains)
        self.drained = now()


@virtual
async def test_all_mappings_drain_side_by_side() -> None:
    functions = [ScriptedFunction(seconds=seconds) for seconds in (5, 8)]
    mappings = [mapping_of(Stage(), Sources(OneLane(ScriptedFeed(records("a")))), function) for function in functions]
    supervisor = supervising(*mappings, drain_timeout=60.0)
    asyncio.get_running_loop().call_later(1, supervisor.stop)

    assert await supervisor.run() == {}
    assert asyncio.get_running_loop().time() == pytest.approx(1008)


@virtual
async def test_a_mapping_that_does_not_drain_in_time_is_ended_and_reported() -> None:
    slow, quick = ScriptedFunction(seconds=600), ScriptedFunction(seconds=5)
    feed = ScriptedFeed(records("a"))
    hanging = MappingRun("hanging", Sources(OneLane(feed, ScriptedFeed(records("b")))), work_of(Stage(), slow))
    supervisor = supervising(hanging, mapping_of(Stage(), Sources(OneLane(ScriptedFeed(records("c")))), quick))
    asyncio.get_running_loop().call_later(1, supervisor.stop)

    assert await supervisor.run() == {"hanging": 2}
    assert asyncio.get_running_loop().time() == pytest.approx(1031)
    assert feed.said == []
    assert slow.under_way == 0


@virtual
async def test_a_mapping_that_fails_for_ever_does_not_hold_up_the_drain() -> None:
    mapping = mapping_of(
        Stage(), Sources(OneLane(ScriptedFeed(records("a")))), ScriptedFunction(*[Unavailable("x", "")] * 99)
    )
    supervisor = supervising(mapping)
    asyncio.get_running_loop().call_later(20, supervisor.stop)

    assert await supervisor.run() == {}
    assert asyncio.get_running_loop().time() == pytest.approx(1020)


@virtual
async def test_without_mappings_it_runs_until_the_stop() -> None:
    supervisor = supervising()
    asyncio.get_running_loop().call_later(5, supervisor.stop)

    assert await supervisor.run() == {}
    assert asyncio.get_running_loop().time() == pytest.approx(1005)


@virtual
async def test_what_comes_in_the_place_of_others_begins_when_all_of_them_have_drained() -> None:
    old, other, new, beside = Member("old", 7), Member("other", 4), Member("new"), Member("beside")
    supervisor = Supervisor(60.0)
    supervisor.start(old)
    supervisor.start(other)
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(), name="supervisor")
        await asyncio.sleep(1)
        old.stop()
        other.stop()
        supervisor.start(new, after=[old, other])
        supervisor.start(beside)
        await asyncio.sleep(9)
        supervisor.stop()

    assert (old.drained, other.drained, new.began, beside.began) == (1008, 1005, 1008, 1001)
    assert not supervisor.runs(old)


@virtual
async def test_what_is_stopped_while_it_waits_for_its_turn_never_begins() -> None:
    first, second, third = Member("orders", 9), Member("orders"), Member("orders")
    supervisor = Supervisor(60.0)
    supervisor.start(first)
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(), name="supervisor")
        await asyncio.sleep(1)
        first.stop()
        supervisor.start(second, after=[first])
        await asyncio.sleep(1)
        second.stop()
        supervisor.start(third, after=[first, second])
        await asyncio.sleep(20)
        supervisor.stop()

    assert second.began is None
    assert third.began == 1010


@virtual
async def test_a_stop_drains_what_was_leaving_already_and_begins_nothing() -> None:
    leaving, next_one = Member("orders", 90), Member("orders")
    supervisor = Supervisor(30.0)
    supervisor.start(leaving)
    async with asyncio.TaskGroup() as group:
        run = group.create_task(supervisor.run(), name="supervisor")
        await asyncio.sleep(1)
        leaving.stop()
        supervisor.start(next_one, after=[leaving])
        await asyncio.sleep(1)
        supervisor.stop()

    assert run.result() == {"orders": 2}
    assert asyncio.get_running_loop().time() == pytest.approx(1032)
    assert next_one.began is None
