"""The batcher cuts exact batches: by count, by window, by payload size."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from outboard.core.batcher import Batcher, BatchLimits
from outboard.core.records import Envelope
from tests.unit.core.records import record, records

ENVELOPE = Envelope()


def test_without_a_window_whatever_one_read_brought_is_due_at_once() -> None:
    batcher = Batcher(BatchLimits(10))
    batcher.add(records(3), 5.0)

    assert batcher.due(5.0)
    assert [it.identifier for it in batcher.cut()] == ["0", "1", "2"]
    assert batcher.deadline is None


def test_a_window_runs_from_the_first_received_record() -> None:
    batcher = Batcher(BatchLimits(10, window=5.0))
    batcher.add(records(1), 100.0)
    batcher.add(records(1), 104.0)

    assert batcher.deadline == 105.0
    assert not batcher.due(104.9)
    assert batcher.due(105.0)


def test_a_full_batch_is_due_before_its_window_ends() -> None:
    batcher = Batcher(BatchLimits(3, window=60.0))
    batcher.add(records(5), 0.0)

    assert batcher.room == 0
    assert batcher.due(0.0)
    assert len(batcher.cut()) == 3
    assert len(batcher) == 2
    assert batcher.room == 1


def test_what_did_not_fit_keeps_the_window_that_it_was_received_in() -> None:
    batcher = Batcher(BatchLimits(2, window=10.0))
    batcher.add(records(3), 7.0)
    batcher.cut()

    assert batcher.deadline == 17.0


def test_a_batch_is_full_at_the_exact_byte() -> None:
    exact = ENVELOPE.size + 2 * 10 + 1
    fits, one_less = Batcher(BatchLimits(10, 60.0, exact)), Batcher(BatchLimits(10, 60.0, exact - 1))
    for batcher in (fits, one_less):
        batcher.add(records(2), 0.0)

    assert not fits.due(0.0)
    assert len(fits.cut()) == 2
    assert one_less.due(0.0)
    assert len(one_less.cut()) == 1


def test_a_record_too_large_for_any_batch_goes_alone_and_in_its_turn() -> None:
    batcher = Batcher(BatchLimits(10, 0.0, 100))
    batcher.add([record("a"), record("huge", size=500), record("b")], 0.0)

    assert [[it.identifier for it in batcher.cut()] for _ in range(3)] == [["a"], ["huge"], ["b"]]


def test_removed_records_leave_the_others_in_order() -> None:
    batcher = Batcher(BatchLimits(10, 60.0))
    batcher.add([record(1, key="a"), record(2, key="b"), record(3, key="a")], 0.0)

    assert [it.identifier for it in batcher.remove(lambda it: it.key == "a")] == ["1", "3"]
    assert [it.identifier for it in batcher.cut()] == ["2"]


@given(
    sizes=st.lists(st.integers(1, 400), max_size=60),
    count=st.integers(1, 12),
    payload=st.integers(60, 500),
    chunk=st.integers(1, 7),
)
def test_every_record_leaves_once_in_order_in_batches_within_the_limits(
    sizes: list[int], count: int, payload: int, chunk: int
) -> None:
    given_ = [record(number, size=size) for number, size in enumerate(sizes)]
    batcher = Batcher(BatchLimits(count, 0.0, payload))
    batches = []
    for start in range(0, len(given_), chunk):
        batcher.add(given_[start : start + chunk], float(start))
        while batcher.room == 0:
            batches.append(batcher.cut())
    while batch := batcher.cut():
        batches.append(batch)

    assert [it for batch in batches for it in batch] == given_
    for batch in batches:
        size = len(ENVELOPE.payload(batch))
        assert size == ENVELOPE.payload_size(batch)
        assert len(batch) <= count
        assert size <= payload or len(batch) == 1
    for batch, following in pairwise(batches):
        together = ENVELOPE.payload_size([*batch, following[0]])
        assert len(batch) == count or together > payload
