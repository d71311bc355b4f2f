"""What is wrong now: shown while it lasts, and no longer."""

from outboard.observe.trouble import FORGOTTEN_AFTER, SHOWN, SOURCE, Failure, Trouble, iso, shown


def test_the_newest_failure_that_lasts_is_the_last_error() -> None:
    trouble = Trouble()
    trouble.failed("1", Failure(10.0, "A", "a"))
    trouble.failed("2", Failure(20.0, "B", "b"))

    assert trouble.last(20.0) == Failure(20.0, "B", "b")
    trouble.over("2")
    assert trouble.last(20.0) == Failure(10.0, "A", "a")
    trouble.over("1")
    assert trouble.last(20.0) is None


def test_a_failure_that_does_not_come_again_is_forgotten() -> None:
    trouble = Trouble()
    trouble.failed("1", Failure(10.0, "A", "a"))

    assert trouble.last(10.0 + FORGOTTEN_AFTER) is not None
    assert trouble.last(10.1 + FORGOTTEN_AFTER) is None


def test_the_failure_of_a_blocked_lane_is_not_forgotten() -> None:
    trouble = Trouble()
    trouble.failed("1", Failure(10.0, "A", "a"))
    trouble.block("1", 5.0)

    assert trouble.last(99.0 + FORGOTTEN_AFTER) == Failure(10.0, "A", "a")


def test_the_reason_is_that_of_the_place_blocked_longest() -> None:
    trouble = Trouble()
    trouble.failed("poller-2", Failure(1_700_000_050.0, "ValueError", "no such order"))
    trouble.block("poller-2", 1_700_000_000.0)
    trouble.block("poller-1", 1_700_000_100.0)

    assert trouble.reason() == (
        "The batch in lane poller-2 has failed again and again since 2023-11-14T22:13:20.000Z: "
        "ValueError: no such order (1 more blocked)"
    )


def test_a_source_that_cannot_be_read_is_a_reason() -> None:
    trouble = Trouble()
    trouble.failed(SOURCE, Failure(1_700_000_000.0, "QueueDoesNotExist", ""))
    trouble.block(SOURCE, 1_700_000_000.0)

    assert trouble.reason() == (
        "Reading from the source has failed again and again since 2023-11-14T22:13:20.000Z: QueueDoesNotExist"
    )


def test_blocked_since_is_the_first_time() -> None:
    trouble = Trouble()
    trouble.block("1", 0.0)
    trouble.block("1", 60.0)

    assert trouble.reason() == "The batch in lane 1 has failed again and again since 1970-01-01T00:00:00.000Z"


def test_without_a_blocked_place_there_is_no_reason() -> None:
    trouble = Trouble()
    trouble.block("1", 0.0)
    trouble.unblock("1")

    assert (trouble.is_blocked, trouble.reason()) == (False, "")


def test_long_and_broken_texts_are_made_fit_to_show() -> None:
    assert shown("half a pair: \ud83d") == "half a pair: ?"
    assert shown("x" * (SHOWN + 1)) == "x" * SHOWN + "…"
    assert shown("x" * SHOWN) == "x" * SHOWN


def test_moments_are_written_in_utc_to_the_millisecond() -> None:
    assert iso(1_700_000_000.1234) == "2023-11-14T22:13:20.123Z"
