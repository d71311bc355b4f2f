"""Changes of state are logged when they happen, those that come with the clock included."""

from outboard.core.outcome import FunctionFailed
from outboard.observe.mapping import MappingState
from tests.unit.observe.stage import Stage

BROKEN = FunctionFailed("ValueError", "no such order", request_id="r-1")


def fail(stage: Stage) -> None:
    stage.observer.invoked(BROKEN, 10, 0.5, lane="poller-1", positions="m-1 .. m-10")
    stage.observer.lane_blocked("poller-1", stage.clock(), BROKEN, "m-1 .. m-10", lapses=600.0)


def states(stage: Stage) -> tuple[object, object, object]:
    """The state by `/mappings` and by the two series of the metric."""
    value = stage.value
    return stage.shown()[0], value("mapping_state", state="Enabled"), value("mapping_state", state="blocked")


def test_a_block_of_a_queues_lane_ends_by_itself_ten_minutes_after_its_last_failure() -> None:
    stage = Stage()
    stage.observer.state(MappingState.ENABLED, "")
    fail(stage)
    stage.clock.now += 500.0
    fail(stage)

    stage.clock.now += 600.0
    assert states(stage) == ("blocked", 0, 1)
    stage.clock.now += 0.1
    assert states(stage) == ("Enabled", 1, 0)


def test_a_lane_that_fails_again_after_its_block_has_lapsed_is_blocked_anew_and_logged() -> None:
    stage = Stage()
    stage.observer.state(MappingState.ENABLED, "")
    fail(stage)
    stage.clock.now += 1200.0
    fail(stage)

    assert stage.shown() == (
        "blocked",
        (
            "The batch in lane poller-1 (m-1 .. m-10) has failed since 2023-11-14T22:33:20.000Z: "
            "ValueError: no such order (request r-1)"
        ),
    )
    assert stage.events("warning").count("mapping blocked") == 2


def test_a_delivery_ends_such_a_block_at_once() -> None:
    stage = Stage()
    stage.observer.state(MappingState.ENABLED, "")
    fail(stage)
    stage.observer.lane_unblocked("poller-1")

    assert states(stage) == ("Enabled", 1, 0)
    assert "mapping unblocked" in stage.events("info")


def test_the_end_of_a_block_that_was_no_longer_warned_of_is_for_debugging() -> None:
    stage = Stage()
    stage.observer.state(MappingState.ENABLED, "")
    for _ in range(5):
        fail(stage)
        stage.observer.lane_unblocked("poller-1")

    assert stage.events("warning").count("mapping blocked") == stage.events("info").count("mapping unblocked") == 3
