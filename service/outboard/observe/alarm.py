"""Knows which changes of a mapping's state are worth a line in the log."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from outboard.observe.facts import MappingState
from outboard.observe.repeats import Warnings
from outboard.observe.standing import Standing
from outboard.observe.trouble import shown


class Alarm:
    """The log of one mapping's state. Most of its changes follow from other facts, some from the clock alone."""

    def __init__(self, standing: Standing, log: FilteringBoundLogger, clock: Callable[[], float]) -> None:
        self._standing = standing
        self._log = log
        self._clock = clock
        self._warnings = Warnings(log, burst=3)
        self._noted = MappingState.CREATING
        self._warned = False

    def told(self, state: MappingState, reason: str) -> None:
        """What the mapping was told to be, or came to."""
        if not self._standing.become(state, reason := shown(reason)):
            return
        log = self._log.error if state is MappingState.FAILED else self._log.info
        log("mapping state", state=state.value, reason=reason)
        self.look()

    def look(self) -> None:
        """Something has happened that the state may follow from."""
        at = self._clock()
        before, now = self._noted, self._standing.state(at)
        self._noted = now
        if now is before:
            return
        if now is MappingState.BLOCKED:
            self._warned = self._warnings.write("blocked", at, "mapping blocked", reason=self._standing.reason(at))
        elif before is MappingState.BLOCKED and now is MappingState.ENABLED:
            # Whoever was warned hears of the end, too; one that flaps is told of now and then.
            (self._log.info if self._warned else self._log.debug)("mapping unblocked")
