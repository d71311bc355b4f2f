"""Knows what is wrong with one mapping now: which failures last, what is blocked, and the sentences about both."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, auto

#: A failure that nothing ended and that did not come again for so long is over: longer than the longest invoke and the
#: longest backoff together, so that a batch that is tried again and again stays in sight.
FORGOTTEN_AFTER = 1800.0

#: Messages of functions and services are cut to this many characters.
SHOWN = 1000


class Work(Enum):
    """What can fail."""

    OPENING = auto()
    READING = auto()
    SENDING = auto()
    CALLING = auto()
    SAVING = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """Where something fails. `name` is that of a lane, a shard or an operation; empty for the source as a whole."""

    work: Work
    name: str = ""


#: The source as a whole; positions.
SOURCE = Place(Work.OPENING)
POSITIONS = Place(Work.SAVING)


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that failed at `at`, in epoch seconds."""

    at: float
    error_type: str
    message: str
    request_id: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """What of it is in a log line."""
        return {"error_type": self.error_type, "error_message": self.message}

    def __str__(self) -> str:
        said = f"{self.error_type}: {self.message}" if self.message else self.error_type
        return f"{said} (request {self.request_id})" if self.request_id else said


def shown(text: str) -> str:
    """A text from outside, cut and made safe to encode."""
    whole = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return whole.encode("utf-8", "replace").decode()


def iso(at: float) -> str:
    """Epoch seconds as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Block:
    """What fails again and again, since then.

    Attributes:
        positions: of the records that it is about, in a form for a sentence.
        lapses: seconds after its last failure in which it is over by itself; None if it never is.
    """

    since: float
    positions: str = ""
    lapses: float | None = None


class Trouble:
    """The failures of one mapping that are not over, each with its place. `now` is epoch seconds."""

    def __init__(self, lane_word: str = "lane") -> None:
        """`lane_word`: what a lane of the mapping's source is called."""
        self._lane_word = lane_word
        self._failures: dict[Place, Failure] = {}
        self._blocks: dict[Place, Block] = {}
        self._unsaved_since: float | None = None

    def failed(self, place: Place, failure: Failure) -> None:
        self._let_lapse(failure.at)
        self._failures[place] = failure

    def succeeded(self, lane: str) -> None:
        """The function works again: over for this lane, and for all that do not hold on to a batch that fails over and
        over; where such batches went back to their source, others may have them now.
        """
        for place in [each for each, block in self._blocks.items() if block.lapses is not None]:
            del self._blocks[place]
        for place in [each for each in self._failures if each.work is Work.SENDING]:
            if place.name == lane or place not in self._blocks:
                del self._failures[place]

    def over(self, place: Place) -> None:
        """The place does what it should: nothing of it failed or is blocked any more."""
        self._failures.pop(place, None)
        self._blocks.pop(place, None)

    def block(self, place: Place, block: Block) -> None:
        """The place fails again and again; what it fails with is its last failure. Blocked already, it is so since
        then, for what is said now.
        """
        known = self._blocks.get(place)
        self._blocks[place] = replace(block, since=known.since) if known else block

    def unblock(self, place: Place) -> None:
        self._blocks.pop(place, None)

    def not_saved(self, failure: Failure) -> None:
        """Positions could not be saved."""
        self._failures[POSITIONS] = failure
        if self._unsaved_since is None:
            self._unsaved_since = failure.at

    def saved(self) -> None:
        self._failures.pop(POSITIONS, None)
        self._unsaved_since = None

    def unsaved_for(self, now: float) -> float:
        """For how many seconds positions could not be saved; 0 while they can."""
        return 0.0 if self._unsaved_since is None else max(0.0, now - self._unsaved_since)

    def unread_for(self, now: float) -> float:
        """For how many seconds the source, or a part of it, could not be read; 0 while all of it can."""
        unread = (block.since for place, block in self._blocks.items() if place.work in (Work.OPENING, Work.READING))
        return max(0.0, now - min(unread, default=now))

    @property
    def is_unsaved(self) -> bool:
        return self._unsaved_since is not None

    def is_blocked(self, now: float) -> bool:
        self._let_lapse(now)
        return bool(self._blocks)

    def last(self, now: float) -> Failure | None:
        """The newest failure that is not over."""
        self._let_lapse(now)
        for place, failure in list(self._failures.items()):
            lasts = place in self._blocks or place is POSITIONS
            if not lasts and now - failure.at > FORGOTTEN_AFTER:
                del self._failures[place]
        return max(self._failures.values(), key=lambda failure: failure.at, default=None)

    def why_blocked(self, now: float) -> str:
        """A sentence about what is blocked the longest; empty if nothing is."""
        if not self.is_blocked(now):
            return ""
        place, block = min(self._blocks.items(), key=lambda item: item[1].since)
        said = f"{self._named(place, block)} has failed since {iso(block.since)}"
        if failure := self._failures.get(place):
            said = f"{said}: {failure}"
        others = len(self._blocks) - 1
        return f"{said} ({others} more blocked)" if others else said

    def why_unsaved(self) -> str:
        """A sentence about positions that cannot be saved; empty while they can."""
        if self._unsaved_since is None:
            return ""
        failure = self._failures[POSITIONS]
        return (
            f"Positions cannot be saved since {iso(self._unsaved_since)}: {failure};"
            " a restart would deliver again what was delivered since"
        )

    def _named(self, place: Place, block: Block) -> str:
        if place.work is Work.SENDING:
            records = f" ({block.positions})" if block.positions else ""
            return f"The batch in {self._lane_word} {place.name}{records}"
        return f"Reading {self._lane_word} {place.name}" if place.name else "Reading from the source"

    def _let_lapse(self, now: float) -> None:
        for place, block in list(self._blocks.items()):
            if block.lapses is None:
                continue
            failure = self._failures.get(place)
            if now - (failure.at if failure else block.since) > block.lapses:
                del self._blocks[place]
