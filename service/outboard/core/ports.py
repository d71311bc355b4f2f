"""Knows the few shapes through which sources, functions and the runtime meet; none of them imports the other."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from outboard.core.outcome import Outcome
from outboard.core.records import DropReason, Envelope, Record


class Feed(Protocol):
    """Where one lane takes records from, and where it says what became of them."""

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        """Up to `limit` records, waiting for them until the loop's clock is at `until` (None: as long as the source
        likes); may come back early and empty. None: no more for this batch, send what there is; with nothing held, the
        lane ends. Errors of the source are made visible and waited out inside.
        """

    async def settle(self, delivered: Sequence[Record], returned: Sequence[Record]) -> None:
        """Checkpoint or delete what was delivered; give back what the function failed, to come again later."""

    def lapsed(self, records: Sequence[Record]) -> Sequence[Record]:
        """Those of `records` that are no longer ours to send: the source has taken them back."""

    async def give_up(self, records: Sequence[Record], reason: DropReason) -> None:
        """A limit that the user set, or the payload's size, ends these records' life here."""

    async def release(self, records: Sequence[Record]) -> None:
        """Hand back what was read and not delivered, so that another reader can have it at once."""

    def blocked(self, records: Sequence[Record]) -> None:
        """The lane's batch, of which these are tried now, fails again and again: hold no more than that, so that others
        have the memory.
        """

    def stop(self) -> None:
        """Read no more. A read that is under way is let answer where cutting it off would hide records."""


class Lane(Protocol):
    """A running lane, as the source that opened it sees it."""

    def stop(self) -> None:
        """Finish the invoke under way, apply its answer, release the rest or send it once, end."""

    async def ended(self) -> None:
        """Returns when the lane has ended."""


class Lanes(Protocol):
    """What a mapping gives its source to open lanes with."""

    @property
    def limit(self) -> int:
        """How many invokes the mapping may have in flight now: the user's cap, less what throttles took away."""

    @property
    def saturated(self) -> bool:
        """The process has no CPU left: more lanes would only queue for it."""

    def open(self, name: str, feed: Feed, envelope: Envelope | None = None) -> Lane:
        """Start a lane; it runs until it is stopped or its feed ends. `envelope`: what its batches are wrapped in, if
        not in what those of all lanes are.
        """

    def hold(self) -> None:
        """Start no invoke until `go_on`: it is not known whose records they are."""

    def go_on(self) -> None: ...

    async def idle(self) -> None:
        """Returns once no invoke is under way and what came of each is applied."""


class Source(Protocol):
    """One mapping's event source."""

    async def run(self, lanes: Lanes) -> None:
        """Open and close lanes until `stop`. Raises `SourceFailed` for what only the user or an operator can mend;
        the mapping shows the reason and runs the source again later.
        """

    def stop(self) -> None:
        """Open no more lanes, stop those that are open; `run` returns once they have ended."""


class Allowance(Protocol):
    """A mapping's part of the process's memory budget, in bytes."""

    async def take(self, size: int) -> int:
        """Wait until `size`, or as much of it as can ever be granted, is granted; returns how much that is."""

    def try_take(self, size: int) -> bool: ...

    def adjust(self, granted: int, actual: int) -> None:
        """What was granted for a read turned out as `actual`."""

    def give_back(self, size: int) -> None: ...

    @property
    def used(self) -> int: ...


class Checkpoints(Protocol):
    """Positions of sources that do not keep them themselves: of a mapping (its UUID), a stream of it, a shard of that.

    What a stream and a position are is the source's business; here they are text.
    """

    async def load(self, mapping: str, stream: str) -> Mapping[str, str]:
        """The positions by shard, with those that were given to `save` and are not durable yet."""

    def save(self, mapping: str, stream: str, positions: Mapping[str, str]) -> None:
        """Replace these shards' positions; durable within half a second, together and in the order of the calls. While
        that fails it is made visible and tried again, and nobody waits for it but `saved`.
        """

    def is_saved(self, mapping: str, stream: str) -> bool:
        """Whether all positions that the last `load` of them gave are durable; to be asked right after it."""

    async def saved(self) -> None:
        """Returns once all that was given to `save` until now is durable."""


class Function(Protocol):
    """The function that a mapping invokes."""

    async def invoke(self, payload: bytes, trace: str | None) -> Outcome:
        """One call, no retry; every way of failing is an outcome. `trace` is an X-Amzn-Trace-Id."""


class SourceFailed(Exception):
    """The source cannot be read: it is missing, forbidden or out of reach. The message is for an operator."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
