"""Out-of-order completions in, the highest safe position out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.core.progress import Progress


def tracking(*positions: str) -> Progress[str]:
    progress = Progress[str]()
    for position in positions:
        progress.track(position)
    return progress


def test_nothing_is_safe_before_the_first_completion() -> None:
    progress = tracking("a", "b")
    assert (progress.safe, progress.pending, progress.oldest) == (None, 2, "a")


def test_a_completion_behind_an_unsettled_position_is_not_safe_yet() -> None:
    progress = tracking("a", "b", "c")
    assert progress.settle("b") is False
    assert (progress.safe, progress.pending, progress.oldest) == (None, 2, "a")
    assert progress.settle("a") is True
    assert (progress.safe, progress.pending, progress.oldest) == ("b", 1, "c")


def test_what_was_safe_stays_safe_when_all_is_settled() -> None:
    progress = tracking("a")
    progress.settle("a")
    assert (progress.safe, progress.pending, progress.oldest) == ("a", 0, None)


def test_an_unknown_position_cannot_be_settled() -> None:
    with pytest.raises(ValueError, match="'b' is not tracked or was settled before"):
        tracking("a").settle("b")


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_position_cannot_be_settled_twice(first: str) -> None:
    progress = tracking("a", "b")
    progress.settle(first)
    with pytest.raises(ValueError, match="was settled before"):
        progress.settle(first)
    assert progress.pending == 1


def test_a_tracked_position_cannot_be_tracked_again() -> None:
    progress = tracking("a", "b")
    progress.settle("b")
    with pytest.raises(ValueError, match="'b' is tracked already"):
        progress.track("b")


@given(st.data(), st.integers(0, 60))
def test_any_interleaving_agrees_with_a_model_that_looks_at_everything(data: st.DataObject, count: int) -> None:
    progress = Progress[int]()
    tracked: list[int] = []
    settled: set[int] = set()
    while len(settled) < count:
        unsettled = [position for position in tracked if position not in settled]
        if len(tracked) < count and (not unsettled or data.draw(st.booleans())):
            tracked.append(len(tracked) * 7)
            progress.track(tracked[-1])
        else:
            before = progress.safe
            position = data.draw(st.sampled_from(unsettled))
            settled.add(position)
            assert progress.settle(position) is (progress.safe != before)
        safe = None
        for position in tracked:
            if position not in settled:
                break
            safe = position
        oldest = next((position for position in tracked if position not in settled), None)
        assert (progress.safe, progress.oldest, progress.pending) == (safe, oldest, len(tracked) - len(settled))
