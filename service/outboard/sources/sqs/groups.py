"""Knows which FIFO message groups are alive in which poller, so that no group is ever in two of them at once."""

from collections import Counter
from collections.abc import Sequence

from outboard.core.records import Record


class LiveGroups:
    """SQS itself locks a group while one of its messages is invisible; this holds when visibility lapsed meanwhile."""

    def __init__(self) -> None:
        self._owner: dict[str, object] = {}
        self._held: Counter[str] = Counter()

    def admit(self, poller: object, records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
        """Split into those that `poller` may have and those whose group is alive elsewhere."""
        admitted: list[Record] = []
        refused: list[Record] = []
        for record in records:
            if self._owner.setdefault(record.key, poller) is poller:
                self._held[record.key] += 1
                admitted.append(record)
            else:
                refused.append(record)
        return admitted, refused

    def leave(self, poller: object, records: Sequence[Record]) -> None:
        """`poller` is done with these."""
        for record in records:
            if self._owner.get(record.key) is not poller:
                continue
            self._held[record.key] -= 1
            if self._held[record.key] <= 0:
                del self._held[record.key], self._owner[record.key]
