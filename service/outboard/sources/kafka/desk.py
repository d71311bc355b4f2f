"""Knows what the partitions of one mapping share: their consumer, their part of the memory, and whom they tell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from outboard.core.ports import Allowance
from outboard.core.price import Price, charge_all
from outboard.core.records import Record
from outboard.observe.mapping import MappingObserver
from outboard.sources.kafka.consumer import Consumer, ConsumerError, FetchLimits

#: The part of the memory that what came off the wire may take beside the records that are made of it.
_ON_THE_WIRE = 8
_SMALLEST, _LARGEST = 64 * 1024, 1024 * 1024
_LARGEST_ANSWER = 16 * 1024 * 1024


def fetch_limits(memory: int, partitions: int) -> FetchLimits:
    """What a fetch may bring, for a mapping of so many partitions in a process with `memory` bytes for all records."""
    share = memory // _ON_THE_WIRE
    partition = max(_SMALLEST, min(_LARGEST, share // max(1, partitions)))
    return FetchLimits(partition, max(partition, min(_LARGEST_ANSWER, share)))


class Journal(Protocol):
    """Where a mapping's partitions say how far they are."""

    def moved(self) -> None:
        """A partition is settled further than the group was told."""

    def broken(self, error: ConsumerError) -> None:
        """The consumer is of no more use."""


@dataclass(slots=True)
class Held:
    """How many records all partitions of a mapping hold."""

    records: int = 0


@dataclass(frozen=True, slots=True)
class TopicDesk:
    """What the feeds of one mapping share."""

    consumer: Consumer
    topic: str
    journal: Journal
    allowance: Allowance
    price: Price
    observer: MappingObserver
    jitter: Callable[[], float]
    held: Held = field(default_factory=Held)

    def hold(self, records: Sequence[Record], granted: int) -> None:
        """So many bytes were granted for what turned out to be these."""
        self.allowance.adjust(granted, charge_all(records))
        self._show(len(records))

    def let_go(self, records: Sequence[Record], given_back: int = 0) -> None:
        """These are held no longer; `given_back` bytes of theirs were given back before."""
        self.allowance.give_back(charge_all(records) - given_back)
        self._show(-len(records))

    def _show(self, more: int) -> None:
        self.held.records += more
        self.observer.buffered(self.held.records, self.allowance.used)
