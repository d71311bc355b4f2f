"""Knows the shards of a stream: their positions, their lineage, and which of them may be read now."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Beginning:
    """From the oldest record that is still there."""


@dataclass(frozen=True, slots=True)
class Since:
    """From the first record that arrived at this moment, in epoch seconds, or later."""

    moment: float


@dataclass(frozen=True, slots=True)
class After:
    """Behind the record with this sequence number."""

    sequence_number: str


@dataclass(frozen=True, slots=True)
class End:
    """The shard was closed, and every record of it has met its fate."""


Position = Beginning | Since | After | End

_BEGINNING = "TRIM_HORIZON"
_SINCE = "AT_TIMESTAMP"
_END = "SHARD_END"


def written(position: Position) -> str:
    """A position as text, in the words of the Kinesis Client Library."""
    match position:
        case Beginning():
            return _BEGINNING
        case Since(moment):
            return f"{_SINCE} {moment!r}"
        case After(sequence_number):
            return sequence_number
        case End():
            return _END


def read(text: str) -> Position:
    """The position that `written` wrote. Raises ValueError for anything else."""
    if text == _BEGINNING:
        return Beginning()
    if text == _END:
        return End()
    word, _, moment = text.partition(" ")
    if word == _SINCE and math.isfinite(since := float(moment)):
        return Since(since)
    if text.isascii() and text.isdigit():
        return After(text)
    raise ValueError(f"{text!r} is not a position in a shard")


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard as the stream lists it. `parents`: none, the one that was split, or the two that were merged; `closed`:
    it was split or merged itself, and takes no new records.
    """

    identifier: str
    parents: tuple[str, ...] = ()
    closed: bool = False


class Lineage:
    """The shards of one stream. A shard may be read once each of its parents is done; or is listed no more, while
    nothing is read that is listed no more either.
    """

    def __init__(self, positions: Mapping[str, Position], start: Position) -> None:
        """`positions`: what is known from before; empty if the stream was never read, which then begins at `start`."""
        self._start = start
        self._positions = dict(positions)
        self._listed: dict[str, Shard] = {}
        self._opened: set[str] = set()

    def position(self, shard: str) -> Position:
        """Where to go on reading. Raises KeyError for a shard that was never listed."""
        return self._positions[shard]

    def listed(self, shards: Sequence[Shard]) -> dict[str, Position]:
        """Take in a whole listing; returns the positions of the shards that are new.

        Those of the first listing ever must be durable before they are read; a shard that appears later starts at its
        beginning, whenever that is found out.
        """
        first = Beginning() if self._positions else self._start
        new = {shard.identifier: first for shard in shards if shard.identifier not in self._positions}
        self._positions |= new
        self._listed = {shard.identifier: shard for shard in shards}
        return new

    def open_ready(self) -> list[Shard]:
        """The shards that may be read now and are not yet; they count as open from here on."""
        ready = [shard for shard in self._listed.values() if self._is_ready(shard)]
        self._opened.update(shard.identifier for shard in ready)
        return ready

    def closed(self, shard: str) -> None:
        """Nobody reads this shard any more; unless it is done it may be opened again."""
        self._opened.discard(shard)

    def settled(self, shard: str, position: Position) -> None:
        """Every record of the shard up to there has met its fate."""
        self._positions[shard] = position

    def is_listed(self, shard: str) -> bool:
        return shard in self._listed

    def is_open(self, shard: str) -> bool:
        """Whether the shard was open when the stream was listed last."""
        return shard in self._listed and not self._listed[shard].closed

    def has_children(self, shard: str) -> bool:
        return any(shard in listed.parents for listed in self._listed.values())

    @property
    def waiting(self) -> int:
        """How many shards wait for their parents."""
        return sum(not self._is_done(shard) and shard not in self._opened for shard in self._listed)

    def _is_ready(self, shard: Shard) -> bool:
        if shard.identifier in self._opened or self._is_done(shard.identifier):
            return False
        return all(self._is_over(parent) for parent in shard.parents)

    def _is_over(self, parent: str) -> bool:
        """One that is listed no more may still have its last batch on the way; and if it came and went unread, it may
        come from one that has. Shards go in the order of their lineage, so that such a one is listed no more either.
        """
        if self._is_done(parent):
            return True
        return parent not in self._listed and self._opened <= self._listed.keys()

    def _is_done(self, shard: str) -> bool:
        return isinstance(self._positions.get(shard), End)
