"""Knows how far a shard or partition is safely done while its records complete in any order."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Position = TypeVar("Position", bound=Hashable)


class Progress(Generic[Position]):
    """Positions in, in the order of their records; completions in any order; the highest safe position out.

    Positions are compared for equality only: the order in which they are tracked is their order.
    """

    def __init__(self) -> None:
        self._settled: OrderedDict[Position, bool] = OrderedDict()  # from the oldest unsettled one on
        self._pending = 0
        self._safe: Position | None = None

    @property
    def safe(self) -> Position | None:
        """The last position that is settled together with all before it; None before the first."""
        return self._safe

    @property
    def pending(self) -> int:
        """How many positions are tracked and not settled."""
        return self._pending

    @property
    def oldest(self) -> Position | None:
        """The first position that is not settled; None if all are."""
        return next(iter(self._settled), None)

    def track(self, position: Position) -> None:
        """Take in the position that follows all others. Raises ValueError if it is still tracked."""
        if position in self._settled:
            raise ValueError(f"position {position!r} is tracked already")
        self._settled[position] = False
        self._pending += 1

    def settle(self, position: Position) -> bool:
        """Mark a position as done; True if that moved `safe`. Raises ValueError if it is unknown or settled before."""
        if self._settled.get(position, True):
            raise ValueError(f"position {position!r} is not tracked or was settled before")
        self._settled[position] = True
        self._pending -= 1
        moved = False
        while self._settled and self._settled[next(iter(self._settled))]:
            self._safe, _ = self._settled.popitem(last=False)
            moved = True
        return moved
