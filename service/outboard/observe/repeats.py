"""Knows which of many alike log lines to write: the first few at once, then one per interval, which counts the rest."""

from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger


@dataclass(slots=True)
class _Allowance:
    """`spent_until` is when the whole burst is to be had again; `withheld` counts what was not written since."""

    spent_until: float = 0.0
    withheld: int = 0


class Repeats:
    """At most `burst` lines at once and one per `interval` seconds in the long run, for each key."""

    def __init__(self, burst: int, interval: float, keys: int = 1000) -> None:
        """`keys` bounds how many keys are remembered: the longest known is forgotten first."""
        self._slack = (burst - 1) * interval
        self._interval = interval
        self._keys = keys
        self._allowances: dict[str, _Allowance] = {}

    def admit(self, key: str, now: float) -> int | None:
        """None to withhold the line, else how many lines were withheld since the last one written."""
        allowance = self._allowances.get(key)
        if allowance is None:
            if len(self._allowances) >= self._keys:
                del self._allowances[next(iter(self._allowances))]
            allowance = self._allowances[key] = _Allowance(now)
        if now < allowance.spent_until - self._slack:
            allowance.withheld += 1
            return None
        allowance.spent_until = max(allowance.spent_until, now) + self._interval
        withheld, allowance.withheld = allowance.withheld, 0
        return withheld

    def forget(self, key: str) -> None:
        """The key will not come again."""
        self._allowances.pop(key, None)


class Warnings:
    """Warnings that may come in floods; what is withheld is still written at debug."""

    def __init__(self, log: FilteringBoundLogger, burst: int) -> None:
        """A key's first `burst` warnings are written at once, then one a minute with the number of those withheld."""
        self._log = log
        self._repeats = Repeats(burst, interval=60.0)

    def write(self, key: str, now: float, event: str, **fields: object) -> bool:
        """Whether it was written as a warning."""
        withheld = self._repeats.admit(key, now)
        if withheld is None:
            self._log.debug(event, **fields)
            return False
        self._log.warning(event, **fields, **({"withheld": withheld} if withheld else {}))
        return True

    def forget(self, key: str) -> None:
        """The key will not come again."""
        self._repeats.forget(key)
