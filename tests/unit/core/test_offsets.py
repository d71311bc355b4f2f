"""Offsets that are settled in any order, by batches: the offset to commit never passes one that is not settled."""

from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.core.offsets import OffsetProgress
from outboard.core.progress import Progress


def tracking(*offsets: int) -> OffsetProgress:
    progress = OffsetProgress()
    progress.track(offsets)
    return progress


def test_nothing_is_safe_before_the_first_completion() -> None:
    progress = tracking(5, 6)

    assert (progress.safe, progress.pending) == (None, 2)


def test_what_is_committed_is_where_to_read_on() -> None:
    progress = tracking(5, 6, 7)

    assert progress.settle([5, 6]) is True
    assert (progress.safe, progress.pending) == (7, 1)


def test_a_completion_behind_an_unsettled_offset_is_not_safe_yet() -> None:
    progress = tracking(5, 6, 8)

    assert progress.settle([6]) is False
    assert (progress.safe, progress.pending) == (None, 2)
    assert progress.settle([5]) is True
    assert (progress.safe, progress.pending) == (7, 1)


def test_a_batch_may_be_settled_in_any_order_and_over_gaps() -> None:
    progress = tracking(5, 9, 20)

    assert progress.settle([20, 5, 9]) is True
    assert (progress.safe, progress.pending) == (21, 0)


def test_what_was_safe_stays_safe_when_all_is_settled_and_more_comes() -> None:
    progress = tracking(5)
    progress.settle([5])
    progress.track([30, 31])

    assert (progress.safe, progress.pending) == (6, 2)


def test_nothing_is_neither_tracked_nor_settled() -> None:
    progress = tracking()

    assert (progress.settle([]), progress.safe, progress.pending) == (False, None, 0)
    progress.track([1])
    assert (progress.settle([]), progress.safe, progress.pending) == (False, None, 1)


@pytest.mark.parametrize("settled", [[], [5], [6]])
@pytest.mark.parametrize("offsets", [[4], [5, 5], [6, 6], [6, 5, 6], [7], [5, 6, 7], [99, 5]])
def test_what_is_unknown_or_named_twice_cannot_be_settled_and_changes_nothing(
    settled: Sequence[int], offsets: Sequence[int]
) -> None:
    progress = tracking(5, 6)
    progress.settle(settled)
    before = (progress.safe, progress.pending)

    with pytest.raises(ValueError, match="some are not tracked or were settled before"):
        progress.settle(offsets)
    assert (progress.safe, progress.pending) == before


@pytest.mark.parametrize("first", [5, 6])
def test_an_offset_cannot_be_settled_twice(first: int) -> None:
    progress = tracking(5, 6)
    progress.settle([first])

    with pytest.raises(ValueError, match="were settled before"):
        progress.settle([first])
    assert progress.pending == 1


@pytest.mark.parametrize("offsets", [[6], [5], [7, 7], [8, 7], [7, 6]])
def test_offsets_ascend_and_none_of_a_wrong_batch_is_taken(offsets: Sequence[int]) -> None:
    progress = tracking(5, 6)

    with pytest.raises(ValueError, match="does not follow"):
        progress.track(offsets)
    assert progress.pending == 2
    progress.track([7])


@given(st.data(), st.lists(st.integers(1, 3), max_size=60), st.booleans())
def test_any_interleaving_agrees_with_positions_that_are_settled_one_by_one(
    data: st.DataObject, steps: list[int], in_order: bool
) -> None:
    ahead = list(accumulate(steps, initial=data.draw(st.integers(0, 2**62))))
    progress, model = OffsetProgress(), Progress[int]()
    pending: list[int] = []
    while ahead or pending:
        if ahead and (not pending or data.draw(st.booleans())):
            size = data.draw(st.integers(1, 10))
            batch, ahead = ahead[:size], ahead[size:]
            progress.track(batch)
            for offset in batch:
                model.track(offset)
            pending += batch
        else:
            size = data.draw(st.integers(1, len(pending)))
            done = pending[:size] if in_order else data.draw(st.permutations(pending))[:size]
            pending = [offset for offset in pending if offset not in done]
            before = progress.safe
            moved = [model.settle(offset) for offset in done]
            assert progress.settle(done) is any(moved) is (progress.safe != before)
        assert progress.pending == model.pending == len(pending)
        assert progress.safe == (None if model.safe is None else model.safe + 1)
