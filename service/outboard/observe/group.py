"""Knows what the facts about a consumer group mean to a mapping's metrics and log: its rebalances, commits and lag."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from outboard.observe.metrics import MappingSeries
from outboard.observe.repeats import Warnings
from outboard.observe.saving import Saving


class GroupFacts:
    """Of one mapping. A partition is named by its number, as text; events are counted by their offsets."""

    def __init__(
        self, series: MappingSeries, saving: Saving, log: FilteringBoundLogger, clock: Callable[[], float]
    ) -> None:
        self._series = series
        self._saving = saving
        self._log = log
        self._clock = clock
        self._warnings = Warnings(log, burst=3)
        self._partitions = series.gauge("partitions_owned")
        self._rebalances = series.counter("rebalances_total")
        self._committed = series.counter("committed_events_total")
        self._discarded = series.counter("discarded_events_total")
        self._expired = series.counter("expired_events_total")

    def rebalanced(self, partitions: int, seconds: float) -> None:
        """The group was divided anew, which took so long; so many partitions are ours now."""
        self._rebalances.inc()
        self._partitions.set(partitions)
        self._log.info("rebalanced", partitions=partitions, seconds=round(seconds, 3))

    def offset_lag(self, partition: str, events: int) -> None:
        """So many offsets lie between what is settled of the partition and its end. Shown until its lane is closed."""
        self._series.set_of_lane("offset_lag", partition, events)

    def committed(self, events: int) -> None:
        """The group's offsets were moved on by so many, and with that all is saved that was to be saved."""
        self._committed.inc(events)
        self._saving.succeeded()

    def discarded(self, events: int, partition: str) -> None:
        """These were sent, but their partition is another member's now, which will send them again."""
        self._discarded.inc(events)
        fields = {"events": events, "partition": partition}
        self._warnings.write(f"discarded {partition}", self._clock(), "events discarded", **fields)

    def expired(self, events: int, partition: str) -> None:
        """The source deleted these before they were read, which lost them. Always logged."""
        self._expired.inc(events)
        self._log.warning("events expired", events=events, partition=partition)

    @property
    def lag(self) -> int | None:
        """Offsets that are not settled, of all partitions together; None where no partition's are known."""
        lags = self._series.of_lanes("offset_lag")
        return int(sum(lags)) if lags else None
