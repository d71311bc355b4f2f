"""Positions that cannot be saved stop nothing, and are seen."""

from outboard.observe.mapping import MappingState
from tests.unit.observe.stage import CLICKS, START, Stage

FULL = ("SQLITE_FULL", "database or disk is full")


def test_a_position_that_is_saved_is_a_moment_and_no_line() -> None:
    stage = Stage(CLICKS)
    for _ in range(3):
        stage.observer.checkpoint_saved()

    assert (stage.value("last_checkpoint_timestamp_seconds"), stage.lines) == (START, [])


def test_what_cannot_be_saved_is_counted_logged_and_shown_while_the_state_stays() -> None:
    stage = Stage(CLICKS)
    stage.observer.state(MappingState.ENABLED, "")
    stage.observer.checkpoint_failed(*FULL)
    stage.clock.now += 60.0

    assert stage.value("commit_errors_total", error="storage_full") == 1
    assert stage.value("unsaved_checkpoint_age_seconds") == 60.0
    assert [stage.value("mapping_state", state=state) for state in ("Enabled", "blocked")] == [1, 0]
    assert stage.shown() == (
        "Enabled",
        (
            "Positions cannot be saved since 2023-11-14T22:13:20.000Z: SQLITE_FULL: database or disk is full;"
            " a restart would deliver again what was delivered since"
        ),
    )
    assert stage.observer.snapshot()["lastError"] == {
        "at": "2023-11-14T22:13:20.000Z",
        "type": "SQLITE_FULL",
        "message": "database or disk is full",
    }
    assert [(line["event"], line["error_type"]) for line in stage.lines[1:]] == [("checkpoint failed", "SQLITE_FULL")]


def test_the_next_save_ends_it() -> None:
    stage = Stage(CLICKS)
    stage.observer.state(MappingState.ENABLED, "")
    stage.observer.checkpoint_failed(*FULL)
    stage.clock.now += 60.0
    for _ in range(3):
        stage.observer.checkpoint_saved()

    assert stage.shown() == ("Enabled", "")
    assert stage.observer.snapshot()["lastError"] is None
    assert stage.value("unsaved_checkpoint_age_seconds") == 0.0
    assert stage.value("last_checkpoint_timestamp_seconds") == START + 60.0
    assert [line["seconds"] for line in stage.lines if line["event"] == "checkpoints saved again"] == [60.0]


def test_a_disk_that_stays_full_is_logged_once_a_minute() -> None:
    stage = Stage(CLICKS)
    for _ in range(121):
        stage.observer.checkpoint_failed(*FULL)
        stage.clock.now += 1.0

    assert stage.events("warning") == ["checkpoint failed"] * 3
    assert stage.value("commit_errors_total", error="storage_full") == 121


def test_a_delivery_does_not_hide_that_positions_cannot_be_saved() -> None:
    stage = Stage(CLICKS)
    stage.observer.checkpoint_failed(*FULL)
    stage.observer.polled(1, 1, 0.1, place="shard-1")
    stage.observer.lane_closed("shard-1")

    assert stage.observer.snapshot()["lastError"] is not None
