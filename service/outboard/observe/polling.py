"""Knows what the reads of one mapping's source came to: which places fail, how often in a row, and when that is over.

A place is a shard, or empty where the source has no parts; every place fails and recovers on its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from outboard.observe.bound import Reading
from outboard.observe.facts import ErrorClass, PollResult, error_class
from outboard.observe.repeats import Warnings
from outboard.observe.trouble import SOURCE, Block, Failure, Place, Trouble, Work, shown

#: Readers that share a stream throttle each other now and then, and records flow all the same: only what is throttled
#: for so many seconds without a read between is blocked.
_THROTTLED_LONG = 60.0


@dataclass(slots=True)
class _Streak:
    """Failures in a row. `logged`: at least one of them was written as a warning."""

    since: float
    failures: int = 0
    logged: bool = False


class Polling:
    """The reads of one mapping. Each method returns whether what shows of the mapping may have changed."""

    def __init__(
        self,
        reading: Reading,
        trouble: Trouble,
        log: FilteringBoundLogger,
        clock: Callable[[], float],
        lane_word: str = "lane",
    ) -> None:
        self._reading = reading
        self._trouble = trouble
        self._log = log
        self._clock = clock
        self._lane_word = lane_word
        self._warnings = Warnings(log, burst=1)
        self._streaks: dict[Place, _Streak] = {}

    def succeeded(self, events: int, size: int, seconds: float, place: str) -> bool:
        """A read came back, empty or not; it says of the whole source that it can be read."""
        reading = self._reading
        if events:
            reading.polls_with_records.inc()
            reading.polled_events.inc(events)
            reading.polled_bytes.inc(size)
        else:
            reading.polls_without.inc()
        reading.poll_seconds.observe(seconds)
        reading.last_poll.set(self._clock())
        if not self._streaks:
            return False
        return self._recovered(Place(Work.READING, place)) | self._recovered(SOURCE)

    def failed(self, error_type: str, message: str, place: str) -> bool:
        """A read failed; the second failure of a place in a row blocks it."""
        self._reading.polls[PollResult.ERROR].inc()
        where = Place(Work.READING, place)
        streak = self._count("polling failed", error_type, message, where)
        throttled = error_class(error_type) is ErrorClass.THROTTLED
        if streak.failures < 2 or (throttled and self._clock() - streak.since < _THROTTLED_LONG):
            return False
        self._trouble.block(where, Block(streak.since))
        return True

    def source_failed(self, error_type: str, message: str) -> bool:
        """The source as a whole could not be read, which blocks it at once."""
        streak = self._count("source failed", error_type, message, SOURCE)
        self._trouble.block(SOURCE, Block(streak.since))
        return True

    def closed(self, place: str) -> None:
        """The place is not read any more."""
        where = Place(Work.READING, place)
        self._streaks.pop(where, None)
        self._trouble.over(where)

    def _count(self, event: str, error_type: str, message: str, where: Place) -> _Streak:
        failure = Failure(self._clock(), shown(error_type), shown(message))
        self._reading.polling_errors[error_class(error_type)].inc()
        self._trouble.failed(where, failure)
        streak = self._streaks.setdefault(where, _Streak(failure.at))
        streak.failures += 1
        fields = {**self._named(where), **failure.fields}
        streak.logged |= self._warnings.write(failure.error_type, failure.at, event, **fields)
        return streak

    def _recovered(self, where: Place) -> bool:
        streak = self._streaks.pop(where, None)
        if streak is None:
            return False
        if streak.logged:
            self._log.info("polling recovered", failures=streak.failures, **self._named(where))
        self._trouble.over(where)
        return True

    def _named(self, where: Place) -> dict[str, str]:
        return {self._lane_word: where.name} if where.name else {}
