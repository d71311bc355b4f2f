"""A mapping runs its source again when that fails, shows why, and nothing it does reaches another mapping."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from outboard.core.ports import Lanes, SourceFailed
from outboard.runtime.budget import ByteBudget, Share
from outboard.runtime.mapping import MappingRun
from tests.unit.observe.stage import Stage
from tests.unit.runtime.stage import OneLane, ScriptedFeed, ScriptedFunction, Sources, mapping_of, records, work_of
from tests.unit.virtual import virtual

MISSING = SourceFailed("QueueDoesNotExist", "the queue does not exist; create it")


class Failing:
    """A source that fails after `seconds`."""

    def __init__(self, failure: Exception, seconds: float = 0.0) -> None:
        self._failure = failure
        self._seconds = seconds

    async def run(self, lanes: Lanes) -> None:
        await asyncio.sleep(self._seconds)
        raise self._failure

    def stop(self) -> None:
        """It does not listen."""


@asynccontextmanager
async def running(*mappings: MappingRun) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    """Mappings at work; leaving stops them and waits for their ends."""
    async with asyncio.TaskGroup() as group:
        yield [group.create_task(mapping.run(), name=mapping.name) for mapping in mappings]
        for mapping in mappings:
            mapping.stop()


def logged(stage: Stage, event: str) -> list[str]:
    return [str(line.get("error_type", "")) for line in stage.lines if line["event"] == event]


@virtual
async def test_records_go_through_the_lanes_that_the_source_opens() -> None:
    function, feed = ScriptedFunction(), ScriptedFeed(records("a b"))
    async with running(mapping_of(Stage(), Sources(OneLane(feed)), function)):
        await asyncio.sleep(1)

    assert function.payloads == ["a,b"]
    assert feed.said == ["delivered a b"]


@virtual
async def test_a_source_that_fails_is_run_again_with_backoff_and_shows_why() -> None:
    stage, sources = Stage(), Sources(Failing(MISSING))
    async with running(mapping_of(stage, sources)):
        await asyncio.sleep(10)
        assert stage.value("mapping_state", state="blocked") == 1
        error = stage.observer.snapshot()["lastError"]

    assert sources.built == [0.0, 0.5, 1.5, 3.5, 7.5]
    assert isinstance(error, dict)
    assert (error["type"], error["message"]) == ("QueueDoesNotExist", "the queue does not exist; create it")
    assert stage.value("polling_errors_total", error="not_found") == 5
    assert logged(stage, "source failed")[0] == "QueueDoesNotExist"
    assert logged(stage, "mapping crashed") == []


@virtual
async def test_the_backoff_starts_anew_after_a_source_that_ran_well() -> None:
    sources = Sources(Failing(MISSING), Failing(MISSING), Failing(MISSING, 100.0), OneLane())
    async with running(mapping_of(Stage(), sources)):
        await asyncio.sleep(200)

    assert sources.built == [0.0, 0.5, 1.5, 102.0]


@virtual
async def test_a_source_that_cannot_be_built_is_built_again() -> None:
    stage, sources = Stage(), Sources(RuntimeError("no endpoint"), OneLane())
    async with running(mapping_of(stage, sources)):
        await asyncio.sleep(10)

    assert sources.built == [0.0, 0.5]
    assert len(logged(stage, "mapping crashed")) == 1


@virtual
async def test_a_defect_in_a_feed_restarts_its_mapping_and_no_other() -> None:
    stage, others = Stage(), Stage()
    healthy = ScriptedFeed(*[records(str(number)) for number in range(10)], pause=1)
    function, other = ScriptedFunction(), ScriptedFunction()
    sources = Sources(
        OneLane(ScriptedFeed(KeyError("MessageId"), pause=3), ScriptedFeed()), OneLane(ScriptedFeed(records("a")))
    )
    async with running(mapping_of(stage, sources, function), mapping_of(others, Sources(OneLane(healthy)), other)):
        await asyncio.sleep(20)

    assert sources.built == [0.0, 3.5]
    assert function.payloads == ["a"]
    assert [round(at - 1000.0, 3) for at, _ in other.invokes] == [float(number) for number in range(1, 11)]
    assert len(logged(stage, "mapping crashed")) == 1
    assert logged(others, "mapping crashed") == []
    assert logged(stage, "source failed") == ["InternalError"]


@virtual
async def test_a_defect_leaves_no_place_of_the_gate_taken() -> None:
    """Some lanes invoke, some wait for their turn: all are cut off."""
    stage, function = Stage(), ScriptedFunction(seconds=60)
    work = work_of(stage, function, concurrency=2)
    feeds = [ScriptedFeed(records(str(number))) for number in range(5)]
    sources = Sources(
        OneLane(*feeds, ScriptedFeed(ValueError("a defect"), pause=1)), OneLane(ScriptedFeed(records("z")))
    )
    mapping = MappingRun("orders", sources, work)
    async with running(mapping):
        await asyncio.sleep(0.5)
        assert mapping.in_flight == 2
        await asyncio.sleep(0.6)
        assert mapping.in_flight == 0
        await asyncio.sleep(1)
        assert mapping.in_flight == 1
    assert function.payloads[-1] == "z"


class Hoarding(ScriptedFeed):
    """A feed that pays for what it reads and has a defect."""

    def __init__(self, share: Share, seconds: float) -> None:
        super().__init__(ValueError("a defect"), pause=seconds)
        self._share = share

    async def read(self, limit: int, until: float | None) -> object:  # type: ignore[override]
        await self._share.take(1024)
        return await super().read(limit, until)


@virtual
async def test_waits_for_the_budget_that_a_defect_cuts_off_take_nothing() -> None:
    share = ByteBudget(2048).share("orders")
    sources = Sources(OneLane(*[Hoarding(share, 1.0) for _ in range(4)]), OneLane())
    async with running(mapping_of(Stage(), sources)):
        await asyncio.sleep(10)

    paid = share.used
    assert paid <= 2048
    share.give_back(paid)
    assert share.try_take(1024)


@virtual
async def test_a_stop_ends_the_wait_for_the_next_attempt() -> None:
    stage, sources = Stage(), Sources(Failing(MISSING))
    async with running(mapping_of(stage, sources)):
        await asyncio.sleep(4)
    assert asyncio.get_running_loop().time() == pytest.approx(1004)

    assert stage.value("mapping_state", state="Disabled") == 1


@virtual
async def test_a_stop_drains_and_shows_its_states() -> None:
    stage, function = Stage(), ScriptedFunction(seconds=5)
    feed = ScriptedFeed(records("a"))
    mapping = mapping_of(stage, Sources(OneLane(feed)), function)
    async with running(mapping) as (task,):
        await asyncio.sleep(1)
        mapping.stop()
        await asyncio.sleep(1)
        assert stage.value("mapping_state", state="Disabling") == 1
        assert not task.done()
        assert mapping.in_flight == 1

    assert feed.said == ["delivered a"]
    assert stage.value("mapping_state", state="Disabled") == 1


@virtual
async def test_a_mapping_stopped_before_it_began_opens_no_source() -> None:
    sources = Sources(OneLane())
    mapping = mapping_of(Stage(), sources)
    mapping.stop()

    await mapping.run()

    assert sources.built == []


@virtual
async def test_a_failure_while_draining_ends_the_mapping() -> None:
    sources = Sources(Failing(MISSING, 5.0))
    async with running(mapping_of(Stage(), sources)):
        await asyncio.sleep(1)

    assert sources.built == [0.0]
