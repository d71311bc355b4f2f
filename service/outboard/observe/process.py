"""Knows what each fact about the whole process means to its metrics and its log: one function a fact."""

import asyncio
import platform
from collections.abc import Callable, Sequence

from structlog.typing import FilteringBoundLogger

from outboard.observe.metrics import Metrics

#: Weight of the newest measurement in the moving average of the loop's lag.
_WEIGHT = 0.2

#: Lag above this is worth a log line, in seconds; at most one a minute.
_NOTEWORTHY_LAG = 1.0


class ProcessObserver:
    """Everything that is told about the process. Moments are epoch seconds, durations seconds, sizes bytes."""

    def __init__(self, metrics: Metrics, log: FilteringBoundLogger, clock: Callable[[], float]) -> None:
        """`clock` gives the epoch time."""
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._lag = 0.0
        self._lag_gauge = metrics.gauge("event_loop_lag_seconds")
        self._requests = metrics.counter("aws_requests_total")
        self._request_counts: dict[tuple[str, str, str], Callable[[], None]] = {}

    @property
    def lag(self) -> float:
        """How late the event loop runs what is due, in seconds: a moving average over the last seconds."""
        return self._lag

    def started(self, version: str, config_path: str, config_hash: str, mappings: int) -> None:
        """The process runs, with its first configuration."""
        self._metrics.gauge("build_info").labels(version, platform.python_version()).set(1)
        self._in_force(config_hash)
        self._log.info("started", version=version, config=config_path, config_hash=config_hash, mappings=mappings)

    def _in_force(self, config_hash: str) -> None:
        info = self._metrics.gauge("config_info")
        info.clear()
        info.labels(config_hash).set(1)
        self._metrics.gauge("config_last_reload_success_timestamp_seconds").set(self._clock())
        self._metrics.gauge("config_last_reload_successful").set(1)

    def config_reloaded(self, config_hash: str, added: int, removed: int, changed: int) -> None:
        """A changed configuration is in force."""
        self._in_force(config_hash)
        self._metrics.counter("config_reloads_total").labels("applied").inc()
        self._log.info("configuration reloaded", config_hash=config_hash, added=added, removed=removed, changed=changed)

    def config_refused(self, problems: Sequence[str]) -> None:
        """A changed configuration has problems; the old one stays in force."""
        self._metrics.counter("config_reloads_total").labels("refused").inc()
        self._metrics.gauge("config_last_reload_successful").set(0)
        self._log.error("configuration refused", problems=list(problems))

    def config_problem(self, problem: str) -> None:
        """One thing that is wrong with the configuration, as a sentence."""
        self._log.error("configuration problem", problem=problem)

    def restart_required(self, fields: Sequence[str]) -> None:
        """The top-level fields whose changes wait for a restart; none once they are as they were."""
        self._metrics.gauge("config_restart_required").set(1 if fields else 0)
        if fields:
            self._log.warning("restart needed", fields=list(fields))

    def checkpoint_failed(self, error_type: str, message: str) -> None:
        """Positions of mappings that are no longer in the configuration could not be saved; it is tried again."""
        self._log.warning("checkpoint failed", error_type=error_type, error_message=message)

    def buffer_limit(self, size: int) -> None:
        """What all mappings together may hold in memory."""
        self._metrics.gauge("buffer_limit_bytes").set(size)

    def listening(self, url: str) -> None:
        """The status port answers there."""
        self._log.info("listening", url=url)

    def draining(self, why: str) -> None:
        """Nothing new is read; what is under way is finished. `why` names the signal."""
        self._metrics.gauge("draining").set(1)
        self._log.info("draining", why=why)

    def drained(self, seconds: float, handed_back: int) -> None:
        """All invokes ended; so many events went back unsent."""
        self._log.info("drained", seconds=round(seconds, 3), handed_back=handed_back)

    def drain_timed_out(self, seconds: float, unfinished: int) -> None:
        """So many invokes had not ended in time; their events will come again."""
        self._log.warning("drain timed out", seconds=round(seconds, 3), unfinished=unfinished)

    def second_signal(self, signal: str) -> None:
        """Somebody does not want to wait for the drain."""
        self._log.warning("second signal, ending at once", signal=signal)

    def aws_request(self, service: str, operation: str, code: str) -> None:
        """A request ended; `code` is `OK`, the error code, or the transport's name for what went wrong."""
        key = (service, operation, code)
        count = self._request_counts.get(key)
        if count is None:
            count = self._request_counts[key] = self._requests.labels(*key).inc
        count()

    async def watch_loop(self, interval: float = 0.25) -> None:
        """Measure the event loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        logged = float("-inf")
        while True:
            due = loop.time() + interval
            await asyncio.sleep(interval)
            late = max(0.0, loop.time() - due)
            self._lag += _WEIGHT * (late - self._lag)
            self._lag_gauge.set(self._lag)
            if late > _NOTEWORTHY_LAG and due - logged > 60.0:
                logged = due
                self._log.warning("event loop was blocked", seconds=round(late, 3))
