"""Knows when what a lane holds is a batch: by count, by window, by exact payload size."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from outboard.core.records import PAYLOAD_LIMIT, Envelope, Record


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What bounds a batch: `count` records, `window` seconds from its first received record, `payload` bytes in all."""

    count: int
    window: float = 0.0
    payload: int = PAYLOAD_LIMIT
    envelope: Envelope = field(default_factory=Envelope)


class Batcher:
    """Collects records in order and cuts exact batches from their head.

    What does not fit into a batch stays and is the head of the next one; its window has been running since it was
    received. A record that fits into no batch becomes one of its own, for its delivery to judge.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._held: deque[tuple[Record, float]] = deque()
        self._fitting = 0  # how many of the held records the next batch takes
        self._size = limits.envelope.size  # its payload's exact size
        self._closed = False  # the record behind it no longer fits

    def __len__(self) -> int:
        return len(self._held)

    @property
    def room(self) -> int:
        """How many records more the next batch could take; 0 when it is full."""
        return 0 if self._closed else self._limits.count - self._fitting

    @property
    def deadline(self) -> float | None:
        """When the next batch is due at the latest; None while nothing is held."""
        return self._held[0][1] + self._limits.window if self._held else None

    def add(self, records: Sequence[Record], now: float) -> None:
        """Hold `records`, received at `now`."""
        self._held.extend([(record, now) for record in records])
        self._fit()

    def due(self, now: float) -> bool:
        """Whether a batch should go now: it is full, or its window is over."""
        deadline = self.deadline
        return deadline is not None and (self.room == 0 or now >= deadline)

    def cut(self) -> list[Record]:
        """Take the next batch off the head, due or not; empty when nothing is held."""
        batch = [self._held.popleft()[0] for _ in range(self._fitting)]
        self._recount()
        return batch

    def remove(self, unwanted: Callable[[Record], bool]) -> list[Record]:
        """Take out and return the held records that `unwanted` picks; the others keep their order and windows."""
        removed = [record for record, _ in self._held if unwanted(record)]
        if removed:
            self._held = deque(entry for entry in self._held if not unwanted(entry[0]))
            self._recount()
        return removed

    def _recount(self) -> None:
        self._fitting, self._size, self._closed = 0, self._limits.envelope.size, False
        self._fit()

    def _fit(self) -> None:
        limits = self._limits
        if self._closed:
            return
        for index in range(self._fitting, min(len(self._held), limits.count)):
            size = self._size + len(self._held[index][0].event) + (index > 0)
            if size > limits.payload:
                self._closed = True
                self._fitting = max(1, index)  # a record too large for any batch goes alone
                return
            self._size, self._fitting = size, index + 1
