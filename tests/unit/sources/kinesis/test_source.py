"""A Kinesis mapping reads every shard from where it stopped, parents before children, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from outboard.aws.calls import CallFailed, Refused, TimedOut
from outboard.core.batcher import BatchLimits
from outboard.core.delivery import OnFailure, Policy
from outboard.core.outcome import FunctionFailed, Outcome, Succeeded, Unavailable
from outboard.core.ports import Feed, SourceFailed
from outboard.core.shards import Beginning, Position, Since
from outboard.runtime.mapping import MappingRun
from outboard.sources.kinesis.source import KinesisSettings, KinesisSource
from tests.unit.observe.stage import START
from tests.unit.runtime.stage import ScriptedFunction, work_of
from tests.unit.sources.kinesis.fake import (
    ARN,
    BROKEN,
    DENIED,
    EXPIRED,
    FIRST,
    MISSING,
    SECOND,
    THROTTLED,
    UUID,
    FakeCheckpoints,
    Scene,
    data_of,
    elapsed,
    wall,
)
from tests.unit.virtual import virtual

ERROR = FunctionFailed("ValueError", "no such click")
ROLE = "arn:aws:iam::123456789012:role/outboard"
MIB = 1024 * 1024


async def identity() -> str:
    return ROLE


def latest() -> Position:
    return Since(wall())


def settings_of(scene: Scene, start: Callable[[], Position] = Beginning, memory: int = 256 * MIB) -> KinesisSettings:
    return KinesisSettings(
        uuid=UUID,
        start=start,
        identity=identity,
        region="eu-west-1",
        checkpoints=scene.checkpoints,
        allowance=scene.share,
        observer=scene.stage.observer,
        wall=scene.stage.clock,
        jitter=lambda: 0.0,
        memory=memory,
        latest=start is latest,
    )


class Function(ScriptedFunction):
    """Fails every batch with one of `poison` in it; tells what it was sent, by shard."""

    def __init__(self, *poison: str, answer: Outcome = ERROR, seconds: float = 0.0) -> None:
        super().__init__(seconds=seconds)
        self.poison = set(poison)
        self.answer = answer
        self.batches: list[tuple[float, str, list[str]]] = []
        self.done: list[str] = []

    async def invoke(self, payload: bytes, trace: str | None) -> Outcome:
        events = [orjson.dumps(event) for event in orjson.loads(payload)["Records"]]
        sent = [data_of(event) for event in events]
        shard = orjson.loads(events[0])["eventID"].partition(":")[0]
        self.batches.append((elapsed(), shard, sent))
        await super().invoke(payload, trace)
        if self.poison.intersection(sent):
            return self.answer
        self.done += sent
        return Succeeded(b"")

    def sent(self, shard: str = FIRST) -> list[list[str]]:
        return [batch for _, at, batch in self.batches if at == shard]


def mapping_of(
    scene: Scene,
    function: ScriptedFunction,
    *,
    start: Callable[[], Position] = Beginning,
    limits: BatchLimits | None = None,
    policy: Policy | None = None,
    concurrency: int = 100,
) -> MappingRun:
    work = work_of(
        scene.stage,
        function,
        limits=limits or BatchLimits(100),
        policy=policy or Policy(OnFailure.RETRY_FROM_LOWEST),
        concurrency=concurrency,
    )
    return MappingRun("clicks", lambda: KinesisSource(scene.stream, settings_of(scene, start)), work)


@asynccontextmanager
async def running(mapping: MappingRun, *, within: float = 0.0) -> AsyncIterator[None]:
    """A mapping at work; leaving stops it and waits for its end, which comes `within` so many seconds."""
    async with asyncio.TaskGroup() as group:
        group.create_task(mapping.run(), name="clicks")
        yield
        stopped = elapsed()
        mapping.stop()
    assert elapsed() - stopped <= within + 1e-6, "the stop took too long"


def stream_key(scene: Scene) -> str:
    return f"{ARN}@{scene.kinesis.created!r}"


def positions(scene: Scene) -> dict[str, str]:
    return scene.checkpoints.of(stream_key(scene))


def last_error(scene: Scene) -> Mapping[str, Any] | None:
    error = scene.stage.observer.snapshot()["lastError"]
    assert error is None or isinstance(error, dict)
    return error


# Beginning


@virtual
async def test_every_shard_is_read_and_checkpointed() -> None:
    scene, function = Scene(shards=2), Function()
    _, a = scene.kinesis.put(FIRST, "a1", "a2")
    (b,) = scene.kinesis.put(SECOND, "b1")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(1)
        assert scene.stage.value("shards_owned") == 2
        assert scene.stage.value("shards_waiting") == 0
        assert scene.stage.value("mapping_state", state="Enabled") == 1

    assert (function.sent(FIRST), function.sent(SECOND)) == ([["a1", "a2"]], [["b1"]])
    assert positions(scene) == {FIRST: a, SECOND: b}
    assert scene.stage.value("shards_owned") == 0
    assert scene.share.used == 0


@virtual
async def test_events_carry_the_stream_and_who_invokes() -> None:
    scene, function = Scene(), Function()
    scene.kinesis.put(FIRST, "a")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(1)

    (event,) = orjson.loads(function.payloads[0])["Records"]
    assert (event["eventSourceARN"], event["awsRegion"]) == (ARN, "eu-west-1")
    assert event["invokeIdentityArn"] == ROLE


@pytest.mark.parametrize("start", [Beginning(), Since(START - 50.0)])
@virtual
async def test_where_to_start_is_durable_before_the_first_read(start: Position) -> None:
    scene = Scene(shards=2)
    scene.checkpoints.seconds = 3.0
    order = scene.checkpoints.order
    scene.kinesis.answers["GetRecords"] = [
        lambda body: order.append("read") or scene.kinesis._page(body)  # type: ignore[func-returns-value]
    ] * 2
    async with running(mapping_of(scene, Function(), start=lambda: start)):
        await asyncio.sleep(7)

    words = "TRIM_HORIZON" if start == Beginning() else f"AT_TIMESTAMP {START - 50.0!r}"
    assert order[: order.index("read")] == ["load", "save", "saved", "load", "save", "saved"]
    assert scene.kinesis.times("GetRecords")[0] == 6.0
    assert scene.checkpoints.durable[UUID, ARN] == {"": words}
    assert scene.checkpoints.durable[UUID, stream_key(scene)] == {FIRST: words, SECOND: words}


@virtual
async def test_latest_is_the_time_of_the_first_start_whatever_happens_before_the_first_checkpoint() -> None:
    """The process dies with its first batch under way; what came before the first start is never read."""
    scene, function = Scene(), Function("a", answer=Unavailable("ServiceException", "down"))
    scene.kinesis.put(FIRST, "old", arrived=START - 0.001)
    async with running(mapping_of(scene, function, start=latest), within=0.0):
        await asyncio.sleep(5)
        scene.kinesis.put(FIRST, "a")
        await asyncio.sleep(5)
        crashed = scene.checkpoints.after_a_crash()

    again = Scene()
    again.kinesis, again.stream = scene.kinesis, scene.stream
    again.checkpoints = crashed
    scene.kinesis.put(FIRST, "b")
    good = Function()
    async with running(mapping_of(again, good, start=latest)):
        await asyncio.sleep(3)

    assert good.done == ["a", "b"]
    assert set(scene.kinesis.started_at(FIRST)) == {f"AT_TIMESTAMP {START!r}"}


@virtual
async def test_a_wrong_start_can_be_corrected_until_something_is_settled() -> None:
    scene, function = Scene(shards=2), Function()
    scene.kinesis.put(FIRST, "a")
    scene.kinesis.put(SECOND, "b")
    async with running(mapping_of(scene, function, start=lambda: Since(START + 1e6))):
        await asyncio.sleep(5)
    assert function.done == []
    async with running(mapping_of(scene, function, start=Beginning)):
        await asyncio.sleep(5)
    assert sorted(function.done) == ["a", "b"]
    async with running(mapping_of(scene, function, start=lambda: Since(START - 1e6))):
        await asyncio.sleep(5)
    assert sorted(function.done) == ["a", "b"]


@virtual
async def test_latest_holds_for_shards_that_are_split_before_the_first_listing() -> None:
    """The first process stored its moment and died before it had listed a shard."""
    scene, function = Scene(), Function()
    scene.checkpoints = FakeCheckpoints({(UUID, ARN): {"": f"AT_TIMESTAMP {START - 100.0!r}"}})
    scene.kinesis.put(FIRST, "old", arrived=START - 200)
    scene.kinesis.put(FIRST, "since", arrived=START - 50)
    left, _ = scene.kinesis.split(FIRST)
    scene.kinesis.put(left, "child")
    async with running(mapping_of(scene, function, start=latest)):
        await asyncio.sleep(5)

    assert function.done == ["since", "child"]


@virtual
async def test_a_restart_goes_on_where_the_last_run_stopped_and_replays_nothing() -> None:
    scene, function = Scene(), Function()
    scene.kinesis.put(FIRST, *"abc")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(2)
    scene.kinesis.put(FIRST, *"de")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(2)

    assert function.sent() == [["a", "b", "c"], ["d", "e"]]


@pytest.mark.parametrize(("hours", "resets"), [(23.999, 1), (23.9, 0)])
@virtual
async def test_a_restart_so_late_that_records_have_expired_says_so(hours: float, resets: int) -> None:
    """What is left behind the position is at the end of its retention, so that what was before it may be gone."""
    scene, function = Scene(), Function()
    one, *_ = scene.kinesis.put(FIRST, *"abc", arrived=START - hours * 3600)
    scene.kinesis.trim(FIRST, 2)
    scene.checkpoints = FakeCheckpoints({(UUID, stream_key(scene)): {FIRST: one}})
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(1)

    assert function.done == ["c"]
    assert scene.stage.value("position_resets_total", reason="records_expired") == resets


@virtual
async def test_the_stored_start_wins_over_the_configured_one() -> None:
    scene, function = Scene(), Function()
    scene.checkpoints = FakeCheckpoints({(UUID, ARN): {"": "TRIM_HORIZON"}})
    scene.kinesis.put(FIRST, "old", arrived=START - 100)
    async with running(mapping_of(scene, function, start=latest)):
        await asyncio.sleep(1)

    assert function.done == ["old"]


@virtual
async def test_a_listing_in_pages_is_read_to_its_end() -> None:
    scene, function = Scene(shards=7), Function()
    scene.kinesis.shards_per_page = 3
    for shard in scene.kinesis.shards:
        scene.kinesis.put(shard, shard)
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(1)

    assert sorted(function.done) == sorted(scene.kinesis.shards)
    assert len(scene.kinesis.made("ListShards")) == 3


@pytest.mark.parametrize("operation", ["DescribeStreamSummary", "ListShards"])
@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (MISSING, "the stream does not exist; create it or correct EventSourceArn (Stream clicks not found)"),
        (
            DENIED,
            (
                "not allowed to read the stream; grant kinesis:DescribeStreamSummary, ListShards, GetShardIterator,"
                " GetRecords (not authorized)"
            ),
        ),
        (BROKEN, "try again"),
        (TimedOut("Timeout", "no answer in 10 s"), "Kinesis did not answer in time: no answer in 10 s"),
    ],
)
@virtual
async def test_a_stream_that_cannot_be_looked_at_is_shown_and_looked_at_again(
    failure: CallFailed, sentence: str, operation: str
) -> None:
    scene, function = Scene(), Function()
    scene.kinesis.answers[operation] = [failure] * 3
    scene.kinesis.put(FIRST, "a")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(3)
        assert scene.stage.value("mapping_state", state="blocked") == 1
        error = last_error(scene)
        assert error is not None
        assert error["message"] == sentence
        await asyncio.sleep(3)
        assert last_error(scene) is None
        assert scene.stage.value("mapping_state", state="Enabled") == 1

    assert scene.kinesis.times(operation)[:4] == [0.0, 0.5, 1.5, 3.5]
    assert function.done == ["a"]


@virtual
async def test_a_stream_that_does_not_exist_yet_is_worked_off_from_its_first_record_once_it_does() -> None:
    """LATEST counts from the mapping's start, not from when the stream came."""
    scene, function = Scene(), Function()
    scene.kinesis.exists = False
    async with running(mapping_of(scene, function, start=latest)):
        await asyncio.sleep(20)
        scene.kinesis.exists, scene.kinesis.status = True, "CREATING"
        scene.kinesis.recreate()
        await asyncio.sleep(60)
        error = last_error(scene)
        assert error is not None
        assert error["type"] == "StreamCreating"
        scene.kinesis.status = "ACTIVE"
        scene.kinesis.put(FIRST, "a")
        await asyncio.sleep(60)
        assert scene.stage.value("mapping_state", state="Enabled") == 1

    assert function.done == ["a"]
    assert scene.checkpoints.of(ARN) == {"": f"AT_TIMESTAMP {START!r}"}


@virtual
async def test_a_stream_that_is_being_deleted_is_shown() -> None:
    scene = Scene()
    scene.kinesis.status = "DELETING"
    async with running(mapping_of(scene, Function())):
        await asyncio.sleep(1)
        error = last_error(scene)
        assert error is not None
        assert error["type"] == "StreamDeleting"

    assert scene.kinesis.made("GetRecords") == []


@pytest.mark.parametrize("stream", [ARN, "of shards"])
@virtual
async def test_a_position_that_cannot_be_read_is_shown_and_nothing_is_read(stream: str) -> None:
    scene = Scene()
    key = stream_key(scene) if stream == "of shards" else stream
    scene.checkpoints = FakeCheckpoints({(UUID, key): {"" if stream == ARN else FIRST: "somewhere"}})
    async with running(mapping_of(scene, Function())):
        await asyncio.sleep(1)
        error = last_error(scene)
        assert error is not None
        assert error["type"] == "UnreadablePosition"
        assert "'somewhere'" in error["message"]

    assert scene.kinesis.made("GetRecords") == []
    assert scene.checkpoints.of(key) == {"" if stream == ARN else FIRST: "somewhere"}


@virtual
async def test_a_state_that_cannot_be_read_is_shown_and_tried_again() -> None:
    scene, function = Scene(), Function()
    scene.kinesis.put(FIRST, "a")
    scene.checkpoints.unreadable = SourceFailed("StateUnreadable", "the state cannot be read")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(3)
        error = last_error(scene)
        assert error is not None
        assert error["message"] == "the state cannot be read"
        assert scene.kinesis.made("GetRecords") == []
        scene.checkpoints.unreadable = None
        await asyncio.sleep(5)

    assert function.done == ["a"]


@virtual
async def test_nothing_is_read_while_the_first_positions_cannot_be_saved() -> None:
    scene, function = Scene(), Function()
    scene.kinesis.put(FIRST, "a")
    scene.checkpoints.failing = True
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(100)
        assert scene.kinesis.made("GetRecords") == []
        scene.checkpoints.failing = False
        scene.checkpoints.mended.set()
        await asyncio.sleep(1)

    assert function.done == ["a"]


@virtual
async def test_a_full_disk_later_does_not_hold_up_delivery() -> None:
    scene, function = Scene(), Function()
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(1)
        scene.checkpoints.failing = True
        scene.kinesis.put(FIRST, *"abc")
        await asyncio.sleep(2)
        assert function.done == ["a", "b", "c"]


# Order and isolation


@virtual
async def test_batches_of_a_shard_are_full_in_order_and_never_overlap() -> None:
    scene, function = Scene(), Function(seconds=5)
    scene.kinesis.put(FIRST, *[str(number) for number in range(30)])
    async with running(mapping_of(scene, function, limits=BatchLimits(10))):
        await asyncio.sleep(60)

    assert [len(batch) for batch in function.sent()] == [10, 10, 10]
    assert function.done == [str(number) for number in range(30)]
    assert [at for at, _, _ in function.batches] == [0.0, 5.0, 10.0]
    assert function.most_under_way == 1


@virtual
async def test_one_poisoned_shard_of_four_holds_up_none_of_the_others() -> None:
    scene, function = Scene(shards=4), Function(f"{SECOND}-3")
    shards = list(scene.kinesis.shards)
    for shard in shards:
        scene.kinesis.put(shard, *[f"{shard}-{number}" for number in range(10)])
    async with running(mapping_of(scene, function, limits=BatchLimits(2))):
        await asyncio.sleep(30)
        assert scene.stage.value("mapping_state", state="blocked") == 1
        assert SECOND in str(scene.stage.observer.snapshot()["stateReason"])
        for shard in shards:
            if shard != SECOND:
                assert len([it for it in function.done if it.startswith(shard)]) == 10
        assert [it for it in function.done if it.startswith(SECOND)] == [f"{SECOND}-0", f"{SECOND}-1"]
        assert scene.share.used < 10 * 1024, "the page behind the poison is let go"
        function.poison.clear()
        await asyncio.sleep(60)
        assert scene.stage.value("mapping_state", state="Enabled") == 1

    assert [it for it in function.done if it.startswith(SECOND)] == [f"{SECOND}-{number}" for number in range(10)]
    assert scene.share.used == 0


@virtual
async def test_a_poison_record_is_given_up_by_its_limit_and_checkpointed_past() -> None:
    scene, function = Scene(), Function("b")
    numbers = scene.kinesis.put(FIRST, *"abc")
    policy = Policy(OnFailure.RETRY_FROM_LOWEST, maximum_retry_attempts=1, bisect=True)
    async with running(mapping_of(scene, function, policy=policy)):
        await asyncio.sleep(10)

    assert function.done == ["a", "c"]
    assert positions(scene) == {FIRST: numbers[2]}
    (line,) = scene.logged("events dropped")
    assert (line["shard"], line["positions"], line["error_type"]) == (FIRST, numbers[1], "ValueError")
    assert scene.stage.value("dropped_events_total", reason="retry_attempts_exhausted") == 1


@virtual
async def test_a_partial_response_goes_on_from_the_lowest_number_and_checkpoints_what_is_before() -> None:
    """The lowest as a number: as text, a number with one digit more would come first."""
    scene, function = Scene(), Function()
    numbers = scene.kinesis.put(FIRST, *"abcde")
    assert len(numbers[1]) < len(numbers[3])
    items = b",".join(b'{"itemIdentifier":"%s"}' % number.encode() for number in (numbers[3], numbers[1]))
    answers = [Succeeded(b'{"batchItemFailures":[%s]}' % items)]

    class Partly(Function):
        async def invoke(self, payload: bytes, trace: str | None) -> Outcome:
            await super().invoke(payload, trace)
            return answers.pop(0) if answers else Succeeded(b"")

    function = Partly()
    policy = Policy(OnFailure.RETRY_FROM_LOWEST, partial_responses=True)
    async with running(mapping_of(scene, function, policy=policy)):
        await asyncio.sleep(0.1)
        assert positions(scene) == {FIRST: numbers[0]}
        await asyncio.sleep(5)

    assert function.sent() == [list("abcde"), list("bcde")]
    assert positions(scene) == {FIRST: numbers[4]}


@virtual
async def test_a_checkpoint_is_never_ahead_of_what_the_function_has_done() -> None:
    scene, function = Scene(), Function(seconds=5)
    numbers = scene.kinesis.put(FIRST, *"abcd")
    async with running(mapping_of(scene, function, limits=BatchLimits(2)), within=5):
        await asyncio.sleep(4)
        assert positions(scene) == {FIRST: "TRIM_HORIZON"}
        await asyncio.sleep(4)
        assert positions(scene) == {FIRST: numbers[1]}

    assert positions(scene) == {FIRST: numbers[3]}


@virtual
async def test_little_memory_slows_shards_down_and_stops_none() -> None:
    scene, function = Scene(shards=6, budget=4 * MIB), Function(seconds=0.1)
    for shard in scene.kinesis.shards:
        for number in range(8):
            scene.kinesis.put(shard, f"{shard}-{number}-" + "x" * 200_000)
    async with running(mapping_of(scene, function, limits=BatchLimits(3)), within=0.2):
        await asyncio.sleep(120)

    assert len(function.done) == 48
    assert scene.share.used == 0


@virtual
async def test_batches_that_fail_for_ever_leave_the_other_shards_memory() -> None:
    scene, function = Scene(shards=4, budget=32 * MIB), Function("poison")
    scene.kinesis.put(FIRST, "poison", *["x" * 100_000] * 150)
    async with running(mapping_of(scene, function, limits=BatchLimits(100)), within=1):
        for second in range(60):
            for shard in list(scene.kinesis.shards)[1:]:
                scene.kinesis.put(shard, f"{shard}-{second}" + "y" * 50_000)
            await asyncio.sleep(1)
        await asyncio.sleep(2)

        assert len(function.done) == 180
    assert scene.share.used == 0


@virtual
async def test_one_read_that_hangs_does_not_hold_up_the_others() -> None:
    scene, function = Scene(shards=4), Function()

    def hang(body: Mapping[str, Any]) -> dict[str, Any]:
        raise TimedOut("Timeout", "no answer in 30 s")

    for shard in scene.kinesis.shards:
        scene.kinesis.put(shard, shard)
    scene.kinesis.answers["GetRecords"] = [hang]
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(0.1)
        assert len(function.done) == 3
        await asyncio.sleep(5)

    assert len(function.done) == 4


# Resharding


@pytest.mark.parametrize("trailing", [False, True])
@virtual
async def test_children_are_read_when_their_parent_is_done_and_at_once(trailing: bool) -> None:
    scene, function = Scene(), Function(seconds=5)
    scene.kinesis.trailing = trailing
    scene.kinesis.put(FIRST, *"abcd")
    async with running(mapping_of(scene, function, limits=BatchLimits(2))):
        await asyncio.sleep(1)
        left, right = scene.kinesis.split(FIRST)
        scene.kinesis.put(left, "left")
        scene.kinesis.put(right, "right")
        await asyncio.sleep(8)
        assert scene.kinesis.reads(left) == []
        await asyncio.sleep(10)
        assert scene.stage.value("shards_owned") == 2

    assert scene.kinesis.reads(left)[0] < 12
    assert function.done[:4] == list("abcd")
    assert sorted(function.done[4:]) == ["left", "right"]
    assert positions(scene)[FIRST] == "SHARD_END"
    assert scene.stage.value("shards_done_total") == 1
    assert scene.share.used == 0


@virtual
async def test_the_child_of_a_merge_waits_for_both_parents() -> None:
    scene, function = Scene(shards=2), Function("b", answer=Unavailable("ServiceException", "down"))
    scene.kinesis.put(FIRST, "a")
    scene.kinesis.put(SECOND, "b")
    child = scene.kinesis.merge(FIRST, SECOND)
    scene.kinesis.put(child, "c")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(20)
        assert positions(scene)[FIRST] == "SHARD_END"
        assert scene.kinesis.reads(child) == []
        assert scene.stage.value("shards_waiting") == 1
        function.poison.clear()
        await asyncio.sleep(60)

    assert function.done == ["a", "b", "c"]


@virtual
async def test_shards_without_records_end_too_and_generations_follow_each_other() -> None:
    scene, function = Scene(), Function()
    generation = [FIRST]
    for _ in range(3):
        generation = [child for shard in generation for child in scene.kinesis.split(shard)]
    for shard in generation:
        scene.kinesis.put(shard, shard)
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(10)

    assert sorted(function.done) == generation
    ended = [shard for shard, position in positions(scene).items() if position == "SHARD_END"]
    assert ended == [shard for shard in scene.kinesis.shards if shard not in generation]


@virtual
async def test_a_child_begins_at_its_beginning_even_where_the_mapping_began_at_latest() -> None:
    scene, function = Scene(), Function()
    async with running(mapping_of(scene, function, start=latest)):
        await asyncio.sleep(10)
        left, _ = scene.kinesis.split(FIRST)
        scene.kinesis.put(left, "early", arrived=START - 1)
        await asyncio.sleep(10)

    assert function.done == ["early"]
    assert scene.kinesis.started_at(left)[0] == "TRIM_HORIZON"


@virtual
async def test_a_new_shard_is_found_within_a_minute() -> None:
    scene, function = Scene(), Function()
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(30)
        other = scene.kinesis.add()
        scene.kinesis.put(other, "new")
        await asyncio.sleep(31)
        assert function.done == ["new"]
        await asyncio.sleep(60)

    assert scene.kinesis.times("ListShards") == [0.0, 60.0, 120.0]


@virtual
async def test_a_shard_whose_parent_has_gone_from_the_listing_is_read() -> None:
    scene, function = Scene(), Function()
    left, _ = scene.kinesis.split(FIRST)
    scene.kinesis.put(left, "a")
    del scene.kinesis.shards[FIRST]
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(1)

    assert function.done == ["a"]


@virtual
async def test_a_restart_between_parent_and_child_reads_each_of_them_once() -> None:
    scene, function = Scene(), Function()
    scene.kinesis.put(FIRST, "a")
    left, right = scene.kinesis.split(FIRST)
    scene.kinesis.put(left, "left")
    scene.kinesis.put(right, "right")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(5)
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(5)

    assert sorted(function.done) == ["a", "left", "right"]


@virtual
async def test_a_shard_that_expired_while_it_was_read_is_over_and_its_children_follow() -> None:
    scene, function = Scene(), Function()
    left, _ = scene.kinesis.split(FIRST)
    scene.kinesis.put(left, "child")
    answers = scene.kinesis.answers.setdefault("GetShardIterator", [])
    answers += [MISSING, MISSING]
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(0.1)
        del scene.kinesis.shards[FIRST]
        await asyncio.sleep(20)

    assert function.done == ["child"]
    assert positions(scene)[FIRST] == "SHARD_END"
    assert scene.stage.value("position_resets_total", reason="shard_expired") == 1


# Failures of the stream


@virtual
async def test_a_look_that_failed_is_shown_and_repeated_with_backoff_while_shards_are_read_on() -> None:
    scene, function = Scene(), Function()
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(59)
        scene.kinesis.answers["ListShards"] = [THROTTLED] * 3
        await asyncio.sleep(1.2)
        error = last_error(scene)
        assert error is not None
        assert error["type"] == "ProvisionedThroughputExceededException"
        scene.kinesis.put(FIRST, "a")
        await asyncio.sleep(1.5)
        assert function.done == ["a"]
        await asyncio.sleep(10)
        assert last_error(scene) is None

    assert scene.kinesis.times("ListShards") == [0.0, 60.0, 60.5, 61.5, 63.5]


@virtual
async def test_a_stream_that_is_deleted_blocks_the_mapping_and_one_that_comes_back_is_worked_off() -> None:
    scene, function = Scene(), Function()
    scene.kinesis.put(FIRST, "a")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(2)
        old = stream_key(scene)
        scene.kinesis.exists = False
        await asyncio.sleep(5)
        assert scene.stage.value("mapping_state", state="blocked") == 1
        error = last_error(scene)
        assert error is not None
        assert error["type"] == "ResourceNotFoundException"
        scene.kinesis.exists = True
        scene.kinesis.recreate(shards=2)
        scene.kinesis.put(FIRST, "b")
        scene.kinesis.put(SECOND, "c")
        await asyncio.sleep(60)
        assert scene.stage.value("mapping_state", state="Enabled") == 1

    assert sorted(function.done) == ["a", "b", "c"]
    assert stream_key(scene) != old
    assert set(positions(scene)) == {FIRST, SECOND}


@virtual
async def test_a_stream_recreated_between_two_looks_is_begun_anew_and_keeps_the_old_positions_apart() -> None:
    scene, function = Scene(), Function()
    (old,) = scene.kinesis.put(FIRST, "a")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(2)
        key = stream_key(scene)
        scene.kinesis.recreate()
        (new,) = scene.kinesis.put(FIRST, "b")
        await asyncio.sleep(120)
        assert function.done == ["a", "b"]
        assert scene.checkpoints.of(key) == {FIRST: old}
        assert positions(scene) == {FIRST: new}
        assert scene.stage.value("position_resets_total", reason="unknown_sequence_number") == 0


@virtual
async def test_a_stream_that_fails_lets_its_lanes_finish_before_it_is_begun_again() -> None:
    scene, function = Scene(), Function(seconds=50)
    scene.kinesis.put(FIRST, "a")
    async with running(mapping_of(scene, function), within=50):
        await asyncio.sleep(1)
        key = stream_key(scene)
        asyncio.get_running_loop().call_later(30, scene.kinesis.recreate)
        await asyncio.sleep(58.5)  # of which the look is the last
        assert function.under_way == 0
        await asyncio.sleep(40)

    assert scene.checkpoints.of(key)[FIRST] != "TRIM_HORIZON"
    assert function.most_under_way == 1


@virtual
async def test_an_invoke_that_outlasts_its_stream_is_waited_for_and_checkpointed() -> None:
    scene, function = Scene(), Function(seconds=100)
    (one,) = scene.kinesis.put(FIRST, "a")
    async with running(mapping_of(scene, function), within=1):
        await asyncio.sleep(1)
        key = stream_key(scene)
        scene.kinesis.recreate()
        await asyncio.sleep(90)
        assert scene.kinesis.times("DescribeStreamSummary") == [0.0, 60.0]
        assert function.under_way == 1
        await asyncio.sleep(15)
        assert len(scene.kinesis.times("DescribeStreamSummary")) == 3

    assert scene.checkpoints.of(key) == {FIRST: one}
    assert scene.share.used == 0


@virtual
async def test_memory_that_a_crash_left_taken_is_given_back_at_the_next_start() -> None:
    """A defect ends the mapping with an invoke under way and the rest of the page in memory."""
    scene, function = Scene(), Function(seconds=50)
    scene.kinesis.put(FIRST, *[str(number) for number in range(4)])
    async with running(mapping_of(scene, function, limits=BatchLimits(2))):
        scene.kinesis.answers["ListShards"] = [scene.kinesis._list, lambda _: 1 // 0]  # type: ignore[list-item,return-value]
        await asyncio.sleep(59)
        assert function.done == ["0", "1"]
        assert function.under_way == 1
        await asyncio.sleep(2)
        assert len(scene.logged("mapping crashed")) == 1
        await asyncio.sleep(100)
        assert scene.share.used == 0

    assert function.sent() == [["0", "1"], ["2", "3"], ["2", "3"]]


@virtual
async def test_shards_in_doubt_do_not_make_the_stream_be_looked_at_without_end() -> None:
    """Twenty shards whose reads are refused while the stream cannot be described: the backoff of the looks holds."""
    scene = Scene(shards=20)
    async with running(mapping_of(scene, Function())):
        await asyncio.sleep(1.5)
        scene.kinesis.answers["GetRecords"] = [MISSING] * 10_000
        scene.kinesis.answers["DescribeStreamSummary"] = [THROTTLED] * 10_000
        before = len(scene.kinesis.made("DescribeStreamSummary"))
        await asyncio.sleep(60)
        assert len(scene.kinesis.made("DescribeStreamSummary")) - before <= 10


# Stopping


@virtual
async def test_a_stop_finishes_the_invoke_under_way_and_checkpoints_it() -> None:
    scene, function = Scene(), Function(seconds=5)
    numbers = scene.kinesis.put(FIRST, *"abcdef")
    async with running(mapping_of(scene, function, limits=BatchLimits(2)), within=4):
        await asyncio.sleep(1)

    assert function.sent() == [["a", "b"]]
    assert positions(scene) == {FIRST: numbers[1]}
    assert scene.share.used == 0
    assert elapsed() == 5


@pytest.mark.parametrize("operation", ["DescribeStreamSummary", "ListShards"])
@virtual
async def test_a_stop_while_beginning_ends_at_once_and_reads_nothing(operation: str) -> None:
    scene = Scene()
    scene.kinesis.seconds[operation] = 8.0
    async with running(mapping_of(scene, Function())):
        await asyncio.sleep(1)

    assert scene.kinesis.made("GetRecords") == []
    assert scene.stage.value("mapping_state", state="Disabled") == 1


@virtual
async def test_a_stop_while_the_first_positions_are_saved_ends_at_once() -> None:
    scene = Scene()
    scene.checkpoints.failing = True
    async with running(mapping_of(scene, Function())):
        await asyncio.sleep(5)

    assert scene.kinesis.made("GetRecords") == []


@pytest.mark.parametrize("operation", ["GetShardIterator", "GetRecords"])
@virtual
async def test_a_stop_during_a_read_ends_at_once(operation: str) -> None:
    scene = Scene(shards=3)
    scene.kinesis.seconds[operation] = 25.0
    async with running(mapping_of(scene, Function())):
        await asyncio.sleep(1)

    assert scene.share.used == 0


@pytest.mark.parametrize("operation", ["DescribeStreamSummary", "ListShards"])
@virtual
async def test_a_stop_during_a_look_ends_at_once(operation: str) -> None:
    scene = Scene()
    async with running(mapping_of(scene, Function())):
        await asyncio.sleep(59)
        scene.kinesis.seconds[operation] = 10.0
        await asyncio.sleep(2)

    assert scene.share.used == 0


@virtual
async def test_a_stop_during_a_backoff_and_a_wait_for_memory_ends_at_once() -> None:
    scene = Scene()
    scene.kinesis.answers["GetRecords"] = [BROKEN] * 99
    async with running(mapping_of(scene, Function())):
        await asyncio.sleep(100)

    full = Scene(budget=MIB)
    async with running(mapping_of(full, Function())):
        await asyncio.sleep(0.5)
        taken = 0
        while full.share.try_take(1024):
            taken += 1024
        await asyncio.sleep(5)
    assert full.share.used == taken


@virtual
async def test_a_stop_hands_nothing_back_of_a_batch_that_waits_for_its_retry_and_it_comes_again() -> None:
    scene, function = Scene(), Function("a")
    scene.kinesis.put(FIRST, "a", "b")
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(10)
    assert positions(scene) == {FIRST: "TRIM_HORIZON"}
    assert scene.share.used == 0

    function.poison.clear()
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(1)
    assert function.done == ["a", "b"]


@virtual
async def test_a_stop_in_a_window_leaves_what_it_gathered_for_the_next_start() -> None:
    scene, function = Scene(), Function()
    scene.kinesis.put(FIRST, "a", "b")
    async with running(mapping_of(scene, function, limits=BatchLimits(100, 60.0))):
        await asyncio.sleep(5)
    assert function.batches == []
    assert scene.share.used == 0

    async with running(mapping_of(scene, function)):
        await asyncio.sleep(1)
    assert function.done == ["a", "b"]


@virtual
async def test_a_stop_at_whatever_moment_leaves_no_memory_taken_and_loses_nothing() -> None:
    """Moments in and between reads, batches, looks and the end of a shard."""
    for step in range(60):
        scene, function = Scene(shards=2), Function("0-3", seconds=0.11)
        scene.kinesis.seconds = {"GetRecords": 0.07, "GetShardIterator": 0.03, "ListShards": 0.05}
        for number in range(6):
            scene.kinesis.put(FIRST, f"0-{number}")
            scene.kinesis.put(SECOND, f"1-{number}")
        left, _ = scene.kinesis.split(SECOND)
        scene.kinesis.put(left, "2-0", "2-1")
        mapping = mapping_of(scene, function, limits=BatchLimits(2, 1.0))
        async with running(mapping, within=0.2):
            await asyncio.sleep(step * 0.037)
        assert scene.share.used == 0, f"stopped after {step * 0.037:.3f} s"

        good = Function()
        scene.checkpoints = scene.checkpoints.after_a_crash() if step % 2 else scene.checkpoints
        async with running(mapping_of(scene, good)):
            await asyncio.sleep(10)
        everything = {f"{shard}-{number}" for shard in (0, 1) for number in range(6)} | {"2-0", "2-1"}
        assert set(function.done) | set(good.done) == everything


# What the source is given


class Recording:
    """Makes feeds that end at once, and notes what they were asked to begin with."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Position]] = []

    def __call__(self, _desk: object, shard: str, position: Position) -> Feed:
        self.made.append((shard, position))
        return Waiting()


class Waiting:
    """A feed that brings nothing until it is stopped."""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()

    async def read(self, limit: int, until: float | None) -> None:
        await self._stopped.wait()

    async def settle(self, delivered: Sequence[object], returned: Sequence[object]) -> None:
        raise AssertionError

    async def give_up(self, records: Sequence[object], reason: object) -> None:
        raise AssertionError

    async def release(self, records: Sequence[object]) -> None:
        raise AssertionError

    def lapsed(self, records: Sequence[object]) -> Sequence[Any]:
        return ()

    def blocked(self) -> None:
        raise AssertionError

    def stop(self) -> None:
        self._stopped.set()


@virtual
async def test_each_shards_feed_is_made_with_its_stored_position() -> None:
    scene, recording = Scene(shards=3), Recording()
    one, third = scene.kinesis.put(FIRST, "a")[0], "shardId-000000000002"
    scene.checkpoints = FakeCheckpoints({(UUID, stream_key(scene)): {FIRST: one, SECOND: "SHARD_END"}})
    work = work_of(scene.stage, ScriptedFunction())
    source = lambda: KinesisSource(scene.stream, settings_of(scene), recording)  # noqa: E731
    async with running(MappingRun("clicks", source, work)):
        await asyncio.sleep(1)

    assert [(shard, type(position).__name__) for shard, position in recording.made] == [
        (FIRST, "After"),
        (third, "Beginning"),
    ]


@virtual
async def test_no_iterator_that_expired_is_ever_a_failure_of_the_mapping() -> None:
    scene, function = Scene(), Function(seconds=400)
    scene.kinesis.put(FIRST, "a")
    async with running(mapping_of(scene, function), within=400):
        await asyncio.sleep(350)
        scene.kinesis.put(FIRST, "b")
        await asyncio.sleep(60)
        assert last_error(scene) is None

    assert function.sent() == [["a"], ["b"]]
    assert EXPIRED.code == "ExpiredIteratorException"


@virtual
async def test_a_refusal_of_the_whole_listing_is_not_the_end_of_the_stream() -> None:
    scene, function = Scene(), Function()
    async with running(mapping_of(scene, function)):
        await asyncio.sleep(59.5)
        scene.kinesis.answers["ListShards"] = [Refused(400, "ExpiredNextTokenException", "too late")]
        await asyncio.sleep(5)
        scene.kinesis.put(FIRST, "a")
        await asyncio.sleep(2)

    assert function.done == ["a"]
