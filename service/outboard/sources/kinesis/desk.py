"""Knows what the shards of one mapping share: their stream, their part of the memory, and whom they tell."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from outboard.core.price import Price
from outboard.core.shards import Position
from outboard.events.kinesis import StreamFacts
from outboard.observe.mapping import MappingObserver
from outboard.sources.holdings import Holdings
from outboard.sources.kinesis.stream import KinesisStream

#: What a page costs at most: Kinesis gives 10 MB of data, which base64 makes a third larger and the payload doubles.
LARGEST_PAGE = 32 * 1024 * 1024


class Journal(Protocol):
    """Where a mapping's shards say how far they are."""

    def at(self, shard: str, position: Position) -> None:
        """The shard is settled up to this position."""

    def doubt(self) -> None:
        """A read was refused as if the stream, or the shard, were not there any more: look."""

    def is_listed(self, shard: str) -> bool:
        """Whether the stream had the shard when it was looked at last."""

    def is_open(self, shard: str) -> bool:
        """Whether the shard took new records then."""

    def expires(self, arrived: float) -> bool:
        """Whether a record that arrived then, in epoch seconds, is as old as the stream lets records become."""


@dataclass(frozen=True, slots=True)
class ShardDesk:
    """What the feeds of one mapping share. `reads`: how many large pages may be on their way at once; `latest`: the
    mapping started at what was the newest record then.
    """

    stream: KinesisStream
    facts: StreamFacts
    journal: Journal
    holdings: Holdings
    price: Price
    reads: asyncio.Semaphore
    observer: MappingObserver
    jitter: Callable[[], float]
    latest: bool = False
