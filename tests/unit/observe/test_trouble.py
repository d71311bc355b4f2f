"""What is wrong now: shown while it lasts, and no longer."""

import pytest

from outboard.observe.trouble import FORGOTTEN_AFTER, SHOWN, SOURCE, Block, Failure, Place, Trouble, Work, iso, shown

FIRST, SECOND = Place(Work.SENDING, "1"), Place(Work.SENDING, "2")


def test_the_newest_failure_that_lasts_is_the_last_error() -> None:
    trouble = Trouble()
    trouble.failed(FIRST, Failure(10.0, "A", "a"))
    trouble.failed(SECOND, Failure(20.0, "B", "b"))

    assert trouble.last(20.0) == Failure(20.0, "B", "b")
    trouble.over(SECOND)
    assert trouble.last(20.0) == Failure(10.0, "A", "a")
    trouble.over(FIRST)
    assert trouble.last(20.0) is None


def test_a_failure_that_does_not_come_again_is_forgotten() -> None:
    trouble = Trouble()
    trouble.failed(FIRST, Failure(10.0, "A", "a"))

    assert trouble.last(10.0 + FORGOTTEN_AFTER) is not None
    assert trouble.last(10.1 + FORGOTTEN_AFTER) is None


def test_the_failure_of_a_blocked_lane_is_not_forgotten() -> None:
    trouble = Trouble()
    trouble.failed(FIRST, Failure(10.0, "A", "a"))
    trouble.block(FIRST, Block(5.0))

    assert trouble.last(99.0 + FORGOTTEN_AFTER) == Failure(10.0, "A", "a")


def test_a_lane_and_a_shard_of_one_name_fail_on_their_own() -> None:
    trouble = Trouble()
    trouble.failed(Place(Work.READING, "shard-1"), Failure(10.0, "AccessDenied", "no"))
    trouble.failed(Place(Work.SENDING, "shard-1"), Failure(20.0, "ValueError", "no such order"))

    trouble.succeeded("shard-1")

    assert trouble.last(20.0) == Failure(10.0, "AccessDenied", "no")


def test_the_reason_is_that_of_the_place_blocked_longest() -> None:
    trouble = Trouble()
    poller = Place(Work.SENDING, "poller-2")
    trouble.failed(poller, Failure(1_700_000_050.0, "ValueError", "no such order"))
    trouble.block(poller, Block(1_700_000_000.0))
    trouble.block(Place(Work.SENDING, "poller-1"), Block(1_700_000_100.0))

    assert trouble.why_blocked(1_700_000_200.0) == (
        "The batch in lane poller-2 has failed since 2023-11-14T22:13:20.000Z: "
        "ValueError: no such order (1 more blocked)"
    )


def test_the_reason_names_shard_records_error_and_request() -> None:
    trouble = Trouble("shard")
    place = Place(Work.SENDING, "shardId-000000000001")
    trouble.failed(place, Failure(1_700_000_050.0, "ValueError", "no such order", "r-1"))
    trouble.block(place, Block(1_700_000_000.0, "4965 .. 4971"))

    assert trouble.why_blocked(1_700_000_200.0) == (
        "The batch in shard shardId-000000000001 (4965 .. 4971) has failed since "
        "2023-11-14T22:13:20.000Z: ValueError: no such order (request r-1)"
    )


@pytest.mark.parametrize(
    ("place", "who"),
    [
        (SOURCE, "Reading from the source"),
        (Place(Work.READING), "Reading from the source"),
        (Place(Work.READING, "shard-1"), "Reading shard shard-1"),
    ],
)
def test_a_source_or_a_shard_that_cannot_be_read_is_a_reason(place: Place, who: str) -> None:
    trouble = Trouble("shard")
    trouble.failed(place, Failure(1_700_000_000.0, "ResourceNotFoundException", ""))
    trouble.block(place, Block(1_700_000_000.0))

    assert trouble.why_blocked(1_700_000_000.0) == (
        f"{who} has failed since 2023-11-14T22:13:20.000Z: ResourceNotFoundException"
    )


def test_blocked_since_is_the_first_time_and_the_records_are_the_latest() -> None:
    trouble = Trouble()
    trouble.block(FIRST, Block(0.0, "1 .. 9"))
    trouble.block(FIRST, Block(60.0, "1 .. 4"))

    assert trouble.why_blocked(60.0) == ("The batch in lane 1 (1 .. 4) has failed since 1970-01-01T00:00:00.000Z")


def test_without_a_blocked_place_there_is_no_reason() -> None:
    trouble = Trouble()
    trouble.block(FIRST, Block(0.0))
    trouble.unblock(FIRST)

    assert (trouble.is_blocked(1.0), trouble.why_blocked(1.0)) == (False, "")


def test_a_success_anywhere_ends_the_blocks_of_lanes_that_hold_no_batch_any_more() -> None:
    trouble = Trouble()
    trouble.failed(FIRST, Failure(0.0, "E", "m"))
    trouble.block(FIRST, Block(0.0, lapses=600.0))
    trouble.failed(SECOND, Failure(0.0, "E", "m"))
    trouble.block(SECOND, Block(0.0))
    trouble.succeeded("poller-3")

    assert trouble.why_blocked(1.0).startswith("The batch in lane 2 has failed")
    trouble.over(SECOND)
    assert (trouble.is_blocked(1.0), trouble.last(1.0)) == (False, None)


def test_a_block_that_lapses_is_over_so_long_after_its_last_failure() -> None:
    trouble = Trouble()
    trouble.failed(FIRST, Failure(0.0, "A", "a"))
    trouble.block(FIRST, Block(0.0, lapses=600.0))
    trouble.failed(FIRST, Failure(500.0, "A", "a"))

    assert [trouble.is_blocked(now) for now in (600.1, 1100.0, 1100.1)] == [True, True, False]


def test_a_failure_after_a_block_has_lapsed_does_not_bring_it_back() -> None:
    trouble = Trouble()
    trouble.failed(FIRST, Failure(0.0, "A", "a"))
    trouble.block(FIRST, Block(0.0, lapses=600.0))

    trouble.failed(FIRST, Failure(601.0, "A", "a"))

    assert not trouble.is_blocked(601.0)
    trouble.block(FIRST, Block(601.0, lapses=600.0))
    assert trouble.why_blocked(601.0).endswith("since 1970-01-01T00:10:01.000Z: A: a")


def test_a_block_that_does_not_lapse_stays() -> None:
    trouble = Trouble()
    trouble.block(FIRST, Block(0.0))

    assert trouble.is_blocked(1e9)


def test_positions_that_are_not_saved_are_so_since_the_first_failure_and_not_forgotten() -> None:
    trouble = Trouble()
    trouble.not_saved(Failure(100.0, "SQLITE_FULL", "full"))
    trouble.not_saved(Failure(160.0, "SQLITE_IOERR", "gone"))

    assert trouble.unsaved_for(200.0) == 100.0
    assert trouble.why_unsaved().startswith("Positions cannot be saved since 1970-01-01T00:01:40.000Z: SQLITE_IOERR:")
    assert trouble.last(200.0 + FORGOTTEN_AFTER) == Failure(160.0, "SQLITE_IOERR", "gone")
    trouble.saved()
    assert (trouble.unsaved_for(300.0), trouble.why_unsaved(), trouble.last(300.0)) == (0.0, "", None)


def test_long_and_broken_texts_are_made_fit_to_show() -> None:
    assert shown("half a pair: \ud83d") == "half a pair: ?"
    assert shown("x" * (SHOWN + 1)) == "x" * SHOWN + "…"
    assert shown("x" * SHOWN) == "x" * SHOWN


def test_moments_are_written_in_utc_to_the_millisecond() -> None:
    assert iso(1_700_000_000.1234) == "2023-11-14T22:13:20.123Z"
