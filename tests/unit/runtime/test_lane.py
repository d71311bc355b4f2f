"""A lane takes records, batches them, has one batch in flight, and leaves nothing behind when it is stopped."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from outboard.core.batcher import BatchLimits
from outboard.core.delivery import OnFailure, Policy
from outboard.core.outcome import FunctionFailed, Outcome, Succeeded, Throttled, TooLarge, Unavailable
from outboard.core.records import Record
from outboard.observe.facts import MappingFacts
from outboard.observe.trouble import iso
from outboard.runtime.lane import BatchLane, Work, positions
from tests.unit.observe.stage import START, Stage
from tests.unit.runtime.stage import BARE, ScriptedFeed, ScriptedFunction, record, records, work_of
from tests.unit.virtual import virtual

BROKEN = FunctionFailed("ValueError", "no such order")
DOWN = Unavailable("ClientConnectorError", "nobody listens")
LOST = Unavailable("ServerDisconnectedError", "the connection was closed before an answer came", in_doubt=True)
THROTTLED = Throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
PARTIAL = Policy(OnFailure.RETURN, partial_responses=True)
STREAM = Policy(OnFailure.RETRY_FROM_LOWEST)
KINESIS = MappingFacts("clicks", "0a1b2c3d-0000-5000-8000-000000000002", "kinesis")


def reported(*identifiers: str) -> Succeeded:
    items = ",".join(f'{{"itemIdentifier":"{identifier}"}}' for identifier in identifiers)
    return Succeeded(f'{{"batchItemFailures":[{items}]}}'.encode())


def blocked(stage: Stage) -> bool:
    return stage.value("mapping_state", state="blocked") == 1


@asynccontextmanager
async def running(feed: ScriptedFeed, work: Work) -> AsyncIterator[BatchLane]:
    """A lane at work; leaving stops it and waits for its end."""
    lane = BatchLane("poller-1", feed, work)
    async with asyncio.TaskGroup() as group:
        group.create_task(lane.run(), name="lane")
        yield lane
        lane.stop()


def elapsed() -> float:
    return asyncio.get_running_loop().time() - 1000.0


@virtual
async def test_records_are_delivered_as_batches_and_settled() -> None:
    stage, function, feed = Stage(), ScriptedFunction(), ScriptedFeed(records("a b c"), records("d"))
    async with running(feed, work_of(stage, function)):
        await asyncio.sleep(1)

    assert function.payloads == ["a,b,c", "d"]
    assert feed.said == ["delivered a b c", "delivered d"]
    assert stage.value("delivered_events_total") == 4
    assert stage.value("invoked_events_total") == 4


@virtual
async def test_a_lane_has_one_batch_in_flight_and_reads_nothing_meanwhile() -> None:
    function, feed = ScriptedFunction(seconds=5), ScriptedFeed(records("a"), records("b"), records("c"))
    async with running(feed, work_of(Stage(), function)):
        await asyncio.sleep(4)
        assert len(feed.reads) == 1
        await asyncio.sleep(60)

    assert function.most_under_way == 1
    assert function.payloads == ["a", "b", "c"]


@virtual
async def test_a_window_gathers_until_its_end_which_counts_from_the_first_record() -> None:
    function = ScriptedFunction()
    feed = ScriptedFeed(records("a"), records("b"), pause=2)
    async with running(feed, work_of(Stage(), function, limits=BatchLimits(10, 5.0, envelope=BARE))):
        await asyncio.sleep(20)

    assert [(round(at - 1000.0, 3), payload) for at, payload in function.invokes] == [(7.0, "a,b")]
    assert feed.reads[:3] == [(10, None), (9, 1007.0), (8, 1007.0)]


@virtual
async def test_a_full_batch_does_not_wait_for_its_window_and_the_rest_goes_next() -> None:
    function, feed = ScriptedFunction(), ScriptedFeed(records("a b c"))
    async with running(feed, work_of(Stage(), function, limits=BatchLimits(2, 5.0, envelope=BARE))):
        await asyncio.sleep(20)

    assert [(round(at - 1000.0, 3), payload) for at, payload in function.invokes] == [(0.0, "a,b"), (5.0, "c")]


@virtual
async def test_a_feed_that_has_no_more_for_this_batch_has_it_sent_before_its_window_is_over() -> None:
    function, feed = ScriptedFunction(), ScriptedFeed(records("a"), None)
    async with running(feed, work_of(Stage(), function, limits=BatchLimits(10, 60.0, envelope=BARE))):
        await asyncio.sleep(1)
        assert function.payloads == ["a"]


@virtual
async def test_a_lane_that_holds_nothing_ends_with_its_feed() -> None:
    feed = ScriptedFeed(None)
    lane = BatchLane("poller-1", feed, work_of(Stage(), ScriptedFunction()))

    await lane.run()
    await lane.ended()

    assert feed.said == []


@virtual
async def test_the_trace_of_a_batch_goes_with_its_invoke() -> None:
    function, feed = ScriptedFunction(), ScriptedFeed(records("a b"))
    work = work_of(Stage(), function, trace=lambda batch: f"Root={batch[0].identifier}")
    async with running(feed, work):
        await asyncio.sleep(1)

    assert function.traces == ["Root=a"]


@virtual
async def test_what_a_function_failed_is_returned() -> None:
    stage, function, feed = Stage(), ScriptedFunction(BROKEN), ScriptedFeed(records("a b"))
    async with running(feed, work_of(stage, function)):
        await asyncio.sleep(1)

    assert feed.said == ["returned a b"]
    assert stage.value("invocations_total", outcome="function_error") == 1
    assert stage.value("failed_invoke_events_total") == 2


@virtual
async def test_a_partial_response_settles_both_parts() -> None:
    stage, function, feed = Stage(), ScriptedFunction(reported("b")), ScriptedFeed(records("a b c"))
    async with running(feed, work_of(stage, function, policy=PARTIAL)):
        await asyncio.sleep(1)

    assert feed.said == ["delivered a c", "returned b"]
    assert stage.value("invocations_total", outcome="partial_failure") == 1
    assert stage.value("delivered_events_total") == 2


@virtual
async def test_an_invalid_response_returns_the_whole_batch() -> None:
    stage, function, feed = Stage(), ScriptedFunction(reported("zz")), ScriptedFeed(records("a b c"))
    async with running(feed, work_of(stage, function, policy=PARTIAL)):
        await asyncio.sleep(1)

    assert feed.said == ["returned a b c"]
    assert stage.value("invocations_total", outcome="invalid_response") == 1


@virtual
async def test_what_the_lane_holds_of_a_failed_key_goes_back_with_it() -> None:
    page = [record("a1", "A"), record("b1", "B"), record("a2", "A"), record("b2", "B"), record("c1", "")]
    function, feed = ScriptedFunction(reported("a1")), ScriptedFeed(page)
    async with running(feed, work_of(Stage(), function, policy=PARTIAL, limits=BatchLimits(2, envelope=BARE))):
        await asyncio.sleep(1)

    assert function.payloads == ["a1,b1", "b2,c1"]
    assert feed.said == ["delivered b1", "returned a1 a2", "delivered b2 c1"]


@virtual
async def test_followers_of_a_failed_half_go_back_with_it_from_the_batch_and_from_the_lane() -> None:
    page = [record("a1", "A"), record("b1", "B"), record("a2", "A"), record("b2", "B"), record("a3", "A")]
    function, feed = ScriptedFunction(TooLarge(), BROKEN), ScriptedFeed(page)
    async with running(feed, work_of(Stage(), function, limits=BatchLimits(4, envelope=BARE))):
        await asyncio.sleep(1)

    assert function.payloads == ["a1,b1,a2,b2", "a1,b1"]
    assert feed.said == ["returned a1 b1 a2 b2 a3"]


@virtual
async def test_a_batch_that_is_too_large_is_split_and_counted() -> None:
    stage, function, feed = Stage(), ScriptedFunction(TooLarge()), ScriptedFeed(records("a b"))
    async with running(feed, work_of(stage, function)):
        await asyncio.sleep(1)

    assert function.payloads == ["a,b", "a", "b"]
    assert stage.value("batch_bisections_total") == 1


@virtual
async def test_a_throttled_batch_is_sent_again_and_the_lane_shows_that_it_is_blocked() -> None:
    stage, function = Stage(), ScriptedFunction(THROTTLED, THROTTLED, seconds=1)
    feed = ScriptedFeed(records("a"))
    async with running(feed, work_of(stage, function)):
        await asyncio.sleep(2.4)
        assert stage.value("mapping_state", state="blocked") == 0
        await asyncio.sleep(0.2)
        assert stage.value("mapping_state", state="blocked") == 1
        await asyncio.sleep(10)
        assert stage.value("mapping_state", state="blocked") == 0

    assert function.payloads == ["a", "a", "a"]
    assert feed.said == ["delivered a"]
    assert stage.value("batch_retries_total") == 2


@virtual
async def test_a_lane_waiting_for_its_retry_holds_no_place_of_the_gate() -> None:
    function, feed = ScriptedFunction(DOWN), ScriptedFeed(records("a"))
    work = work_of(Stage(), function)
    async with running(feed, work):
        await asyncio.sleep(0.25)
        assert function.payloads == ["a"]
        assert work.gate.in_use == 0


@virtual
async def test_records_past_their_age_are_given_up_and_counted() -> None:
    stage, function = Stage(), ScriptedFunction()
    old, fresh = record("old", timestamp=START - 120), record("fresh", timestamp=START - 1)
    policy = Policy(OnFailure.RETRY_FROM_LOWEST, maximum_record_age=60)
    feed = ScriptedFeed([old, fresh])
    async with running(feed, work_of(stage, function, policy=policy)):
        await asyncio.sleep(1)

    assert feed.said == ["gave up old: record_age_exceeded", "delivered fresh"]
    assert stage.value("dropped_events_total", reason="record_age_exceeded") == 1


@virtual
async def test_what_the_source_took_back_before_a_retry_is_not_sent_again() -> None:
    function, feed = ScriptedFunction(DOWN), ScriptedFeed(records("a b c"))
    async with running(feed, work_of(Stage(), function)):
        await asyncio.sleep(0.2)
        feed.lost = {"b"}
        await asyncio.sleep(5)

    assert function.payloads == ["a,b,c", "a,c"]
    assert feed.said == ["returned b", "delivered a c"]


@virtual
async def test_a_record_that_no_invoke_can_carry_goes_back_and_is_logged() -> None:
    stage, function = Stage(), ScriptedFunction()
    feed = ScriptedFeed(records("huge"))
    async with running(feed, work_of(stage, function, policy=Policy(OnFailure.RETURN, payload_limit=3))):
        await asyncio.sleep(1)

    assert function.payloads == []
    assert feed.said == ["returned huge"]
    assert [line["positions"] for line in stage.lines if line["event"] == "event too large for an invoke"] == ["huge"]


@virtual
async def test_batches_that_fail_one_after_the_other_are_paced_up_to_five_seconds() -> None:
    function = ScriptedFunction(*[BROKEN] * 7)
    feed = ScriptedFeed(*[records(str(number)) for number in range(8)])
    async with running(feed, work_of(Stage(), function)):
        await asyncio.sleep(60)

    assert [round(at - 1000.0, 3) for at, _ in function.invokes] == [0.0, 0.0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5]


@virtual
async def test_a_delivered_batch_ends_the_pacing() -> None:
    function = ScriptedFunction(BROKEN, BROKEN, Succeeded(b""), BROKEN)
    feed = ScriptedFeed(*[records(str(number)) for number in range(5)])
    async with running(feed, work_of(Stage(), function)):
        await asyncio.sleep(60)

    assert [round(at - 1000.0, 3) for at, _ in function.invokes] == [0.0, 0.0, 0.5, 0.5, 0.5]


# Blocked


@virtual
async def test_a_lane_is_blocked_from_the_second_failure_of_its_batch_in_a_row_to_its_end() -> None:
    stage, function = Stage(), ScriptedFunction(BROKEN, BROKEN, BROKEN)
    feed = ScriptedFeed(records("a b"))
    async with running(feed, work_of(stage, function, policy=STREAM)):
        stage.clock.now += 7
        await asyncio.sleep(0.2)
        assert (blocked(stage), feed.blocks) == (False, 0)
        await asyncio.sleep(0.4)
        assert (blocked(stage), feed.blocks) == (True, 1)
        reason = str(stage.observer.snapshot()["stateReason"])
        assert "a, b" in reason
        assert "ValueError: no such order" in reason
        assert iso(START + 7) in reason
        await asyncio.sleep(1)
        assert feed.blocks == 2
        await asyncio.sleep(5)
        assert not blocked(stage)

    assert feed.said == ["delivered a b"]


@virtual
async def test_a_lane_is_blocked_since_its_first_failure_not_its_second() -> None:
    stage, function = Stage(), ScriptedFunction(BROKEN, BROKEN)
    async with running(ScriptedFeed(records("a")), work_of(stage, function, policy=STREAM)):
        await asyncio.sleep(0.2)
        stage.clock.now += 60
        await asyncio.sleep(0.4)
        assert iso(START) in str(stage.observer.snapshot()["stateReason"])


@virtual
async def test_progress_within_a_batch_ends_the_block_and_counts_anew() -> None:
    """The function fails what it is given twice, does half of it, and fails the rest."""
    policy = Policy(OnFailure.RETRY_FROM_LOWEST, partial_responses=True)
    stage, function = Stage(), ScriptedFunction(BROKEN, BROKEN, reported("b"), BROKEN)
    feed = ScriptedFeed(records("a b"))
    async with running(feed, work_of(stage, function, policy=policy)):
        await asyncio.sleep(0.6)
        assert blocked(stage)
        await asyncio.sleep(1)
        assert feed.said == ["delivered a"]
        assert not blocked(stage)
        await asyncio.sleep(0.5)
        assert function.payloads == ["a,b", "a,b", "a,b", "b"]
        assert blocked(stage)
        await asyncio.sleep(1)
        assert not blocked(stage)

    assert feed.said == ["delivered a", "delivered b"]


@virtual
async def test_what_is_given_up_ends_the_block() -> None:
    policy = Policy(OnFailure.RETRY_FROM_LOWEST, maximum_retry_attempts=2)
    stage, function = Stage(), ScriptedFunction(BROKEN, BROKEN, BROKEN)
    feed = ScriptedFeed(records("a"))
    async with running(feed, work_of(stage, function, policy=policy)):
        await asyncio.sleep(1)
        assert blocked(stage)
        await asyncio.sleep(1)
        assert not blocked(stage)

    assert feed.said == ["gave up a: retry_attempts_exhausted"]


@virtual
async def test_halving_a_batch_is_no_failure_of_the_lane() -> None:
    policy = Policy(OnFailure.RETRY_FROM_LOWEST, bisect=True)
    stage, function = Stage(), ScriptedFunction(BROKEN, BROKEN, BROKEN)
    feed = ScriptedFeed(records("a b c d"))
    async with running(feed, work_of(stage, function, policy=policy)):
        await asyncio.sleep(0.1)
        assert function.payloads == ["a,b,c,d", "a,b", "a"]
        assert (blocked(stage), feed.blocks) == (False, 0)
        await asyncio.sleep(5)

    assert feed.said == ["delivered a", "delivered b", "delivered c d"]


@virtual
async def test_a_lane_whose_failed_batches_go_back_is_blocked_from_the_second_to_the_next_success() -> None:
    stage, function = Stage(), ScriptedFunction(BROKEN, BROKEN, BROKEN)
    feed = ScriptedFeed(records("a"), records("b"), records("c"), records("d"), pause=1)
    async with running(feed, work_of(stage, function)):
        await asyncio.sleep(1.1)
        assert not blocked(stage)
        await asyncio.sleep(1)
        assert blocked(stage)
        reason = str(stage.observer.snapshot()["stateReason"])
        assert "b" in reason
        assert "ValueError" in reason
        await asyncio.sleep(1.6)
        assert function.payloads == ["a", "b", "c"]
        assert blocked(stage)
        await asyncio.sleep(5)
        assert function.payloads == ["a", "b", "c", "d"]
        assert not blocked(stage)

    assert feed.said == ["returned a", "returned b", "returned c", "delivered d"]
    assert feed.blocks == 0


@virtual
async def test_a_batch_of_which_something_was_delivered_does_not_count_as_failed() -> None:
    stage, function = Stage(), ScriptedFunction(BROKEN, reported("b"), BROKEN, BROKEN)
    feed = ScriptedFeed(records("a"), records("b c"), records("d"), records("e"), pause=1)
    async with running(feed, work_of(stage, function, policy=PARTIAL)):
        await asyncio.sleep(3.1)
        assert function.payloads == ["a", "b,c", "d"]
        assert not blocked(stage)
        await asyncio.sleep(1)
        assert blocked(stage)


@virtual
async def test_a_lane_whose_failed_batches_went_elsewhere_is_well_again_after_a_while() -> None:
    stage, function = Stage(), ScriptedFunction(BROKEN, BROKEN)
    feed = ScriptedFeed(records("a"), records("b"))
    async with running(feed, work_of(stage, function)):
        await asyncio.sleep(1)
        assert blocked(stage)
        stage.clock.now += 599
        assert blocked(stage)
        stage.clock.now += 2
        assert not blocked(stage)


@virtual
async def test_the_lane_of_a_stream_that_is_blocked_stays_so_however_long_it_takes() -> None:
    stage, function = Stage(), ScriptedFunction(*[BROKEN] * 2, seconds=1)
    async with running(ScriptedFeed(records("a")), work_of(stage, function, policy=STREAM)):
        await asyncio.sleep(2.6)
        stage.clock.now += 1200
        assert blocked(stage)


# An ordered source


@virtual
async def test_a_stream_goes_on_only_when_its_batch_is_done() -> None:
    function = ScriptedFunction(BROKEN, THROTTLED, DOWN)
    feed = ScriptedFeed(records("a b"), records("c"))
    async with running(feed, work_of(Stage(), function, policy=STREAM)):
        await asyncio.sleep(60)

    assert [(round(at - 1000.0, 3), payload) for at, payload in function.invokes] == [
        (0.0, "a,b"),
        (0.5, "a,b"),
        (1.5, "a,b"),
        (3.5, "a,b"),
        (3.5, "c"),
    ]
    assert feed.said == ["delivered a b", "delivered c"]


@virtual
async def test_what_a_stream_gives_up_is_told_with_its_shard_its_position_and_its_last_failure() -> None:
    policy = Policy(OnFailure.RETRY_FROM_LOWEST, maximum_retry_attempts=1, bisect=True)
    answers = [BROKEN, Succeeded(b""), BROKEN, FunctionFailed("KeyError", "no price", "r-7", "3")]
    stage, function = Stage(), ScriptedFunction(*answers)
    feed = ScriptedFeed(records("a b"), records("c"))
    async with running(feed, work_of(stage, function, policy=policy)):
        await asyncio.sleep(10)

    assert function.payloads == ["a,b", "a", "b", "b", "c"]
    assert feed.said == ["delivered a", "gave up b: retry_attempts_exhausted", "delivered c"]
    (line,) = [line for line in stage.lines if line["event"] == "events dropped"]
    told = {key: line.get(key) for key in ("lane", "positions", "reason", "events", "invokes", "error_type")}
    assert told == {
        "lane": "poller-1",
        "positions": "b",
        "reason": "retry_attempts_exhausted",
        "events": 1,
        "invokes": 2,
        "error_type": "KeyError",
    }
    assert (line["error_message"], line["request_id"], line["executed_version"]) == ("no price", "r-7", "3")
    assert stage.value("dropped_events_total", reason="retry_attempts_exhausted") == 1


@virtual
async def test_a_failing_head_grows_too_old_and_what_is_fresh_goes_on() -> None:
    policy = Policy(OnFailure.RETRY_FROM_LOWEST, maximum_record_age=60)
    stage = Stage()

    class Failing(ScriptedFunction):
        async def invoke(self, payload: bytes, trace: str | None) -> Outcome:
            stage.clock.now += 20
            await super().invoke(payload, trace)
            return BROKEN if b"old" in payload else Succeeded(b"")

    function = Failing()
    old, fresh = record("old", timestamp=START - 10), record("fresh", timestamp=START + 30)
    feed = ScriptedFeed([old, fresh])
    async with running(feed, work_of(stage, function, policy=policy)):
        await asyncio.sleep(60)

    assert function.payloads == ["old,fresh", "old,fresh", "old,fresh", "fresh"]
    assert feed.said == ["gave up old: record_age_exceeded", "delivered fresh"]
    (line,) = [line for line in stage.lines if line["event"] == "events dropped"]
    assert (line["positions"], line["invokes"], line["error_type"]) == ("old", 3, "ValueError")


@virtual
async def test_the_age_of_a_batchs_newest_record_is_shown_for_its_lane() -> None:
    stage = Stage(KINESIS)
    batch = [record("a", timestamp=START - 90), record("b", timestamp=START - 30)]
    async with running(ScriptedFeed(batch), work_of(stage, ScriptedFunction(), policy=STREAM)):
        await asyncio.sleep(1)
        assert stage.value("iterator_age_seconds", shard="poller-1") == 30
    assert stage.value("iterator_age_seconds", shard="poller-1") is None


# Stopping


@virtual
async def test_a_stop_while_collecting_releases_what_is_held() -> None:
    function, feed = ScriptedFunction(), ScriptedFeed(records("a b"))
    async with running(feed, work_of(Stage(), function, limits=BatchLimits(10, 60.0, envelope=BARE))):
        await asyncio.sleep(1)
    assert elapsed() == pytest.approx(1)

    assert function.payloads == []
    assert feed.said == ["released a b"]


@virtual
async def test_a_stop_while_reading_lets_the_read_answer_and_releases_what_it_brought() -> None:
    function, feed = ScriptedFunction(), ScriptedFeed(records("a b"), pause=10)
    async with running(feed, work_of(Stage(), function)):
        await asyncio.sleep(1)
    assert elapsed() == pytest.approx(10)

    assert function.payloads == []
    assert feed.said == ["released a b"]


@virtual
async def test_a_stop_while_waiting_for_a_retry_releases_the_batch_and_what_is_behind_it() -> None:
    function, feed = ScriptedFunction(DOWN), ScriptedFeed(records("a b c"))
    async with running(feed, work_of(Stage(), function, limits=BatchLimits(2, envelope=BARE))):
        await asyncio.sleep(0.25)
    assert elapsed() == pytest.approx(0.25)

    assert function.payloads == ["a,b"]
    assert feed.said == ["released a b", "released c"]


@virtual
async def test_a_stop_while_waiting_for_the_gate_releases_the_batch() -> None:
    function, feed = ScriptedFunction(), ScriptedFeed(records("a b"))
    work = work_of(Stage(), function, concurrency=1)
    assert work.gate.try_enter()
    async with running(feed, work):
        await asyncio.sleep(1)

    assert function.payloads == []
    assert feed.said == ["released a b"]
    work.gate.leave()
    assert work.gate.in_use == 0


@virtual
async def test_a_stop_while_invoking_applies_the_answer_and_releases_the_rest() -> None:
    function, feed = ScriptedFunction(reported("b"), seconds=5), ScriptedFeed(records("a b c d"))
    work = work_of(Stage(), function, policy=PARTIAL, limits=BatchLimits(3, envelope=BARE))
    async with running(feed, work):
        await asyncio.sleep(1)
    assert elapsed() == pytest.approx(5)

    assert function.payloads == ["a,b,c"]
    assert feed.said == ["delivered a c", "returned b", "released d"]
    assert work.gate.in_use == 0


@virtual
async def test_a_stop_while_invoking_a_half_releases_the_other_one() -> None:
    function, feed = ScriptedFunction(TooLarge(), seconds=5), ScriptedFeed(records("a b"))
    async with running(feed, work_of(Stage(), function)):
        await asyncio.sleep(7)
    assert elapsed() == pytest.approx(10)

    assert function.payloads == ["a,b", "a"]
    assert feed.said == ["delivered a", "released b"]


@virtual
async def test_a_stop_while_invoking_what_fails_does_not_begin_a_retry() -> None:
    function, feed = ScriptedFunction(DOWN, seconds=5), ScriptedFeed(records("a"))
    async with running(feed, work_of(Stage(), function)):
        await asyncio.sleep(1)
    assert elapsed() == pytest.approx(5)

    assert function.payloads == ["a"]
    assert feed.said == ["released a"]


@pytest.mark.parametrize("policy", [Policy(OnFailure.RETURN), STREAM])
@virtual
async def test_what_a_function_may_be_at_work_on_is_left_to_its_source_at_a_stop(policy: Policy) -> None:
    function, feed = ScriptedFunction(LOST), ScriptedFeed(records("a b c"))
    work = work_of(Stage(), function, policy=policy, limits=BatchLimits(2, envelope=BARE))
    async with running(feed, work):
        await asyncio.sleep(0.25)
    assert elapsed() == pytest.approx(0.25)

    assert function.payloads == ["a,b"]
    assert feed.said == ["returned a b", "released c"]


@virtual
async def test_the_half_that_may_be_at_work_is_left_to_its_source_and_the_other_one_released() -> None:
    function, feed = ScriptedFunction(TooLarge(), LOST), ScriptedFeed(records("a b c d"))
    async with running(feed, work_of(Stage(), function)):
        await asyncio.sleep(0.25)

    assert function.payloads == ["a,b,c,d", "a,b"]
    assert feed.said == ["returned a b", "released c d"]


@virtual
async def test_an_answer_ends_the_doubt() -> None:
    function, feed = ScriptedFunction(LOST, DOWN, LOST), ScriptedFeed(records("a b"), records("c"))
    async with running(feed, work_of(Stage(), function, policy=STREAM)):
        await asyncio.sleep(60)

    assert feed.said == ["delivered a b", "delivered c"]


@pytest.mark.parametrize("later", [THROTTLED, DOWN])
@virtual
async def test_a_retry_that_never_reached_the_function_leaves_the_doubt_about_the_first_attempt(
    later: Throttled | Unavailable,
) -> None:
    function, feed = ScriptedFunction(LOST, later), ScriptedFeed(records("a"))
    async with running(feed, work_of(Stage(), function)):
        await asyncio.sleep(1)

    assert function.payloads == ["a", "a"]
    assert feed.said == ["returned a"]


@virtual
async def test_a_stop_while_the_gate_is_waited_for_after_a_lost_answer_leaves_the_batch_to_its_source() -> None:
    function, feed = ScriptedFunction(LOST), ScriptedFeed(records("a"))
    work = work_of(Stage(), function, concurrency=1)
    async with running(feed, work):
        await asyncio.sleep(0.1)
        assert work.gate.try_enter()
        await asyncio.sleep(5)

    assert function.payloads == ["a"]
    assert feed.said == ["returned a"]
    work.gate.leave()


@virtual
async def test_a_cancelled_lane_leaves_no_place_behind_at_whatever_moment() -> None:
    for ticks in range(12):
        function, feed = ScriptedFunction(), ScriptedFeed(records("a"))
        work = work_of(Stage(), function, concurrency=1)
        assert work.gate.try_enter()
        lane = BatchLane("poller-1", feed, work)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(lane.run(), name="lane")
            await asyncio.sleep(1)
            work.gate.leave()
            for _ in range(ticks):
                await asyncio.sleep(0)
            task.cancel()

        assert work.gate.in_use == 0, f"cancelled {ticks} turns after a place was free"


@virtual
async def test_an_ended_lane_holds_nothing_and_is_not_blocked() -> None:
    stage, function = Stage(), ScriptedFunction(DOWN, DOWN, DOWN)
    async with running(ScriptedFeed(records("a")), work_of(stage, function)):
        await asyncio.sleep(3)
        stage.clock.now += 100
        assert stage.value("oldest_unsettled_age_seconds") == 100
        assert stage.value("mapping_state", state="blocked") == 1

    assert stage.value("oldest_unsettled_age_seconds") == 0
    assert stage.value("mapping_state", state="blocked") == 0


@pytest.mark.parametrize(("identifiers", "shown"), [("a", "a"), ("a b c d", "a, b, c, d"), ("a b c d e", "a .. e")])
def test_positions_name_few_records_and_the_ends_of_many(identifiers: str, shown: str) -> None:
    assert positions(records(identifiers)) == shown


@pytest.mark.parametrize(
    ("offsets", "shown"),
    [([15], "orders-0@15"), ([1, 2], "orders-0@1, orders-0@2"), (range(9), "orders-0@0 .. orders-0@8")],
)
def test_a_position_in_a_partition_is_its_offset(offsets: Sequence[int], shown: str) -> None:
    assert positions([Record(("orders-0", offset), b"{}") for offset in offsets]) == shown


# Stopping with what was read sent once


@pytest.mark.parametrize(("answer", "back"), [(DOWN, "released a1 b1 a2"), (LOST, "returned a1 b1; released a2")])
@virtual
async def test_what_goes_back_takes_with_it_what_the_lane_still_holds_of_its_keys(answer: object, back: str) -> None:
    page = [record("a1", "A"), record("b1", "B"), record("a2", "A"), record("c1", "C")]
    function, feed = ScriptedFunction(answer), ScriptedFeed(page)
    work = work_of(Stage(), function, limits=BatchLimits(2, envelope=BARE))
    work.ending.sends_what_was_read = True
    async with running(feed, work):
        await asyncio.sleep(0.1)

    assert function.payloads == ["a1,b1", "c1"]
    assert feed.said == [*back.split("; "), "delivered c1"]


@virtual
async def test_a_second_stop_that_sends_nothing_more_is_obeyed() -> None:
    function, feed = ScriptedFunction(seconds=5), ScriptedFeed(records("a b c"))
    work = work_of(Stage(), function, limits=BatchLimits(1, envelope=BARE))
    work.ending.sends_what_was_read = True
    async with running(feed, work) as lane:
        await asyncio.sleep(1)
        lane.stop()
        await asyncio.sleep(5)
        work.ending.sends_what_was_read = False
    assert elapsed() == pytest.approx(10)

    assert function.payloads == ["a", "b"]
    assert feed.said == ["delivered a", "delivered b", "released c"]
