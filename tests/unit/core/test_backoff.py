"""How long to wait after failures."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.core.backoff import delay

failures = st.integers(1, 10**9)
jitters = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("count", "shortest", "longest"),
    [(1, 0.5, 1), (2, 1, 2), (3, 2, 4), (6, 16, 32), (7, 30, 60), (8, 30, 60), (10**9, 30, 60)],
)
def test_waits_double_from_half_a_second_to_a_minute(count: int, shortest: float, longest: float) -> None:
    assert delay(count, 0.0) == shortest
    assert delay(count, math.nextafter(1, 0)) == pytest.approx(longest)


@given(failures, jitters)
def test_every_wait_is_between_half_a_second_and_a_minute(count: int, jitter: float) -> None:
    assert 0.5 <= delay(count, jitter) <= 60


@given(failures, jitters)
def test_one_failure_more_never_waits_less(count: int, jitter: float) -> None:
    assert delay(count, jitter) <= delay(count + 1, jitter)


@given(failures, jitters, st.floats(0, 300))
def test_what_the_service_asked_for_is_waited_at_least(count: int, jitter: float, asked: float) -> None:
    waited = delay(count, jitter, asked)
    assert max(asked, delay(count, jitter)) <= waited <= max(asked * 1.1, delay(count, jitter))


@pytest.mark.parametrize("asked", [301, 86_400, 1e300, math.inf])
def test_a_service_cannot_ask_for_more_than_five_minutes(asked: float) -> None:
    assert delay(1, 0.5, asked) == 300


@pytest.mark.parametrize("asked", [-1.0, -math.inf, math.nan])
def test_a_senseless_retry_after_changes_nothing(asked: float) -> None:
    assert delay(3, 0.5, asked) == delay(3, 0.5)


def test_no_failure_waits_like_the_first() -> None:
    assert delay(0, 0.5) == delay(1, 0.5)
