"""Puts the parts together: the only place that sees the runtime and the adapters both."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from outboard import __version__
from outboard.assembly import Connections, Surroundings, Workshop
from outboard.aws.calls import CallFailed
from outboard.aws.services import Services
from outboard.config.arns import SourceType
from outboard.config.listing import describe
from outboard.config.loading import FailedMapping, Loaded
from outboard.config.models import Configuration, EventSourceMapping
from outboard.config.support import STATEFUL
from outboard.core.ports import Checkpoints
from outboard.observe.http import serve
from outboard.observe.mapping import MappingFacts, MappingObserver, MappingState
from outboard.observe.metrics import Metrics
from outboard.observe.process import ProcessObserver
from outboard.runtime.budget import ByteBudget
from outboard.runtime.supervisor import Supervisor
from outboard.sources.kafka.way import consumers
from outboard.state.memory import MemoryCheckpoints
from outboard.state.sqlite import open_checkpoints

__all__ = ["Connections", "Outboard", "Surroundings", "run_service"]

#: Seconds for the last positions to become durable once all mappings have drained.
_LAST_SAVE = 5.0

#: Above this average lag of the event loop, in seconds, no mapping gets more lanes.
_SATURATED = 0.05


@dataclass(slots=True)
class _Entry:
    mapping: EventSourceMapping
    observer: MappingObserver
    created: float


@dataclass(slots=True)
class Outboard:
    """The service without its port and its signals: every mapping of a configuration, and what is to be seen of it."""

    loaded: Loaded
    connections: Connections
    metrics: Metrics
    process: ProcessObserver
    surroundings: Surroundings = field(default_factory=Surroundings)
    draining: bool = field(init=False, default=False)
    _entries: list[_Entry] = field(init=False, default_factory=list)
    _failed: list[MappingObserver] = field(init=False, default_factory=list)
    _supervisor: Supervisor = field(init=False)
    _listening: bool = field(init=False, default=False)
    _draining_since: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        configuration = self._configuration
        memory = configuration.limits.maximum_buffered_bytes
        self.process.buffer_limit(memory)
        workshop = Workshop(
            self.connections, self.surroundings, ByteBudget(memory), memory, lambda: self.process.lag > _SATURATED
        )
        runs = []
        for mapping in configuration.event_source_mappings:
            observer = self._observer(_facts(mapping))
            self._entries.append(_Entry(mapping, observer, self.surroundings.wall()))
            if not mapping.enabled:
                observer.state(MappingState.DISABLED, "Enabled is false")
                continue
            try:
                runs.append(workshop.mapping_run(mapping, observer))
            except CallFailed as failure:
                observer.state(MappingState.FAILED, failure.message)
        for failed in self.loaded.failed:
            observer = self._observer(_facts_of_failed(failed))
            observer.state(MappingState.FAILED, "; ".join(failed.reasons))
            self._failed.append(observer)
        self._supervisor = Supervisor(runs, configuration.shutdown.drain_timeout_seconds)

    @property
    def _configuration(self) -> Configuration:
        assert self.loaded.configuration is not None
        return self.loaded.configuration

    @property
    def stateful(self) -> Sequence[MappingObserver]:
        """The observers of the mappings whose positions are kept in State."""
        return [entry.observer for entry in self._entries if entry.mapping.source_type in STATEFUL]

    def stop(self, why: str) -> None:
        """Drain: finish the invokes under way, hand back the rest."""
        self.draining = True
        self._draining_since = self.surroundings.wall()
        self._supervisor.stop()
        self.process.draining(why)

    async def run(self) -> Mapping[str, int]:
        """Until `stop`. Returns the mappings that had not drained in time, and how many invokes each had under way."""
        try:
            unfinished = await self._supervisor.run()
            await self._save()
        finally:
            await self.connections.close()
        seconds = self.surroundings.wall() - self._draining_since
        if unfinished:
            self.process.drain_timed_out(seconds, sum(unfinished.values()))
        else:
            self.process.drained(seconds, sum(entry.observer.handed_back_events for entry in self._entries))
        return unfinished

    async def _save(self) -> None:
        """What was settled last becomes durable; a disk that is full does not hold up the exit."""
        left = self._draining_since + self._configuration.shutdown.drain_timeout_seconds - self.surroundings.wall()
        try:
            async with asyncio.timeout(max(0.0, min(_LAST_SAVE, left))):
                await self.surroundings.checkpoints.saved()
        except TimeoutError:
            pass  # the state says so, as it has since it failed

    def listening(self) -> None:
        self._listening = True

    # The status board

    @property
    def config_hash(self) -> str:
        return self.loaded.content_hash

    def ready(self) -> tuple[bool, Sequence[str]]:
        reasons = []
        if not self._listening:
            reasons.append("the status port is not open yet")
        if self.draining:
            reasons.append("the service is draining")
        return not reasons, reasons

    def mappings(self) -> Sequence[Mapping[str, object]]:
        return [observer.snapshot() for observer in (*(entry.observer for entry in self._entries), *self._failed)]

    def listing(self) -> Sequence[Mapping[str, object]]:
        shapes = []
        for entry in self._entries:
            shown = entry.observer.snapshot()
            state, reason, result = str(shown["state"]), str(shown["stateReason"]), entry.observer.last_result
            shapes.append(describe(entry.mapping, state, reason, entry.created, result))
        return shapes

    # Building

    def _observer(self, facts: MappingFacts) -> MappingObserver:
        return MappingObserver(facts, self.metrics, structlog.get_logger(), self.surroundings.wall)


def _facts(mapping: EventSourceMapping) -> MappingFacts:
    return MappingFacts(
        name=mapping.name,
        uuid=mapping.uuid,
        source_type=mapping.source_type.value,
        function_arn=mapping.function.arn,
        source_arn=mapping.event_source_arn or "",
        batch_size=mapping.batch_size,
    )


def _facts_of_failed(failed: FailedMapping) -> MappingFacts:
    kind = failed.source_type.value if failed.source_type else SourceType.SQS.value
    return MappingFacts(failed.name, failed.uuid or "", kind, source_arn=failed.source_arn or "")


class StateNews:
    """What becomes of saving positions, told to every mapping that has some."""

    def __init__(self) -> None:
        self.observers: Sequence[MappingObserver] = ()

    def failed(self, error_type: str, message: str) -> None:
        for observer in self.observers:
            observer.checkpoint_failed(error_type, message)

    def saved(self) -> None:
        for observer in self.observers:
            observer.checkpoint_saved()


@asynccontextmanager
async def _state(configuration: Configuration, news: StateNews) -> AsyncIterator[Checkpoints]:
    """The positions' place, opened only if a source needs it. Raises `StateUnavailable`."""
    needed = any(it.enabled and it.source_type in STATEFUL for it in configuration.event_source_mappings)
    if needed and configuration.state.type == "sqlite":
        async with open_checkpoints(configuration.state.path, news) as checkpoints:
            yield checkpoints
    else:
        yield MemoryCheckpoints()


async def run_service(loaded: Loaded, path: str) -> int:
    """Run until a signal; returns the exit code. Raises `PortUnavailable` and `StateUnavailable`."""
    assert loaded.configuration is not None
    metrics = Metrics()
    process = ProcessObserver(metrics, structlog.get_logger(), time.time)
    news = StateNews()
    async with _state(loaded.configuration, news) as checkpoints:
        services = Services(process.aws_request)
        surroundings = Surroundings(checkpoints=checkpoints, consumer=consumers(services.sdk_calls))
        outboard = Outboard(loaded, services, metrics, process, surroundings)
        news.observers = outboard.stateful
        _stop_on_signals(outboard)
        server = loaded.configuration.server
        async with serve(server.host, server.port, outboard, metrics) as url, asyncio.TaskGroup() as group:
            _announce(outboard, loaded, path, url)
            watch = group.create_task(outboard.process.watch_loop(), name="event loop watch")
            await outboard.run()
            watch.cancel()
    return 0


def _announce(outboard: Outboard, loaded: Loaded, path: str, url: str) -> None:
    assert loaded.configuration is not None
    process = outboard.process
    process.started(__version__, path, loaded.content_hash, len(loaded.configuration.event_source_mappings))
    for problem in loaded.problems:
        process.config_problem(str(problem))
    process.listening(url)
    outboard.listening()


def _stop_on_signals(outboard: Outboard) -> None:
    """The first SIGTERM or SIGINT drains, the second ends the process at once."""
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        if outboard.draining:
            outboard.process.second_signal(number.name)
            os._exit(128 + number)
        outboard.stop(number.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received, number)
