"""Knows how many records the next read of a shard asks for, by what the last one gave."""

from outboard.sources.kinesis.stream import MOST_PER_READ

#: Records that are asked for where the last page was large, where it was not, and how large that is, in bytes of the
#: budget. Of large records so many as make one batch of 6 MB: a shard gives 2 MB a second, so that larger pages would
#: not be faster and need more memory.
_FULL = 2_500
_FEW = 1_000
_LARGE = 2 * 1024 * 1024
_ENOUGH = 12 * 1024 * 1024


class PageSize:
    """Of one shard. `large` is what the next page is expected to be."""

    def __init__(self) -> None:
        self.large = True
        self._most: int | None = _FEW  # records that make a page large enough; None: no page was so large

    def wanted(self, limit: int, failures: int) -> int:
        """Records to ask for. After failures fewer each time: the way may be too narrow for more."""
        if failures:
            return max(1, _FEW >> failures)
        return min(MOST_PER_READ, self._most or max(limit, _FULL if self.large else _FEW))

    def saw(self, records: int, cost: int) -> None:
        """A page of so many records took `cost` bytes of the budget; the next one is expected to be like it."""
        self.large = cost >= _LARGE
        self._most = max(1, _ENOUGH * records // cost) if cost >= _ENOUGH // 2 else None


def whole_batches(affordable: int, batch: int) -> int:
    """How many records to ask for, so that what is left of a page in the end is no part of a batch."""
    most = max(1, affordable)
    return most - most % batch if most > batch else most
