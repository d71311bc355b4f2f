"""An SQS mapping has as many pollers as its backlog and its function deserve, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from outboard.aws.calls import CallFailed, Refused
from outboard.core.batcher import BatchLimits
from outboard.core.outcome import FunctionFailed, Outcome, Throttled
from outboard.runtime.budget import ByteBudget
from outboard.runtime.mapping import MappingRun
from outboard.sources.sqs.source import SqsSettings, SqsSource
from tests.unit.runtime.stage import ScriptedFunction, work_of
from tests.unit.sources.sqs.fake import BROKEN, Scene
from tests.unit.virtual import virtual

THROTTLED = Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")

#: Enough for a hundred receives at once.
MEMORY = 100 * 2 * 10 * 1024 * 1024


def mapping_of(
    scene: Scene,
    function: ScriptedFunction,
    *,
    limits: BatchLimits | None = None,
    concurrency: int = 100,
    saturated: Callable[[], bool] = lambda: False,
) -> MappingRun:
    limits = limits or BatchLimits(10)
    settings = SqsSettings(scene.desk.facts, limits.window, scene.share, scene.stage.observer, lambda: 0.0, 1 << 28)
    work = work_of(scene.stage, function, limits=limits, concurrency=concurrency)
    return MappingRun("orders", lambda: SqsSource(scene.queue, settings), work, saturated)


@asynccontextmanager
async def running(mapping: MappingRun) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        group.create_task(mapping.run(), name="orders")
        yield
        mapping.stop()


def pollers(scene: Scene) -> float | None:
    return scene.stage.value("pollers")


def backlog(scene: Scene, count: int) -> None:
    scene.sqs.send(*[f"m-{number}" for number in range(count)])


class AlwaysFailing(ScriptedFunction):
    """Answers every invoke with the same failure."""

    def __init__(self, answer: Outcome, seconds: float = 0.0) -> None:
        super().__init__(seconds=seconds)
        self._answer = answer

    async def invoke(self, payload: bytes, trace: str | None) -> Outcome:
        await super().invoke(payload, trace)
        return self._answer


# Starting


@virtual
async def test_a_queue_is_looked_at_and_then_polled_by_one() -> None:
    scene = Scene()
    async with running(mapping_of(scene, ScriptedFunction())):
        await asyncio.sleep(1)
        assert pollers(scene) == 1
        assert scene.stage.value("mapping_state", state="Enabled") == 1

    assert [operation for _, operation, _ in scene.sqs.calls] == ["GetQueueAttributes", "ReceiveMessage"]


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (
            Refused(400, "QueueDoesNotExist", "no queue"),
            "the queue does not exist; create it or correct EventSourceArn (no queue)",
        ),
        (BROKEN, "try again"),
    ],
)
@virtual
async def test_a_queue_that_cannot_be_looked_at_is_shown_and_looked_at_again(
    failure: CallFailed, sentence: str
) -> None:
    scene = Scene()
    scene.sqs.answers["GetQueueAttributes"] = [failure] * 3
    scene.sqs.send("m-1")
    function = ScriptedFunction()
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(3)
        error = scene.stage.observer.snapshot()["lastError"]
        assert isinstance(error, dict)
        assert error["message"] == sentence
        await asyncio.sleep(3)
        assert scene.stage.observer.snapshot()["lastError"] is None

    assert scene.sqs.times("GetQueueAttributes") == [0.0, 0.5, 1.5, 3.5]
    assert scene.sqs.deleted == ["m-1"]


# Growing and shedding


@virtual
async def test_full_receives_bring_more_pollers_at_least_five_a_second() -> None:
    scene, function = Scene(), ScriptedFunction(seconds=60)
    backlog(scene, 2000)
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(2)
        assert function.under_way >= 10
        await asyncio.sleep(10)
        assert function.under_way == 100
        assert pollers(scene) == 100


@virtual
async def test_pollers_stay_within_the_mappings_concurrency() -> None:
    scene, function = Scene(), ScriptedFunction(seconds=5)
    backlog(scene, 500)
    async with running(mapping_of(scene, function, concurrency=3)):
        await asyncio.sleep(60)
        assert pollers(scene) == 3

    assert function.most_under_way == 3


@virtual
async def test_no_message_is_received_without_capacity_to_invoke_for_it() -> None:
    scene, function = Scene(), ScriptedFunction(seconds=600)
    backlog(scene, 500)
    async with running(mapping_of(scene, function, concurrency=3)):
        await asyncio.sleep(300)
        assert sum(message.receives > 0 for message in scene.sqs.messages.values()) == 30
        assert max(message.receives for message in scene.sqs.messages.values()) == 1


@virtual
async def test_a_saturated_process_gets_no_more_pollers() -> None:
    scene, function = Scene(), ScriptedFunction(seconds=5)
    backlog(scene, 100)
    async with running(mapping_of(scene, function, saturated=lambda: True)):
        await asyncio.sleep(30)
        assert pollers(scene) == 1


@virtual
async def test_at_idle_one_poller_is_left_and_never_none() -> None:
    scene, function = Scene(), ScriptedFunction(seconds=5)
    backlog(scene, 1000)
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(5)
        most = pollers(scene)
        assert most is not None
        assert most > 10
        await asyncio.sleep(300)
        assert pollers(scene) == 1
        polls = len(scene.sqs.made("ReceiveMessage"))
        await asyncio.sleep(100)
        assert len(scene.sqs.made("ReceiveMessage")) - polls == 5

    assert len(scene.sqs.deleted) == 1000


@virtual
async def test_throttles_shed_pollers_but_not_the_last_one() -> None:
    scene, function = Scene(), AlwaysFailing(THROTTLED)
    backlog(scene, 1000)
    mapping = mapping_of(scene, function, concurrency=50)
    async with running(mapping):
        await asyncio.sleep(300)
        opened = pollers(scene)
        assert opened is not None
        assert opened >= 1


@virtual
async def test_pollers_that_are_too_many_do_not_all_end_at_once() -> None:
    """Five pollers come back in the same moment and see a limit of four: one is one too many."""
    scene = Scene()
    lanes = ManyLanes()
    settings = SqsSettings(scene.desk.facts, 0.0, scene.share, scene.stage.observer, lambda: 0.0, 1 << 28)
    source = SqsSource(scene.queue, settings)
    async with asyncio.TaskGroup() as group:
        group.create_task(source.run(lanes), name="source")
        await asyncio.sleep(1)
        for _ in range(4):
            source.polling()
            source.polled(10, 10, leaving=True)
        assert len(lanes.opened) == 5
        lanes.limit = 4

        assert [source.surplus(idle=False, backlog=True) for _ in range(5)].count(True) == 1

        source.stop()


class ManyLanes:
    """Lanes that do nothing until they are stopped."""

    def __init__(self) -> None:
        self.limit = 100
        self.saturated = False
        self.opened: list[IdleLane] = []

    def open(self, name: str, feed: object) -> "IdleLane":
        self.opened.append(IdleLane())
        return self.opened[-1]


class IdleLane:
    def __init__(self) -> None:
        self._ended = asyncio.Event()

    def stop(self) -> None:
        self._ended.set()

    async def ended(self) -> None:
        await self._ended.wait()


@virtual
async def test_a_function_that_fails_whole_batches_gets_no_more_pollers() -> None:
    scene, function = Scene(), AlwaysFailing(FunctionFailed("ValueError", "broken"))
    backlog(scene, 1000)
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(60)
        opened = pollers(scene)
        assert opened is not None
        assert opened < 10


# Stopping


@virtual
async def test_a_stop_finishes_invokes_and_hands_back_what_was_not_sent() -> None:
    scene, function = Scene(), ScriptedFunction(seconds=5)
    backlog(scene, 30)
    async with running(mapping_of(scene, function, limits=BatchLimits(3), concurrency=2)):
        await asyncio.sleep(1)
        under_way = function.under_way
        assert under_way == 2

    assert len(function.invokes) == 2
    assert len(scene.sqs.deleted) == 6
    assert len(scene.sqs.visible()) == 24
    assert asyncio.get_running_loop().time() == pytest.approx(1005, abs=0.5)
    assert pollers(scene) == 0


@virtual
async def test_a_stop_during_a_long_poll_waits_for_its_answer_and_hands_it_back() -> None:
    scene, function = Scene(), ScriptedFunction()
    asyncio.get_running_loop().call_later(10, scene.sqs.send, "late")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(5)

    assert function.invokes == []
    assert scene.sqs.visible() == ["late"]
    assert scene.stage.value("handed_back_events_total") == 1


@virtual
async def test_a_stop_while_the_queue_is_looked_at_polls_nothing() -> None:
    scene = Scene()
    scene.sqs.seconds["GetQueueAttributes"] = 5.0
    async with running(mapping_of(scene, ScriptedFunction())):
        await asyncio.sleep(1)

    assert scene.sqs.made("ReceiveMessage") == []


@virtual
async def test_a_window_longer_than_the_visibility_time_out_sends_each_message_once() -> None:
    scene, function = Scene(visibility=30, window=60), ScriptedFunction()
    scene.sqs.send("m-1", "m-2")
    async with running(mapping_of(scene, function, limits=BatchLimits(1000, 60.0))):
        await asyncio.sleep(200)

    assert [round(at - 1000.0) for at, _ in function.invokes] == [60]
    assert scene.sqs.deleted == ["m-1", "m-2"]


# Defects


@virtual
async def test_a_defect_restarts_the_mapping_and_leaks_no_memory() -> None:
    scene, function = Scene(), ScriptedFunction(seconds=2)
    backlog(scene, 1000)
    mapping = mapping_of(scene, function, concurrency=20)
    async with running(mapping):
        await asyncio.sleep(3)
        scene.sqs.answers["ReceiveMessage"] = [lambda _: 1 // 0]
        await asyncio.sleep(3)
        assert [line["event"] for line in scene.stage.lines].count("mapping crashed") == 1
        await asyncio.sleep(200)
        assert scene.share.used <= 10 * 32 * 1024  # what one receive under way may bring
        assert mapping.in_flight == 0
        assert pollers(scene) == 1

    assert scene.share.used == 0
    assert sorted(scene.sqs.deleted) == sorted(f"m-{number}" for number in range(1000))


@virtual
async def test_a_quiet_mapping_gets_its_turn_where_memory_is_always_short() -> None:
    """Another mapping takes and gives back all the time, so that there is memory only for those who wait for it."""
    budget = ByteBudget(1024 * 1024)
    scene, function = Scene(), ScriptedFunction()
    scene.share = budget.share("orders")
    busy = budget.share("busy")
    async with running(mapping_of(scene, function)), asyncio.TaskGroup() as group:
        await asyncio.sleep(1)
        while busy.try_take(1024):
            pass

        async def churn() -> None:
            while True:
                granted = await busy.take(512 * 1024)
                await asyncio.sleep(0.1)
                busy.give_back(granted)

        busy.give_back(busy.used)
        churning = [group.create_task(churn(), name="busy") for _ in range(4)]
        await asyncio.sleep(25)
        scene.sqs.send("m-1")
        await asyncio.sleep(60)
        for task in churning:
            task.cancel()
        assert scene.sqs.deleted == ["m-1"]
