"""Every place of a source fails and recovers on its own; the source as a whole can be read as soon as one of them is."""

from tests.unit.observe.stage import CLICKS, Stage

DENIED = ("AccessDeniedException", "not allowed to read the stream")
THROTTLED = ("ProvisionedThroughputExceededException", "rate exceeded")


def test_a_shard_that_fails_twice_in_a_row_blocks_the_mapping_until_that_shard_is_read() -> None:
    stage = Stage(CLICKS)
    stage.observer.polling_failed(*DENIED, place="shard-1")
    stage.clock.now += 2.0
    first = stage.shown()
    stage.observer.polling_failed(*DENIED, place="shard-1")
    stage.observer.polled(5, 100, 0.1, place="shard-2")

    assert first == ("Creating", "")
    assert stage.shown() == (
        "blocked",
        (
            "Reading shard shard-1 has failed since 2023-11-14T22:13:20.000Z: "
            "AccessDeniedException: not allowed to read the stream"
        ),
    )
    stage.observer.polled(0, 0, 0.1, place="shard-1")
    assert stage.shown() == ("Creating", "")
    assert stage.observer.snapshot()["lastError"] is None


def test_failures_of_two_shards_are_not_two_in_a_row() -> None:
    stage = Stage(CLICKS)
    for place in ("shard-1", "shard-2"):
        stage.observer.polling_failed(*DENIED, place=place)

    assert stage.shown() == ("Creating", "")
    assert stage.value("polling_errors_total", error="access_denied") == 2


def test_a_failed_read_and_its_recovery_are_logged_with_the_shard() -> None:
    stage = Stage(CLICKS)
    stage.observer.polling_failed(*DENIED, place="shard-1")
    stage.observer.polled(0, 0, 0.1, place="shard-1")

    assert stage.lines == [
        {
            "event": "polling failed",
            "log_level": "warning",
            "mapping": "clicks",
            "shard": "shard-1",
            "error_type": DENIED[0],
            "error_message": DENIED[1],
        },
        {
            "event": "polling recovered",
            "log_level": "info",
            "mapping": "clicks",
            "shard": "shard-1",
            "failures": 1,
        },
    ]


def test_a_shard_that_is_throttled_now_and_then_blocks_nothing() -> None:
    stage = Stage(CLICKS)
    for _ in range(20):
        for _ in range(3):
            stage.observer.polling_failed(*THROTTLED, place="shard-1")
            stage.clock.now += 2.0
        stage.observer.polled(5, 100, 0.1, place="shard-1")

    assert "mapping blocked" not in stage.events("warning")
    assert stage.value("polling_errors_total", error="throttled") == 60


def test_a_shard_that_is_throttled_for_a_minute_without_a_read_is_blocked() -> None:
    stage = Stage(CLICKS)
    states = []
    for _ in range(4):
        stage.observer.polling_failed(*THROTTLED, place="shard-1")
        states.append(stage.shown()[0])
        stage.clock.now += 20.0

    assert states == ["Creating", "Creating", "Creating", "blocked"]


def test_any_read_says_that_the_source_is_there_again_and_none_of_a_shard_that_the_listing_works() -> None:
    stage = Stage(CLICKS)
    stage.observer.source_failed("ResourceNotFoundException", "the stream does not exist")
    assert stage.shown()[0] == "blocked"

    stage.observer.polled(0, 0, 0.1, place="shard-1")
    assert stage.shown()[0] == "Creating"

    for _ in range(2):
        stage.observer.polling_failed("TimedOut", "late")
    stage.observer.polled(0, 0, 0.1, place="shard-1")
    assert stage.shown()[0] == "blocked"

    stage.observer.polled(0, 0, 0.1)
    assert stage.shown()[0] == "Creating"


def test_a_shard_that_is_no_longer_read_is_no_trouble() -> None:
    stage = Stage(CLICKS)
    for _ in range(2):
        stage.observer.polling_failed(*DENIED, place="shard-1")

    stage.observer.lane_closed("shard-1")

    assert stage.shown() == ("Creating", "")
    stage.observer.polling_failed(*DENIED, place="shard-1")
    assert stage.shown() == ("Creating", "")
