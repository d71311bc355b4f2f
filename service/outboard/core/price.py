"""Knows what a record costs of the memory budget, and what one that is not read yet is expected to."""

from collections.abc import Iterable

from outboard.core.records import Record

#: What a held record costs beside its bytes: the objects that describe it.
PER_RECORD = 1024

_FIRST = 32 * 1024
_MEMORY = 60.0  # seconds


def charge(record: Record) -> int:
    """Bytes of the budget that a held record takes: its own count twice, once for the payload they are joined to."""
    return 2 * len(record.event) + PER_RECORD


def charge_all(records: Iterable[Record]) -> int:
    return sum([2 * len(record.event) + PER_RECORD for record in records])


class Price:
    """What one record is expected to cost: as much as the largest of the last minutes."""

    def __init__(self) -> None:
        self._largest = _FIRST
        self._before = _FIRST
        self._since = 0.0

    def of(self, now: float) -> int:
        """Bytes to pay for each record asked for."""
        if now - self._since > _MEMORY:
            self._before, self._largest, self._since = self._largest, PER_RECORD, now
        return max(self._before, self._largest)

    def saw(self, charge: int, now: float) -> None:
        self.of(now)
        self._largest = max(self._largest, charge)
