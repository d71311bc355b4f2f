"""Knows what a mapping's lanes hold in memory of what they read ahead, and accounts for it."""

from collections.abc import Sequence

from outboard.core.ports import Allowance
from outboard.core.price import charge_all
from outboard.core.records import Record
from outboard.observe.mapping import MappingObserver


class Holdings:
    """What all shards or partitions of one mapping hold, of its `allowance`."""

    def __init__(self, allowance: Allowance, observer: MappingObserver) -> None:
        self.allowance = allowance
        self._observer = observer
        self._records = 0

    def hold(self, records: int, cost: int, granted: int) -> None:
        """So many bytes were granted for what turned out to be these records, at this cost."""
        self.allowance.adjust(granted, cost)
        self._show(records)

    def let_go(self, records: Sequence[Record], given_back: int = 0) -> None:
        """These are held no longer; `given_back` bytes of theirs were given back before."""
        self.allowance.give_back(charge_all(records) - given_back)
        self._show(-len(records))

    def _show(self, more: int) -> None:
        self._records += more
        self._observer.buffered(self._records, self.allowance.used)


class Batch:
    """One lane's part: its batch, which has no payload while it is blocked, and waits for its retry."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._given_back = 0  # bytes of the blocked batch, which stays charged without its payload

    def blocked(self, records: Sequence[Record]) -> None:
        """These are tried again and again; the first time they give their payload's bytes back."""
        if not self._given_back:
            self._given_back = sum([len(record.event) for record in records])
            self._holdings.allowance.give_back(self._given_back)

    def let_go(self, records: Sequence[Record]) -> None:
        """These have met their fate, or go back."""
        before = min(self._given_back, charge_all(records))
        self._given_back -= before
        self._holdings.let_go(records, before)
