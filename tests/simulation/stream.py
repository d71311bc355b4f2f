"""Knows a Kinesis stream: its shards, their records, how they split, merge, close and are forgotten; no calls, no faults."""

import hashlib
import itertools
import random
from collections import deque
from dataclasses import dataclass, field

from tests.simulation.loop import VirtualTimeLoop

#: Partition keys are spread over hash keys from 0 up to this.
HASHES = 2**128
#: GetRecords of one shard that Kinesis answers within a second.
_READS_A_SECOND = 5
#: Digits of the sequence numbers of AWS; here those of a shard's children have one more.
_DIGITS = 54


@dataclass(slots=True, eq=False)
class Entry:
    """One record of a stream. `index` is its place in its shard; `arrived` is the loop's time."""

    id: str
    key: str
    data: bytes
    sequence: int
    arrived: float
    shard: "Shard"
    index: int
    #: Since when nobody can read it any more: its shard was trimmed, or its stream deleted.
    gone: float | None = None


@dataclass(slots=True, eq=False)
class Shard:
    """One shard: hash keys from `low` up to `high`, which is not one of them. Closed, it takes no records any more."""

    id: str
    low: int
    high: int
    created: float
    parents: tuple["Shard", ...] = ()
    #: When the stream that it belongs to was created: a stream that is made again has shards of the same names.
    stream_created: float = 0.0
    generation: int = 0
    next_sequence: int = 0
    entries: list[Entry] = field(default_factory=list)
    children: list["Shard"] = field(default_factory=list)
    closed: float | None = None
    #: Since when it is not listed any more.
    trimmed: float | None = None
    #: Since when its stream is another one.
    deleted: float | None = None
    #: How many of its first entries are older than the stream's retention.
    expired: int = 0
    reads: deque[float] = field(default_factory=lambda: deque(maxlen=_READS_A_SECOND))

    def covers(self, hash_key: int) -> bool:
        return self.low <= hash_key < self.high


class Stream:
    """A stream in virtual time. `past` are the shards of streams of this name that were deleted."""

    def __init__(
        self, loop: VirtualTimeLoop, rng: random.Random, name: str, *, shards: int = 1, exists: bool = True
    ) -> None:
        self.name = name
        self.shards: dict[str, Shard] = {}
        self.past: list[Shard] = []
        self.ever: dict[str, Entry] = {}
        self.created = 0.0
        #: As AWS has it; "" if there is no such stream.
        self.status = ""
        self.forbidden = False
        #: The share of pages without records although there are some further on.
        self.empty_pages = 0.0
        #: The share of reads that find their iterator expired.
        self.expiries = 0.0
        #: Whether the last page of a shard names the shard's children; not every server's does.
        self.tells_children = True
        #: Shards in one answer to ListShards.
        self.listed_at_once = 1000
        self._loop = loop
        self._rng = rng
        self._first_shards = shards
        self._first_generation = 0
        if exists:
            self.create()
            self.status = "ACTIVE"

    @property
    def missing(self) -> bool:
        """Whether nothing can be put into it."""
        return self.status not in {"ACTIVE", "DELETING"}

    def create(self) -> None:
        """Once more under the same name, perhaps: with shards of the same names as before, and other records."""
        self.status = "CREATING"
        self.created = self._loop.wall_clock()
        bounds = [HASHES * number // self._first_shards for number in range(self._first_shards + 1)]
        for low, high in itertools.pairwise(bounds):
            self._add(low, high)

    def _add(self, low: int, high: int, parents: tuple[Shard, ...] = ()) -> Shard:
        shard = Shard(f"shardId-{len(self.shards):012d}", low, high, self._loop.time(), parents, self.created)
        shard.generation = max((parent.generation + 1 for parent in parents), default=self._first_generation)
        shard.next_sequence = self._first_sequence(shard.generation)
        for parent in parents:
            parent.closed = self._loop.time()
            parent.children.append(shard)
        self.shards[shard.id] = shard
        return shard

    def _first_sequence(self, generation: int) -> int:
        """Higher than any of the parents', and mostly so near to a power of ten that the shard's own will cross it: they
        ascend as numbers and not as text.
        """
        power = 10 ** (_DIGITS + generation)
        return power - self._rng.randint(1, 12) if self._rng.random() < 0.7 else power // 2

    @property
    def open_shards(self) -> list[Shard]:
        return [shard for shard in self.shards.values() if shard.closed is None]

    def every_shard(self) -> list[Shard]:
        """Those that are listed, those that no longer are, and those of deleted streams of this name."""
        return [*self.past, *self.shards.values()]

    def put(self, identifier: str, key: str, data: bytes, at: float | None = None) -> Entry:
        """`at`: when it arrived, if that was before the start of the world."""
        shard = next(shard for shard in self.open_shards if shard.covers(hash_of(key)))
        arrived = self._loop.time() if at is None else at
        entry = Entry(identifier, key, data, shard.next_sequence, arrived, shard, len(shard.entries))
        shard.next_sequence += self._rng.randint(1, 3)
        shard.entries.append(entry)
        self.ever[identifier] = entry
        return entry

    def split(self, shard: Shard) -> None:
        middle = (shard.low + shard.high) // 2
        self._add(shard.low, middle, (shard,))
        self._add(middle, shard.high, (shard,))

    def merge(self, lower: Shard, upper: Shard) -> None:
        """Raises ValueError unless the second begins where the first ends."""
        if lower.high != upper.low:
            raise ValueError(f"{lower.id} and {upper.id} are not adjacent")
        self._add(lower.low, upper.high, (lower, upper))

    def reshard(self, kind: str) -> None:
        """Split or merge shards that chance picks, if there are any to be merged."""
        if self.missing:
            return
        ranges = sorted(self.open_shards, key=lambda shard: shard.low)
        if kind == "split":
            self.split(self._rng.choice(ranges))
        elif len(ranges) > 1:
            first = self._rng.randrange(len(ranges) - 1)
            self.merge(ranges[first], ranges[first + 1])

    def trim(self) -> None:
        """What is older than the retention goes: closed shards, and of others some of the first records."""
        for shard in self.shards.values():
            if shard.closed is None:
                self._lose(shard, self._rng.randint(shard.expired, len(shard.entries)))
            elif shard.trimmed is None:
                shard.trimmed = self._loop.time()
                self._lose(shard, len(shard.entries))

    def delete(self) -> None:
        self.status = ""
        for shard in self.shards.values():
            shard.deleted = self._loop.time()
            self._lose(shard, len(shard.entries))
        self.past += self.shards.values()
        # No sequence number is given out twice.
        self._first_generation = 1 + max(shard.generation for shard in self.past)
        self.shards = {}

    def _lose(self, shard: Shard, count: int) -> None:
        for entry in shard.entries[shard.expired : count]:
            entry.gone = self._loop.time()
        shard.expired = max(count, shard.expired)

    def listed(self) -> list[Shard]:
        return [shard for shard in self.shards.values() if shard.trimmed is None]

    def may_read(self, shard: Shard) -> bool:
        """Takes one of the reads that the shard answers within a second; False if there were too many."""
        now = self._loop.time()
        if len(shard.reads) == _READS_A_SECOND and now - shard.reads[0] < 1.0:
            return False
        shard.reads.append(now)
        return True


def hash_of(key: str) -> int:
    """As Kinesis has it: the MD5 sum of the partition key."""
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest(), "big")
