"""Knows how far a partition is safely done while its records complete in any order: offsets, and so ordered numbers."""

from collections import deque
from collections.abc import Sequence
from itertools import islice


class OffsetProgress:
    """Offsets in, in ascending order; completions in any order; where to read on out. Works by batches: what is usual,
    that the oldest are settled first and in order, costs next to nothing for each record.
    """

    def __init__(self) -> None:
        self._pending: deque[int] = deque()  # from the oldest unsettled one on
        self._settled: set[int] = set()  # those of them that are settled
        self._safe: int | None = None

    @property
    def safe(self) -> int | None:
        """Behind the last offset that is settled together with all before it; None before the first."""
        return self._safe

    @property
    def pending(self) -> int:
        """How many offsets are tracked and not settled."""
        return len(self._pending) - len(self._settled)

    def track(self, offsets: Sequence[int]) -> None:
        """Take in the offsets that follow all others. Raises ValueError if they do not ascend."""
        last = self._pending[-1] if self._pending else None
        for offset in offsets:
            if last is not None and offset <= last:
                raise ValueError(f"offset {offset} does not follow {last}")
            last = offset
        self._pending.extend(offsets)

    def settle(self, offsets: Sequence[int]) -> bool:
        """Mark offsets as done; True if that moved `safe`. Raises ValueError if one is unknown or settled before."""
        pending = self._pending
        if not self._settled and list(islice(pending, len(offsets))) == list(offsets):
            for _ in offsets:
                pending.popleft()
            return self._move(offsets[-1]) if offsets else False
        self._mark(offsets)
        last = None
        while pending and pending[0] in self._settled:
            last = pending.popleft()
            self._settled.discard(last)
        return last is not None and self._move(last)

    def _mark(self, offsets: Sequence[int]) -> None:
        fresh = set(offsets)
        if len(fresh) != len(offsets) or fresh & self._settled or not fresh <= set(self._pending):
            raise ValueError(f"of the offsets {list(offsets)[:4]} .. some are not tracked or were settled before")
        self._settled |= fresh

    def _move(self, last: int) -> bool:
        self._safe = last + 1
        return True
