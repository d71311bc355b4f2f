"""Knows what the partitions of one mapping share: their consumer, their part of the memory, and whom they tell."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from outboard.core.price import Price
from outboard.observe.mapping import MappingObserver
from outboard.sources.holdings import Holdings
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


@dataclass(frozen=True, slots=True)
class TopicDesk:
    """What the feeds of one mapping share."""

    consumer: Consumer
    topic: str
    journal: Journal
    holdings: Holdings
    price: Price
    observer: MappingObserver
    jitter: Callable[[], float]
