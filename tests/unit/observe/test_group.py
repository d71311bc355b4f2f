"""What a consumer group tells: its rebalances, its commits, how far behind it is, and what was lost."""

import pytest

from outboard.core.outcome import FunctionFailed
from outboard.observe.facts import PositionReset
from outboard.observe.mapping import MappingState
from tests.unit.observe.stage import CLICKS, START, TRADES, Stage


@pytest.fixture
def stage() -> Stage:
    return Stage(TRADES)


def test_a_rebalance_is_counted_says_what_is_ours_and_is_one_line(stage: Stage) -> None:
    stage.observer.rebalanced(8, 0.123456)
    stage.observer.rebalanced(3, 4.0)

    assert (stage.value("rebalances_total"), stage.value("partitions_owned")) == (2, 3)
    assert stage.lines[0] == {
        "event": "rebalanced",
        "log_level": "info",
        "mapping": "trades",
        "partitions": 8,
        "seconds": 0.123,
    }
    assert len(stage.lines) == 2


def test_the_lag_of_each_partition_is_a_gauge_and_their_sum_is_shown(stage: Stage) -> None:
    stage.observer.offset_lag("0", 7)
    stage.observer.offset_lag("1", 5)
    stage.observer.offset_lag("0", 2)

    assert [stage.value("offset_lag", partition=partition) for partition in ("0", "1")] == [2, 5]
    assert stage.observer.snapshot()["lagRecords"] == 7


def test_a_group_that_has_caught_up_has_no_lag_and_one_that_has_not_read_has_none_to_show(stage: Stage) -> None:
    unknown = stage.observer.snapshot()["lagRecords"]
    stage.observer.offset_lag("0", 0)

    assert (unknown, stage.observer.snapshot()["lagRecords"]) == (None, 0)


def test_a_partition_that_went_elsewhere_is_no_longer_counted(stage: Stage) -> None:
    stage.observer.offset_lag("0", 7)
    stage.observer.offset_lag("1", 5)
    stage.observer.lane_closed("0")

    assert [stage.value("offset_lag", partition=partition) for partition in ("0", "1")] == [None, 5]
    assert stage.observer.snapshot()["lagRecords"] == 5


def test_a_source_without_offsets_has_no_lag_in_records() -> None:
    stage = Stage(CLICKS)
    stage.observer.offset_lag("shard-1", 7)

    assert stage.observer.snapshot()["lagRecords"] is None
    assert b"offset_lag" not in stage.metrics.expose()[0]


def test_a_commit_is_counted_by_what_it_moves_and_ends_what_kept_it_from_being_made(stage: Stage) -> None:
    stage.observer.state(MappingState.ENABLED, "")
    stage.observer.checkpoint_failed("GroupAuthorizationFailedError", "not allowed")
    stage.clock.now += 9.0
    unsaved = stage.value("unsaved_checkpoint_age_seconds")
    stage.observer.committed(500)
    stage.observer.committed(0)

    assert stage.value("committed_events_total") == 500
    assert stage.value("commit_errors_total", error="access_denied") == 1
    assert (unsaved, stage.value("unsaved_checkpoint_age_seconds")) == (9.0, 0.0)
    assert stage.value("last_checkpoint_timestamp_seconds") == START + 9.0
    assert stage.shown() == ("Enabled", "")
    assert [line["event"] for line in stage.lines[1:]] == ["checkpoint failed", "checkpoints saved again"]


def test_what_was_sent_for_a_partition_that_went_elsewhere_is_counted_and_logged(stage: Stage) -> None:
    stage.observer.discarded(500, "3")

    assert stage.value("discarded_events_total") == 500
    assert stage.lines == [
        {
            "event": "events discarded",
            "log_level": "warning",
            "mapping": "trades",
            "events": 500,
            "partition": "3",
        }
    ]


def test_a_partition_that_discards_again_and_again_does_not_silence_another(stage: Stage) -> None:
    for _ in range(20):
        stage.observer.discarded(1, "3")
    stage.observer.discarded(1, "4")

    assert stage.value("discarded_events_total") == 21
    assert [line["partition"] for line in stage.lines if line["log_level"] == "warning"] == ["3", "3", "3", "4"]


def test_what_expired_unread_is_counted_and_always_logged(stage: Stage) -> None:
    for _ in range(5):
        stage.observer.expired(1000, "3")

    assert stage.value("expired_events_total") == 5000
    assert stage.events("warning") == ["events expired"] * 5
    assert (stage.lines[0]["events"], stage.lines[0]["partition"]) == (1000, "3")


def test_an_offset_that_is_out_of_range_is_a_position_that_was_lost(stage: Stage) -> None:
    stage.observer.position_reset("3", PositionReset.OFFSET_OUT_OF_RANGE)

    assert stage.value("position_resets_total", reason="offset_out_of_range") == 1
    assert stage.lines == [
        {
            "event": "position reset",
            "log_level": "warning",
            "mapping": "trades",
            "partition": "3",
            "reason": "offset_out_of_range",
        }
    ]


def test_the_age_of_what_is_not_settled_counts_what_waits_and_what_is_held(stage: Stage) -> None:
    stage.observer.waiting("0", START - 40.0)
    stage.observer.holding("1", START - 50.0)
    ages = [stage.value("oldest_unsettled_age_seconds")]
    stage.observer.holding("1", None)
    ages.append(stage.value("oldest_unsettled_age_seconds"))
    stage.observer.lane_closed("0")

    assert [*ages, stage.value("oldest_unsettled_age_seconds")] == [50.0, 40.0, 0.0]


def test_a_partition_has_no_age_of_an_iterator(stage: Stage) -> None:
    stage.observer.invoking(2, 500, lane="0", newest=START - 3.0)

    assert b"iterator_age" not in stage.metrics.expose()[0]


def test_a_blocked_partition_says_which_offsets_and_which_error(stage: Stage) -> None:
    broken = FunctionFailed("ValueError", "no such trade", request_id="r-1")
    stage.observer.state(MappingState.ENABLED, "")
    stage.observer.invoked(broken, 2, 0.5, lane="3", positions="trades-3@15, trades-3@16")
    stage.observer.lane_blocked("3", START - 60.0, broken, "trades-3@15, trades-3@16")

    assert stage.shown() == (
        "blocked",
        (
            "The batch in partition 3 (trades-3@15, trades-3@16) has failed since "
            "2023-11-14T22:12:20.000Z: ValueError: no such trade (request r-1)"
        ),
    )
