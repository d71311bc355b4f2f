"""Knows whether one mapping's positions can be saved, and what tells of it while they cannot."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from outboard.observe.bound import Positions
from outboard.observe.facts import commit_error
from outboard.observe.repeats import Warnings
from outboard.observe.trouble import Failure, Trouble, shown


class Saving:
    """The checkpoints of one mapping. Both methods may be called as often as one likes."""

    def __init__(
        self, positions: Positions, trouble: Trouble, log: FilteringBoundLogger, clock: Callable[[], float]
    ) -> None:
        self._positions = positions
        self._trouble = trouble
        self._log = log
        self._clock = clock
        self._warnings = Warnings(log, burst=1)
        self._logged = False

    def failed(self, error_type: str, message: str) -> None:
        """Positions could not be saved and are tried again; the next success says that this is over."""
        failure = Failure(self._clock(), shown(error_type), shown(message))
        self._positions.commit_errors[commit_error(error_type)].inc()
        self._trouble.not_saved(failure)
        self._logged |= self._warnings.write(failure.error_type, failure.at, "checkpoint failed", **failure.fields)

    def succeeded(self) -> None:
        """What was to be saved of the mapping's positions is durable; what kept it from being so is over."""
        now = self._clock()
        self._positions.last_checkpoint.set(now)
        if not self._trouble.is_unsaved:
            return
        if self._logged:
            self._log.info("checkpoints saved again", seconds=round(self._trouble.unsaved_for(now), 3))
        self._logged = False
        self._trouble.saved()
