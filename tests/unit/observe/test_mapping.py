"""Each fact about a mapping reaches its metric, its log line and its status."""

from collections.abc import Callable

import pytest

from outboard.core.outcome import FunctionFailed, Outcome, Succeeded, Throttled, TooLarge, Unavailable
from outboard.core.records import DropReason
from outboard.observe.facts import InvokeOutcome, PositionReset
from outboard.observe.mapping import MappingObserver, MappingState
from outboard.observe.metrics import Metrics
from tests.unit.observe.stage import CLICKS, ORDERS, START, Clock, Stage, recording_log

BROKEN = FunctionFailed("ValueError", "no such order", request_id="r-1")


@pytest.fixture
def stage() -> Stage:
    return Stage()


def fail(stage: Stage, lane: str = "poller-1", outcome: Outcome = BROKEN) -> None:
    stage.observer.invoked(outcome, 10, 0.5, lane=lane, positions="m-1 .. m-10")


def succeed(stage: Stage, lane: str = "poller-1") -> None:
    stage.observer.invoked(Succeeded(b"null", "r-2"), 10, 0.5, lane=lane, positions="m-1 .. m-10")


def test_a_read_with_records_is_counted(stage: Stage) -> None:
    stage.observer.polled(10, 4321, 0.02)

    assert stage.value("polled_events_total") == 10
    assert stage.value("polled_bytes_total") == 4321
    assert [stage.value("polls_total", result=result) for result in ("records", "empty", "error")] == [1, 0, 0]
    assert stage.value("poll_duration_seconds_sum") == 0.02
    assert stage.value("last_successful_poll_timestamp_seconds") == START
    assert stage.lines == []


def test_an_empty_read_is_counted_as_one(stage: Stage) -> None:
    stage.observer.polled(0, 0, 20.0)

    assert [stage.value("polls_total", result=result) for result in ("records", "empty", "error")] == [0, 1, 0]
    assert stage.value("last_successful_poll_timestamp_seconds") == START


def test_a_failed_read_is_counted_by_class_logged_and_shown(stage: Stage) -> None:
    stage.observer.polling_failed("QueueDoesNotExist", "The queue does not exist.")

    assert stage.value("polls_total", result="error") == 1
    assert stage.value("polling_errors_total", error="not_found") == 1
    assert stage.lines == [
        {
            "event": "polling failed",
            "log_level": "warning",
            "mapping": "orders",
            "error_type": "QueueDoesNotExist",
            "error_message": "The queue does not exist.",
        }
    ]
    assert stage.observer.snapshot()["lastError"] == {
        "at": "2023-11-14T22:13:20.000Z",
        "type": "QueueDoesNotExist",
        "message": "The queue does not exist.",
    }


def test_failing_reads_are_logged_once_a_minute_for_each_error(stage: Stage) -> None:
    for _ in range(121):
        stage.observer.polling_failed("AccessDenied", "no")
        stage.clock.now += 1.0
    stage.observer.polling_failed("TimedOut", "late")

    assert stage.events("warning").count("polling failed") == 4
    assert [
        line.get("withheld") for line in stage.lines if line["log_level"] == "warning" and "error_type" in line
    ] == [
        None,
        59,
        59,
        None,
    ]


def test_the_second_failed_read_in_a_row_blocks_the_mapping_and_the_next_success_ends_it(stage: Stage) -> None:
    stage.observer.state(MappingState.ENABLED, "")
    states = [stage.observer.snapshot()["state"]]
    for _ in range(2):
        stage.observer.polling_failed("AccessDenied", "no")
        states.append(stage.observer.snapshot()["state"])
    stage.observer.polled(0, 0, 0.1)

    assert [*states, stage.observer.snapshot()["state"]] == ["Enabled", "Enabled", "blocked", "Enabled"]
    assert stage.observer.snapshot()["lastError"] is None
    assert "polling recovered" in stage.events("info")


def test_a_source_that_cannot_be_opened_blocks_the_mapping_at_once(stage: Stage) -> None:
    stage.observer.source_failed("QueueDoesNotExist", "The queue does not exist.")

    assert stage.observer.snapshot()["state"] == "blocked"
    assert stage.observer.snapshot()["stateReason"] == (
        "Reading from the source has failed since 2023-11-14T22:13:20.000Z: "
        "QueueDoesNotExist: The queue does not exist."
    )
    assert stage.value("polling_errors_total", error="not_found") == 1
    assert stage.value("polls_total", result="error") == 0


def test_a_crash_is_logged_with_its_error(stage: Stage) -> None:
    error = RuntimeError("defect")
    stage.observer.crashed(error)

    assert [(line["log_level"], line["exc_info"]) for line in stage.lines] == [("error", error)]


def test_a_batch_that_is_sent_is_counted_and_measured(stage: Stage) -> None:
    stage.observer.invoking(10, 5000)

    assert stage.value("invoked_events_total") == 10
    assert stage.value("batch_size_events_sum") == 10
    assert stage.value("batch_payload_bytes_sum") == 5000


def test_a_success_is_one_debug_line(stage: Stage) -> None:
    succeed(stage)

    assert stage.value("invocations_total", outcome="success") == 1
    assert stage.value("invoke_duration_seconds_sum") == 0.5
    assert stage.lines == [
        {
            "event": "batch delivered",
            "log_level": "debug",
            "mapping": "orders",
            "lane": "poller-1",
            "events": 10,
            "seconds": 0.5,
            "request_id": "r-2",
            "positions": "m-1 .. m-10",
        }
    ]


@pytest.mark.parametrize(
    ("outcome", "ended", "error"),
    [
        (BROKEN, "function_error", "function_error"),
        (FunctionFailed("Sandbox.Timedout", "late", timed_out=True), "timeout", "timeout"),
        (Throttled("ConcurrentInvocationLimitExceeded"), "throttled", "throttled"),
        (TooLarge("big"), "too_large", "too_large"),
        (Unavailable("ConnectionResetError", "reset"), "unavailable", "unreachable"),
        (Unavailable("AccessDeniedException", "no"), "unavailable", "access_denied"),
    ],
)
def test_a_failed_invoke_is_counted_once_under_its_outcome_and_error(
    stage: Stage, outcome: Outcome, ended: str, error: str
) -> None:
    fail(stage, outcome=outcome)

    outcomes = {each.value: stage.value("invocations_total", outcome=each.value) for each in InvokeOutcome}
    assert {name: count for name, count in outcomes.items() if count} == {ended: 1}
    assert stage.value("invoke_errors_total", error=error) == 1
    assert stage.value("failed_invoke_events_total") == 10
    assert stage.value("invoke_duration_seconds_count") == 1


def test_a_failed_invoke_is_logged_with_all_that_finds_it_again(stage: Stage) -> None:
    fail(stage)

    assert stage.lines == [
        {
            "event": "invoke failed",
            "log_level": "warning",
            "mapping": "orders",
            "lane": "poller-1",
            "outcome": "function_error",
            "events": 10,
            "request_id": "r-1",
            "positions": "m-1 .. m-10",
            "error_type": "ValueError",
            "error_message": "no such order",
        }
    ]


def test_a_lane_that_fails_again_and_again_writes_three_lines_and_then_one_a_minute(stage: Stage) -> None:
    for _ in range(600):
        fail(stage)
        stage.clock.now += 1.0

    # 600 seconds: three at once, then one for each minute that begins before the last failure.
    assert stage.events("warning").count("invoke failed") == 3 + 9
    assert stage.events("debug").count("invoke failed") == 600 - 12


def test_one_lanes_flood_does_not_silence_another(stage: Stage) -> None:
    for _ in range(10):
        fail(stage, "poller-1")
    fail(stage, "poller-2")

    assert [line["lane"] for line in stage.lines if line["log_level"] == "warning"] == ["poller-1"] * 3 + ["poller-2"]


def test_a_partial_failure_counts_what_the_function_reported(stage: Stage) -> None:
    stage.observer.partially_failed(2, 8, 0.5, lane="poller-1", positions="m-3, m-4", request_id="r-3")

    assert stage.value("invocations_total", outcome="partial_failure") == 1
    assert stage.value("invocations_total", outcome="success") == 0
    assert stage.value("batch_item_failures_total") == 2
    assert stage.value("failed_invoke_events_total") == 2
    assert (stage.lines[0]["positions"], stage.lines[0]["request_id"]) == ("m-3, m-4", "r-3")
    assert stage.observer.snapshot()["lastError"] == {
        "at": "2023-11-14T22:13:20.000Z",
        "type": "BatchItemFailures",
        "message": "The function reported 2 of 10 events as failed.",
    }


def test_an_invalid_response_fails_all_its_events(stage: Stage) -> None:
    stage.observer.response_invalid("The function named m-99.", 10, 0.5, lane="poller-1", positions="m-1 .. m-10")

    assert stage.value("invocations_total", outcome="invalid_response") == 1
    assert stage.value("invoke_errors_total", error="invalid_response") == 1
    assert stage.value("failed_invoke_events_total") == 10
    assert stage.lines[0]["error_message"] == "The function named m-99."


@pytest.mark.parametrize(
    ("tell", "metric"),
    [
        (lambda observer: observer.retrying(2), "batch_retries_total"),
        (MappingObserver.bisected, "batch_bisections_total"),
        (lambda observer: observer.filtered_out(1), "filtered_out_events_total"),
        (lambda observer: observer.deleted(1), "deleted_events_total"),
        (lambda observer: observer.delete_failed(1, "ReceiptHandleIsInvalid", "expired"), "failed_delete_events_total"),
        (lambda observer: observer.returned(1), "returned_events_total"),
        (lambda observer: observer.handed_back(1), "handed_back_events_total"),
        (lambda observer: observer.visibility_extended(1), "visibility_extensions_total"),
        (lambda observer: observer.visibility_lost(1, "expired"), "lost_visibility_events_total"),
    ],
)
def test_each_fate_has_its_counter(stage: Stage, tell: Callable[[MappingObserver], None], metric: str) -> None:
    tell(stage.observer)

    assert stage.value(metric) == 1


def test_latency_is_that_of_the_oldest_event_of_a_delivered_batch(stage: Stage) -> None:
    stage.observer.delivered(10, START - 3.0)

    assert stage.value("delivered_events_total") == 10
    assert stage.value("event_latency_seconds_sum") == 3.0
    assert stage.value("event_latency_seconds_count") == 1


def test_events_without_a_timestamp_have_no_latency_and_a_skewed_clock_gives_none_below_zero(stage: Stage) -> None:
    stage.observer.delivered(1, 0.0)
    stage.observer.delivered(1, START + 5.0)

    assert stage.value("event_latency_seconds_count") == 1
    assert stage.value("event_latency_seconds_sum") == 0.0


def test_every_drop_is_logged_with_its_positions(stage: Stage) -> None:
    for _ in range(20):
        stage.observer.dropped(1, DropReason.PAYLOAD_TOO_LARGE, "m-7", 0)

    assert stage.value("dropped_events_total", reason="payload_too_large") == 20
    assert stage.events("error") == ["events dropped"] * 20
    assert (stage.lines[0]["positions"], stage.lines[0]["reason"]) == ("m-7", "payload_too_large")


def test_a_failed_delete_is_logged_with_its_reason(stage: Stage) -> None:
    stage.observer.delete_failed(3, "ReceiptHandleIsInvalid", "The receipt handle has expired.")

    assert [(line["error_type"], line["events"]) for line in stage.lines] == [("ReceiptHandleIsInvalid", 3)]


@pytest.mark.parametrize(
    ("operation", "recover"),
    [("DeleteMessage", MappingObserver.deleted), ("ChangeMessageVisibility", MappingObserver.visibility_extended)],
)
def test_a_failed_call_shows_until_one_like_it_succeeds_and_is_no_failed_read(
    stage: Stage, operation: str, recover: Callable[[MappingObserver, int], None]
) -> None:
    stage.observer.call_failed(operation, "AccessDenied", "not allowed")
    shown = stage.observer.snapshot()["lastError"]
    recover(stage.observer, 0)
    still = stage.observer.snapshot()["lastError"]
    recover(stage.observer, 1)

    assert (
        shown
        == still
        == {"at": "2023-11-14T22:13:20.000Z", "type": "AccessDenied", "message": f"{operation}: not allowed"}
    )
    assert stage.observer.snapshot()["lastError"] is None
    assert stage.value("polls_total", result="error") == 0
    assert stage.events("warning") == ["call failed"]


def test_a_success_in_any_lane_ends_the_last_error_but_for_a_blocked_one(stage: Stage) -> None:
    fail(stage, "poller-1")
    succeed(stage, "poller-2")
    assert stage.observer.snapshot()["lastError"] is None

    fail(stage, "poller-1")
    stage.observer.lane_blocked("poller-1", START, BROKEN)
    succeed(stage, "poller-2")
    assert stage.observer.snapshot()["lastError"] is not None

    succeed(stage, "poller-1")
    assert stage.observer.snapshot()["lastError"] is None


def test_a_blocked_lane_shows_as_the_state_with_its_reason_until_it_is_out_of_the_way(stage: Stage) -> None:
    stage.observer.state(MappingState.ENABLED, "")
    fail(stage)
    stage.observer.lane_blocked("poller-1", START - 60.0, BROKEN)

    snapshot = stage.observer.snapshot()
    assert (snapshot["state"], snapshot["stateReason"]) == (
        "blocked",
        (
            "The batch in lane poller-1 has failed since 2023-11-14T22:12:20.000Z: "
            "ValueError: no such order (request r-1)"
        ),
    )
    assert [stage.value("mapping_state", state=state) for state in ("Enabled", "blocked")] == [0, 1]
    assert "mapping blocked" in stage.events("warning")

    stage.observer.lane_unblocked("poller-1")
    assert stage.observer.snapshot()["state"] == "Enabled"
    assert [stage.value("mapping_state", state=state) for state in ("Enabled", "blocked")] == [1, 0]


def test_a_lane_that_is_closed_no_longer_blocks(stage: Stage) -> None:
    stage.observer.state(MappingState.ENABLED, "")
    stage.observer.lane_blocked("poller-1", START, BROKEN)
    stage.observer.holding("poller-1", START - 9.0)

    stage.observer.lane_closed("poller-1")

    assert stage.observer.snapshot()["state"] == "Enabled"
    assert stage.observer.snapshot()["lastError"] is None
    assert stage.value("oldest_unsettled_age_seconds") == 0.0


def test_a_mapping_is_in_exactly_one_state(stage: Stage) -> None:
    seen = []
    for state in MappingState:
        stage.observer.state(state, "so")
        seen.append({each.value: stage.value("mapping_state", state=each.value) for each in MappingState})

    assert seen == [{each.value: float(each is state) for each in MappingState} for state in MappingState]


def test_a_change_of_state_is_logged_once_and_a_failed_one_as_an_error(stage: Stage) -> None:
    for state, reason in (
        (MappingState.ENABLED, ""),
        (MappingState.ENABLED, ""),
        (MappingState.FAILED, "BatchSize: too big."),
    ):
        stage.observer.state(state, reason)

    assert [(line["log_level"], line["state"], line["reason"]) for line in stage.lines] == [
        ("info", "Enabled", ""),
        ("error", "Failed", "BatchSize: too big."),
    ]


def test_the_age_of_what_is_held_is_worked_out_when_it_is_asked_for(stage: Stage) -> None:
    stage.observer.holding("poller-1", START - 5.0)
    stage.clock.now += 10.0

    assert stage.value("oldest_unsettled_age_seconds") == 15.0
    assert stage.observer.snapshot()["lagSeconds"] == 15.0

    stage.observer.holding("poller-1", None)
    assert stage.value("oldest_unsettled_age_seconds") == 0.0


def test_the_lag_of_a_stream_counts_what_waits_and_what_is_not_read_yet() -> None:
    stage = Stage(CLICKS)
    seen = []
    stage.observer.behind("shard-1", 30.0)
    stage.observer.waiting("shard-2", START - 40.0)
    stage.observer.holding("shard-3", START - 50.0)
    stage.clock.now += 10.0
    for caught_up in (
        lambda: stage.observer.holding("shard-3", None),
        lambda: stage.observer.waiting("shard-2", None),
        lambda: stage.observer.behind("shard-1", 0.0),
    ):
        seen.append((stage.value("oldest_unsettled_age_seconds"), stage.observer.snapshot()["lagSeconds"]))
        caught_up()

    assert seen == [(60.0, 60.0), (50.0, 50.0), (40.0, 40.0)]
    assert stage.value("oldest_unsettled_age_seconds") == 0.0


def test_a_shard_has_its_gauges_until_its_lane_is_closed() -> None:
    stage = Stage(CLICKS)
    stage.observer.behind("shard-1", 12.5)
    stage.observer.invoking(2, 500, lane="shard-1", newest=START - 3.0)
    stage.observer.behind("shard-2", 0.0)
    stage.observer.invoking(2, 500, lane="shard-2", newest=START + 1.0)

    names = ("behind_latest_seconds", "iterator_age_seconds")
    assert [stage.value(name, shard="shard-1") for name in names] == [12.5, 3.0]
    assert [stage.value(name, shard="shard-2") for name in names] == [0.0, 0.0]

    stage.observer.lane_closed("shard-1")
    assert [stage.value(name, shard="shard-1") for name in names] == [None, None]
    assert [stage.value(name, shard="shard-2") for name in names] == [0.0, 0.0]
    assert stage.value("oldest_unsettled_age_seconds") == 0.0


def test_a_queue_has_no_gauges_of_shards(stage: Stage) -> None:
    stage.observer.invoking(2, 500, lane="poller-1", newest=START - 3.0)

    assert b"iterator_age" not in stage.metrics.expose()[0]


def test_shards_are_counted_and_their_end_is_logged() -> None:
    stage = Stage(CLICKS)
    stage.observer.shards(4, 2)
    stage.observer.shard_done("shard-1")

    assert [stage.value(name) for name in ("shards_owned", "shards_waiting", "shards_done_total")] == [4, 2, 1]
    assert stage.lines == [{"event": "shard done", "log_level": "info", "mapping": "clicks", "shard": "shard-1"}]


def test_a_position_that_is_lost_is_counted_by_reason_and_logged() -> None:
    stage = Stage(CLICKS)
    stage.observer.position_reset("shard-1", PositionReset.UNKNOWN_SEQUENCE_NUMBER)

    assert [stage.value("position_resets_total", reason=reason.value) for reason in PositionReset] == [1, 0, 0, 0]
    assert stage.lines == [
        {
            "event": "position reset",
            "log_level": "warning",
            "mapping": "clicks",
            "shard": "shard-1",
            "reason": "unknown_sequence_number",
        }
    ]


def test_a_blocked_shard_says_since_when_which_records_and_which_error() -> None:
    stage = Stage(CLICKS)
    stage.observer.state(MappingState.ENABLED, "")
    fail(stage, "shard-1")
    stage.observer.lane_blocked("shard-1", START - 60.0, BROKEN, "4965 .. 4971")
    stage.clock.now += 86_400.0

    assert stage.shown() == (
        "blocked",
        (
            "The batch in shard shard-1 (4965 .. 4971) has failed since 2023-11-14T22:12:20.000Z: "
            "ValueError: no such order (request r-1)"
        ),
    )


def test_a_call_of_ones_own_choice_shows_until_it_succeeds() -> None:
    stage = Stage(CLICKS)
    stage.observer.call_failed("ListShards", "LimitExceededException", "rate exceeded")
    shown = stage.observer.snapshot()["lastError"]
    stage.observer.call_succeeded("ListShards")

    assert shown is not None
    assert stage.observer.snapshot()["lastError"] is None


def test_gauges_show_what_was_last_said(stage: Stage) -> None:
    stage.observer.pollers(5)
    stage.observer.concurrency(3, 20)
    stage.observer.buffered(70, 123_456)

    names = ("pollers", "concurrency_in_use", "concurrency_limit", "buffered_events", "buffered_bytes")
    assert [stage.value(name) for name in names] == [5, 3, 20, 70, 123_456]


def test_a_snapshot_has_the_shape_that_is_promised(stage: Stage) -> None:
    stage.observer.state(MappingState.ENABLED, "as configured")
    stage.observer.polled(10, 5000, 0.1)
    stage.observer.concurrency(1, 5)
    stage.observer.invoking(10, 5000)
    stage.observer.dropped(1, DropReason.PAYLOAD_TOO_LARGE, "m-1", 0)
    stage.observer.dropped(2, DropReason.RECORD_AGE_EXCEEDED, "m-2, m-3", 1)

    assert stage.observer.snapshot() == {
        "name": "orders",
        "uuid": ORDERS.uuid,
        "sourceType": "sqs",
        "state": "Enabled",
        "stateReason": "as configured",
        "lastError": None,
        "inFlight": 1,
        "lagSeconds": 0.0,
        "lagRecords": None,
        "counts": {
            "polledEvents": 10,
            "filteredOutEvents": 0,
            "invokedEvents": 10,
            "failedInvokeEvents": 0,
            "deliveredEvents": 0,
            "deletedEvents": 0,
            "returnedEvents": 0,
            "handedBackEvents": 0,
            "droppedEvents": 3,
            "invocations": 0,
            "invokeErrors": 0,
            "batchItemFailures": 0,
            "batchRetries": 0,
            "pollingErrors": 0,
        },
    }


def test_a_text_that_cannot_be_encoded_does_not_spoil_the_status(stage: Stage) -> None:
    fail(stage, outcome=FunctionFailed("Value\ud800Error", "x" * 5000))

    failure = stage.observer.snapshot()["lastError"]
    assert isinstance(failure, dict)
    assert (failure["type"], len(failure["message"])) == ("Value?Error", 1001)


def test_a_closed_mapping_is_gone_from_the_metrics(stage: Stage) -> None:
    stage.observer.close()

    assert b'mapping="orders"' not in stage.metrics.expose()[0]


def test_a_success_writes_nothing_where_the_level_is_info() -> None:
    log, lines = recording_log("info")
    observer = MappingObserver(ORDERS, Metrics(), log, Clock())
    observer.invoked(Succeeded(b"null"), 10, 0.1, lane="poller-1", positions="m-1")

    assert lines == []
