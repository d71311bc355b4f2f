"""How a mapping stands, and what of it is shown."""

import pytest

from outboard.observe.facts import MappingState
from outboard.observe.standing import Standing
from outboard.observe.trouble import Failure


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
    standing.trouble.block("1", 0.0)

    assert standing.state is seen
    assert (standing.reason == "told so") == (seen is not MappingState.BLOCKED)


def test_the_same_state_for_the_same_reason_is_no_news() -> None:
    standing = Standing()

    assert [standing.become(MappingState.ENABLED, reason) for reason in ("a", "a", "b")] == [True, False, True]


def test_lag_is_the_age_of_the_oldest_event_that_any_lane_holds() -> None:
    standing = Standing()
    standing.hold("1", 100.0)
    standing.hold("2", 90.0)

    assert standing.oldest_age(110.0) == 20.0
    standing.hold("2", None)
    assert standing.oldest_age(110.0) == 10.0
    standing.hold("1", None)
    assert standing.oldest_age(110.0) == 0.0


def test_an_event_from_the_future_has_no_negative_age() -> None:
    standing = Standing()
    standing.hold("1", 100.0)

    assert standing.oldest_age(90.0) == 0.0


def test_a_closed_lane_leaves_nothing_behind() -> None:
    standing = Standing()
    standing.become(MappingState.ENABLED, "")
    standing.hold("1", 100.0)
    standing.trouble.failed("1", Failure(100.0, "A", "a"))
    standing.trouble.block("1", 100.0)

    standing.close_lane("1")

    assert standing.describe(110.0) == {"state": "Enabled", "stateReason": "", "lastError": None, "lagSeconds": 0.0}
