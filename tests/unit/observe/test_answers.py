"""What the function made of the batches: in the log, and in AWS's words."""

from outboard.core.outcome import FunctionFailed, Succeeded, Throttled
from outboard.core.records import DropReason
from tests.unit.observe.stage import CLICKS, Stage

SHARD = "shardId-000000000001"
BROKEN = FunctionFailed("ValueError", "no such order", request_id="r-1")


def results(stage: Stage) -> list[str]:
    """The last result after each of several invokes."""
    seen = [stage.observer.last_result]
    stage.observer.invoked(Succeeded(b"null"), 1, 0.1, lane=SHARD, positions="1")
    seen.append(stage.observer.last_result)
    stage.observer.invoked(BROKEN, 1, 0.1, lane=SHARD, positions="2")
    seen.append(stage.observer.last_result)
    stage.observer.invoked(Succeeded(b"null"), 1, 0.1, lane=SHARD, positions="2")
    stage.observer.partially_failed(1, 1, 0.1, lane=SHARD, positions="3")
    seen.append(stage.observer.last_result)
    stage.observer.invoked(Succeeded(b"null"), 1, 0.1, lane=SHARD, positions="3")
    stage.observer.response_invalid("not JSON", 1, 0.1, lane=SHARD, positions="4")
    seen.append(stage.observer.last_result)
    return seen


def test_the_last_result_is_in_awss_words() -> None:
    problem = "PROBLEM: Function call failed"

    assert results(Stage(CLICKS)) == ["No records processed", "OK", problem, problem, problem]


def test_a_throttle_is_a_problem_too() -> None:
    stage = Stage(CLICKS)
    stage.observer.invoked(Throttled("TooManyRequests"), 1, 0.1, lane=SHARD, positions="1")

    assert stage.observer.last_result == "PROBLEM: Function call failed"


def test_lines_about_a_streams_batches_name_the_shard() -> None:
    stage = Stage(CLICKS)
    stage.observer.invoked(Succeeded(b"null", "r-2"), 2, 0.1, lane=SHARD, positions="1, 2")
    stage.observer.invoked(BROKEN, 2, 0.1, lane=SHARD, positions="3, 4")

    assert [(line["event"], line["shard"], line["positions"], line["request_id"]) for line in stage.lines] == [
        ("batch delivered", SHARD, "1, 2", "r-2"),
        ("invoke failed", SHARD, "3, 4", "r-1"),
    ]


def test_a_dropped_record_is_logged_with_all_that_finds_it_again() -> None:
    stage = Stage(CLICKS)
    last = FunctionFailed("ValueError", "no such order", request_id="r-1", executed_version="7")
    stage.observer.dropped(3, DropReason.RETRY_ATTEMPTS_EXHAUSTED, "4965 .. 4967", 4, lane=SHARD, last=last)

    assert stage.lines == [
        {
            "event": "events dropped",
            "log_level": "error",
            "mapping": "clicks",
            "shard": SHARD,
            "events": 3,
            "reason": "retry_attempts_exhausted",
            "positions": "4965 .. 4967",
            "invokes": 4,
            "error_type": "ValueError",
            "error_message": "no such order",
            "request_id": "r-1",
            "executed_version": "7",
        }
    ]


def test_a_record_that_no_invoke_failed_is_dropped_without_an_error() -> None:
    stage = Stage(CLICKS)
    stage.observer.dropped(1, DropReason.RECORD_AGE_EXCEEDED, "4965", 1, lane=SHARD)

    assert stage.lines[0].keys() & {"error_type", "error_message", "request_id", "executed_version"} == set()
