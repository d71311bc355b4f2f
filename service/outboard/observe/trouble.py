"""Knows what is wrong with one mapping now: which failures last, which lanes are blocked, and the sentence for both."""

from dataclasses import dataclass
from datetime import UTC, datetime

#: A failure that nothing ended and that did not come again for so long is over: longer than the longest invoke and the
#: longest backoff together, so that a batch that is tried again and again stays in sight.
FORGOTTEN_AFTER = 1800.0

#: The place of failures to read from the source; lanes have names of their own.
SOURCE = ""

#: Messages of functions and services are cut to this many characters.
SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that failed at `at`, in epoch seconds."""

    at: float
    error_type: str
    message: str

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message}" if self.message else self.error_type


def shown(text: str) -> str:
    """A text from outside, cut and made safe to encode."""
    whole = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return whole.encode("utf-8", "replace").decode()


def iso(at: float) -> str:
    """Epoch seconds as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Trouble:
    """The failures of one mapping that are not over, each with the place where it happened."""

    def __init__(self) -> None:
        self._failures: dict[str, Failure] = {}
        self._blocked: dict[str, float] = {}
        self._lanes: set[str] = set()

    def invoke_failed(self, lane: str, failure: Failure) -> None:
        self._lanes.add(lane)
        self._failures[lane] = failure

    def invoke_succeeded(self, lane: str) -> None:
        """The function works again: over for this lane, and for all whose batch is not failing over and over."""
        for place in self._lanes - (self._blocked.keys() - {lane}):
            self._failures.pop(place, None)
        self._lanes &= self._failures.keys()

    def failed(self, place: str, failure: Failure) -> None:
        self._failures[place] = failure

    def over(self, place: str) -> None:
        self._failures.pop(place, None)

    def block(self, place: str, since: float) -> None:
        """The place fails again and again, since then; what it fails with is its last failure."""
        self._blocked.setdefault(place, since)

    def unblock(self, place: str) -> None:
        self._blocked.pop(place, None)

    @property
    def is_blocked(self) -> bool:
        return bool(self._blocked)

    def last(self, now: float) -> Failure | None:
        """The newest failure that is not over."""
        for place, failure in list(self._failures.items()):
            if place not in self._blocked and now - failure.at > FORGOTTEN_AFTER:
                del self._failures[place]
        return max(self._failures.values(), key=lambda failure: failure.at, default=None)

    def reason(self) -> str:
        """A sentence about what is blocked the longest; empty if nothing is."""
        if not self._blocked:
            return ""
        place = min(self._blocked, key=self._blocked.__getitem__)
        who = f"The batch in lane {place}" if place else "Reading from the source"
        said = f"{who} has failed again and again since {iso(self._blocked[place])}"
        if failure := self._failures.get(place):
            said = f"{said}: {failure}"
        others = len(self._blocked) - 1
        return f"{said} ({others} more blocked)" if others else said
