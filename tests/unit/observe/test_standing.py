"""How a mapping stands, and what of it is shown."""

import pytest

from outboard.observe.facts import MappingState
from outboard.observe.standing import Standing
from outboard.observe.trouble import Block, Failure, Place, Work

LANE = Place(Work.SENDING, "1")


def test_it_starts_as_creating_and_caught_up() -> None:
    assert Standing().describe(0.0) == {"state": "Creating", "stateReason": "", "lastError": None, "lagSeconds": 0.0}


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        (MappingState.CREATING, MappingState.BLOCKED),
        (MappingState.ENABLED, MappingState.BLOCKED),
        (MappingState.DISABLING, MappingState.DISABLING),
        (MappingState.DISABLED, MappingState.DISABLED),
        (MappingState.FAILED, MappingState.FAILED),
    ],
)
def test_blocked_shows_only_on_a_mapping_that_should_work(told: MappingState, seen: MappingState) -> None:
    standing = Standing()
    standing.become(told, "told so")
    standing.trouble.block(LANE, Block(0.0))

    assert standing.state(1.0) is seen
    assert (standing.reason(1.0) == "told so") == (seen is not MappingState.BLOCKED)


def test_a_block_that_lapses_goes_with_the_clock() -> None:
    standing = Standing()
    standing.become(MappingState.ENABLED, "")
    standing.trouble.block(LANE, Block(100.0, lapses=600.0))

    assert [standing.state(now) for now in (700.0, 700.1)] == [MappingState.BLOCKED, MappingState.ENABLED]


@pytest.mark.parametrize("work", [Work.OPENING, Work.READING])
def test_what_cannot_be_read_is_as_old_as_that_lasts(work: Work) -> None:
    standing = Standing()
    standing.become(MappingState.ENABLED, "")
    standing.lag.hold("1", 190.0)
    standing.trouble.block(Place(work), Block(150.0))
    standing.trouble.block(LANE, Block(0.0))

    assert standing.age(200.0) == 50.0
    assert standing.describe(200.0)["lagSeconds"] == 50.0
    standing.trouble.over(Place(work))
    assert standing.age(200.0) == 10.0


@pytest.mark.parametrize("state", [MappingState.DISABLED, MappingState.FAILED])
def test_a_mapping_that_does_not_read_is_not_behind(state: MappingState) -> None:
    standing = Standing()
    standing.become(state, "")
    standing.trouble.block(Place(Work.READING), Block(100.0))

    assert standing.age(200.0) == 0.0


UNSAVED = (
    "Positions cannot be saved since 1970-01-01T00:01:40.000Z: SQLITE_FULL: database or disk is full;"
    " a restart would deliver again what was delivered since"
)


@pytest.mark.parametrize(
    ("state", "reason", "shown"),
    [
        (MappingState.ENABLED, "", UNSAVED),
        (MappingState.DISABLING, "draining", f"draining. {UNSAVED}"),
        (MappingState.DISABLED, "stopped", "stopped"),
        (MappingState.FAILED, "BatchSize: is 0; raise it", "BatchSize: is 0; raise it"),
    ],
)
def test_positions_that_cannot_be_saved_change_the_reason_and_not_the_state(
    state: MappingState, reason: str, shown: str
) -> None:
    standing = Standing()
    standing.become(state, reason)
    standing.trouble.not_saved(Failure(100.0, "SQLITE_FULL", "database or disk is full"))

    assert (standing.state(200.0), standing.reason(200.0)) == (state, shown)
    standing.trouble.saved()
    assert standing.reason(200.0) == reason


def test_a_blocked_mapping_whose_positions_cannot_be_saved_says_both() -> None:
    standing = Standing("shard")
    standing.become(MappingState.ENABLED, "")
    standing.trouble.block(LANE, Block(0.0))
    standing.trouble.not_saved(Failure(100.0, "SQLITE_FULL", "database or disk is full"))

    assert standing.reason(200.0) == (f"The batch in shard 1 has failed since 1970-01-01T00:00:00.000Z. {UNSAVED}")


def test_the_same_state_for_the_same_reason_is_no_news() -> None:
    standing = Standing()

    assert [standing.become(MappingState.ENABLED, reason) for reason in ("a", "a", "b")] == [True, False, True]


def test_a_closed_lane_leaves_nothing_behind() -> None:
    standing = Standing()
    standing.become(MappingState.ENABLED, "")
    standing.lag.hold("1", 100.0)
    standing.trouble.failed(LANE, Failure(100.0, "A", "a"))
    standing.trouble.block(LANE, Block(100.0))

    standing.close_lane("1")

    assert standing.describe(110.0) == {"state": "Enabled", "stateReason": "", "lastError": None, "lagSeconds": 0.0}
