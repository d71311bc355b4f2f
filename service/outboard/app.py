"""Puts the parts together: the only place that sees the runtime and the adapters both."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from outboard import __version__
from outboard.aws.calls import CallFailed, JsonService, LambdaService
from outboard.aws.services import Services
from outboard.config.arns import SourceType
from outboard.config.listing import describe
from outboard.config.loading import FailedMapping, Loaded
from outboard.config.models import Configuration, EventSourceMapping
from outboard.core.batcher import BatchLimits
from outboard.core.delivery import OnFailure, Policy
from outboard.core.ports import Feed, Source, SourceFailed
from outboard.events import sqs as sqs_events
from outboard.invoke.function import function_of
from outboard.observe.http import serve
from outboard.observe.mapping import MappingFacts, MappingObserver, MappingState
from outboard.observe.metrics import Metrics
from outboard.observe.process import ProcessObserver
from outboard.runtime.budget import ByteBudget
from outboard.runtime.gate import Gate
from outboard.runtime.lane import Work
from outboard.runtime.mapping import MappingRun
from outboard.runtime.supervisor import Supervisor
from outboard.sources.sqs import SqsSource
from outboard.sources.sqs.feed import Desk, SqsFeed
from outboard.sources.sqs.queue import SqsQueue, url_of
from outboard.sources.sqs.source import SqsSettings

#: Concurrent invokes of a mapping that names no limit; AWS stops at 1,250.
DEFAULT_CONCURRENCY = 1_000

#: Above this average lag of the event loop, in seconds, no mapping gets more lanes.
_SATURATED = 0.05


class Connections(Protocol):
    """How AWS is reached; a simulation puts its own world behind this."""

    @property
    def region(self) -> str | None: ...

    def sqs_endpoint(self, region: str, endpoint: str | None) -> str: ...

    def sqs(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService: ...

    def lambda_(self, region: str, endpoint: str | None, role_arn: str | None) -> LambdaService: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is not decided by the configuration: epoch time, chance, and which feed an SQS poller takes from."""

    wall: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random
    sqs_feed: Callable[[Desk], Feed] = SqsFeed


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
        budget = ByteBudget(configuration.limits.maximum_buffered_bytes)
        self.process.buffer_limit(configuration.limits.maximum_buffered_bytes)
        runs = []
        for mapping in configuration.event_source_mappings:
            observer = self._observer(_facts(mapping))
            self._entries.append(_Entry(mapping, observer, self.surroundings.wall()))
            if not mapping.enabled:
                observer.state(MappingState.DISABLED, "Enabled is false")
                continue
            try:
                runs.append(self._run_of(mapping, observer, budget))
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

    def stop(self, why: str) -> None:
        """Drain: finish the invokes under way, hand back the rest."""
        self.draining = True
        self._draining_since = self.surroundings.wall()
        self.process.draining(why)
        self._supervisor.stop()

    async def run(self) -> Mapping[str, int]:
        """Until `stop`. Returns the mappings that had not drained in time, and how many invokes each had under way."""
        try:
            unfinished = await self._supervisor.run()
        finally:
            await self.connections.close()
        seconds = self.surroundings.wall() - self._draining_since
        if unfinished:
            self.process.drain_timed_out(seconds, sum(unfinished.values()))
        else:
            self.process.drained(seconds, sum(entry.observer.handed_back_events for entry in self._entries))
        return unfinished

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
            shapes.append(describe(entry.mapping, str(shown["state"]), str(shown["stateReason"]), entry.created))
        return shapes

    # Building

    def _observer(self, facts: MappingFacts) -> MappingObserver:
        return MappingObserver(facts, self.metrics, structlog.get_logger(), self.surroundings.wall)

    def _run_of(self, mapping: EventSourceMapping, observer: MappingObserver, budget: ByteBudget) -> MappingRun:
        share = budget.share(mapping.uuid)
        work = Work(
            function=function_of(self.connections, mapping),
            limits=BatchLimits(mapping.batch_size, mapping.window),
            policy=Policy(OnFailure.RETURN, partial_responses=mapping.report_batch_item_failures),
            gate=Gate(mapping.concurrency_limit or DEFAULT_CONCURRENCY, observer.concurrency),
            observer=observer,
            trace=sqs_events.trace,
            wall=self.surroundings.wall,
            jitter=self.surroundings.jitter,
        )
        assert mapping.source_type is SourceType.SQS  # the configuration refuses what is not carried out
        region = mapping.source.region
        settings = SqsSettings(
            facts=sqs_events.QueueFacts(str(mapping.source), region, md5_null=mapping.window >= 1),
            window=mapping.window,
            allowance=share,
            observer=observer,
            jitter=self.surroundings.jitter,
            memory=self._configuration.limits.maximum_buffered_bytes,
        )

        def build() -> Source:
            try:
                service = self.connections.sqs(region, mapping.source_endpoint_url, mapping.source_role_arn)
                endpoint = self.connections.sqs_endpoint(region, mapping.source_endpoint_url)
            except CallFailed as failure:
                raise SourceFailed(failure.code, failure.message) from None
            queue = SqsQueue(service, url_of(endpoint, mapping.source))
            return SqsSource(queue, settings, self.surroundings.sqs_feed)

        return MappingRun(mapping.name, build, work, lambda: self.process.lag > _SATURATED)


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


async def run_service(loaded: Loaded, path: str) -> int:
    """Run until a signal; returns the exit code. Raises `PortUnavailable`."""
    assert loaded.configuration is not None
    metrics = Metrics()
    process = ProcessObserver(metrics, structlog.get_logger(), time.time)
    outboard = Outboard(loaded, Services(process.aws_request), metrics, process)
    _stop_on_signals(outboard)
    server = loaded.configuration.server
    async with serve(server.host, server.port, outboard, metrics) as url, asyncio.TaskGroup() as group:
        outboard.process.started(
            __version__, path, loaded.content_hash, len(loaded.configuration.event_source_mappings)
        )
        for problem in loaded.problems:
            outboard.process.config_problem(str(problem))
        outboard.process.listening(url)
        outboard.listening()
        watch = group.create_task(outboard.process.watch_loop(), name="event loop watch")
        await outboard.run()
        watch.cancel()
    return 0


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
