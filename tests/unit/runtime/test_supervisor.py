"""All mappings of a process run side by side and drain together within one bound."""

import asyncio

import pytest

from outboard.core.outcome import Unavailable
from outboard.runtime.mapping import MappingRun
from outboard.runtime.supervisor import Supervisor
from tests.unit.observe.stage import Stage
from tests.unit.runtime.stage import OneLane, ScriptedFeed, ScriptedFunction, Sources, mapping_of, records, work_of
from tests.unit.virtual import virtual


@virtual
async def test_all_mappings_drain_side_by_side() -> None:
    functions = [ScriptedFunction(seconds=seconds) for seconds in (5, 8)]
    mappings = [mapping_of(Stage(), Sources(OneLane(ScriptedFeed(records("a")))), function) for function in functions]
    supervisor = Supervisor(mappings, 60.0)
    asyncio.get_running_loop().call_later(1, supervisor.stop)

    assert await supervisor.run() == {}
    assert asyncio.get_running_loop().time() == pytest.approx(1008)


@virtual
async def test_a_mapping_that_does_not_drain_in_time_is_ended_and_reported() -> None:
    slow, quick = ScriptedFunction(seconds=600), ScriptedFunction(seconds=5)
    feed = ScriptedFeed(records("a"))
    hanging = MappingRun("hanging", Sources(OneLane(feed, ScriptedFeed(records("b")))), work_of(Stage(), slow))
    supervisor = Supervisor([hanging, mapping_of(Stage(), Sources(OneLane(ScriptedFeed(records("c")))), quick)], 30.0)
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
    supervisor = Supervisor([mapping], 30.0)
    asyncio.get_running_loop().call_later(20, supervisor.stop)

    assert await supervisor.run() == {}
    assert asyncio.get_running_loop().time() == pytest.approx(1020)


@virtual
async def test_without_mappings_it_runs_until_the_stop() -> None:
    supervisor = Supervisor([], 30.0)
    asyncio.get_running_loop().call_later(5, supervisor.stop)

    assert await supervisor.run() == {}
    assert asyncio.get_running_loop().time() == pytest.approx(1005)
