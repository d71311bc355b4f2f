"""Knows which mappings of a process run as which configuration has them: sees them begin and end by their series."""

from collections.abc import Callable
from typing import Any

from outboard.observe.bound import counts
from outboard.observe.facts import MappingFacts
from outboard.observe.metrics import MappingSeries, Metrics
from tests.simulation.configurations import Version
from tests.simulation.history import History
from tests.simulation.lives import Incarnation
from tests.simulation.loop import Process


class WatchedMetrics:
    """The real metrics; `self.opened` and `self.closed` are told of each mapping's series."""

    def __init__(self, opened: Callable[[str, MappingSeries], None], closed: Callable[[MappingSeries], None]) -> None:
        self._real = Metrics()
        self._opened = opened
        self._closed = closed

    def open(self, facts: MappingFacts) -> MappingSeries:
        series = self._real.open(facts)
        self._opened(facts.name, series)
        return series

    def close(self, series: MappingSeries) -> None:
        self._closed(series)
        self._real.close(series)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Incarnations:
    """Those of one process. `version` is the configuration in force."""

    def __init__(self, process: Process, version: Version, history: History, now: Callable[[], float]) -> None:
        self.version = version
        self.metrics = WatchedMetrics(self._opened, self._closed)
        self.process = process
        self._history = history
        self._now = now
        self._by_series: dict[MappingSeries, Incarnation] = {}
        self._newest: dict[str, Incarnation] = {}
        self._numbers: dict[str, int] = {}

    def of(self, mapping: str) -> Incarnation | None:
        return self._newest.get(mapping)

    def number(self, mapping: str) -> str:
        """Tells the calls of the later ones from those of the first."""
        number = self._numbers.get(mapping, 0)
        return f" {number}" if number > 1 else ""

    def took(self, version: Version) -> None:
        """A reload has put another configuration in force."""
        before, self.version = self.version, version
        for name in before.entries:
            own = self._newest.get(name)
            if own is not None and own.dropped is None and not before.same(name, version):
                own.dropped = self._now()

    def _opened(self, name: str, series: MappingSeries) -> None:
        now = self._now()
        own = Incarnation(self.process, name, self.version.plans.get(name), now)
        self._by_series[series] = self._newest[name] = own
        self._numbers[name] = self._numbers.get(name, 0) + 1
        self._history.incarnations.append(own)
        if self._numbers[name] > 1:
            self._history.say(now, self.process.name, name, "begins anew")

    def _closed(self, series: MappingSeries) -> None:
        if not self.process.alive or self._history.over:
            return
        own = self._by_series[series]
        own.gone, own.counts = self._now(), counts(series)
        self._history.say(own.gone, self.process.name, own.mapping, "is gone")
