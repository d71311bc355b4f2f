"""Puts the parts together: the only place that sees the runtime and the adapters both."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from outboard import __version__
from outboard.assembly import Connections, Surroundings, Workshop
from outboard.aws.services import Services
from outboard.config.changes import changes, misplaced, needs_state, restart_needed
from outboard.config.loading import Loaded, Texts, read
from outboard.config.models import Configuration, State
from outboard.core.ports import Checkpoints
from outboard.fleet import Fleet
from outboard.observe.http import serve
from outboard.observe.mapping import MappingFacts, MappingObserver
from outboard.observe.metrics import Metrics
from outboard.observe.process import ProcessObserver
from outboard.observe.trouble import iso
from outboard.runtime.budget import ByteBudget
from outboard.runtime.reload import Reloader
from outboard.runtime.supervisor import Supervisor
from outboard.sources.kafka.way import consumers
from outboard.state.memory import MemoryCheckpoints
from outboard.state.sqlite import StateUnavailable, open_checkpoints
from outboard.state.thread import BlockingThread

__all__ = ["Connections", "Outboard", "Surroundings", "run_service"]

#: Seconds for the last positions to become durable once all mappings have drained.
_LAST_SAVE = 5.0

#: Above this average lag of the event loop, in seconds, no mapping gets more lanes.
_SATURATED = 0.05


@dataclass(slots=True)
class Outboard:
    """The service without its port and its signals: every mapping of a configuration, and what is to be seen of it."""

    loaded: Loaded
    connections: Connections
    metrics: Metrics
    process: ProcessObserver
    surroundings: Surroundings = field(default_factory=Surroundings)
    draining: bool = field(init=False, default=False)
    last_reload: Mapping[str, object] | None = field(init=False, default=None)
    _started: Configuration = field(init=False)
    _fleet: Fleet = field(init=False)
    _supervisor: Supervisor = field(init=False)
    _state_is_open: bool = field(init=False, default=False)
    _listening: bool = field(init=False, default=False)
    _draining_since: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._started = configuration = self._configuration
        memory = configuration.limits.maximum_buffered_bytes
        self.process.buffer_limit(memory)
        budget = ByteBudget(memory)
        workshop = Workshop(self.connections, self.surroundings, budget, memory, lambda: self.process.lag > _SATURATED)
        self._supervisor = Supervisor(configuration.shutdown.drain_timeout_seconds)
        self._fleet = Fleet(workshop, self._supervisor, self._observer)
        self._state_is_open = needs_state(configuration)
        self._fleet.start(configuration, self.loaded.failed)

    @property
    def _configuration(self) -> Configuration:
        assert self.loaded.configuration is not None
        return self.loaded.configuration

    @property
    def stateful(self) -> Iterable[MappingObserver]:
        """The observers of the mappings whose positions are kept in State."""
        return self._fleet.stateful

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
            self.process.drained(seconds, self._fleet.handed_back_events)
        return unfinished

    async def _save(self) -> None:
        """What was settled last becomes durable; a disk that is full does not hold up the exit."""
        left = self._draining_since + self._supervisor.drain_timeout - self.surroundings.wall()
        try:
            async with asyncio.timeout(max(0.0, min(_LAST_SAVE, left))):
                await self.surroundings.checkpoints.saved()
        except TimeoutError:
            pass  # the state says so, as it has since it failed

    def listening(self) -> None:
        self._listening = True

    # Reloading

    def missing_state(self, loaded: Loaded) -> State | None:
        """The State that must be opened before `reload`, which is told of it by `keep_positions`."""
        configuration = loaded.configuration
        if self._state_is_open or configuration is None or loaded.problems or not needs_state(configuration):
            return None
        return configuration.state

    def keep_positions(self, checkpoints: Checkpoints) -> None:
        """Where positions are kept from now on; no mapping has kept any until now."""
        self.surroundings = replace(self.surroundings, checkpoints=checkpoints)
        self._fleet.workshop = replace(self._fleet.workshop, surroundings=self.surroundings)
        self._state_is_open = True

    def reload(self, loaded: Loaded) -> bool:
        """Put another configuration in force, all of it; one with any problem is refused, and nothing changes."""
        if self.draining:
            return False
        configuration = loaded.configuration
        if configuration is None or loaded.problems:
            return self.refuse([str(problem) for problem in loaded.problems])
        planned = changes(self._configuration, configuration)
        is_open = self._state_is_open
        if wrong := misplaced(self._started, configuration, planned, state_is_open=is_open):
            return self.refuse(wrong)
        later = restart_needed(self._started, configuration, state_is_open=is_open)
        self._supervisor.drain_timeout = configuration.shutdown.drain_timeout_seconds
        self._fleet.take(planned, configuration)
        self.loaded = loaded
        counts = {"added": len(planned.added), "removed": len(planned.removed), "changed": len(planned.changed)}
        self.process.config_reloaded(loaded.content_hash, **counts)
        self.process.restart_required(later)
        self._reloaded(later=later)
        return True

    def refuse(self, problems: Sequence[str]) -> bool:
        """Say why the newest configuration is not taken; the one in force stays. Always False."""
        self.process.config_refused(problems)
        self._reloaded(problems=problems)
        return False

    def _reloaded(self, *, problems: Sequence[str] = (), later: Sequence[str] = ()) -> None:
        self.last_reload = {
            "at": iso(self.surroundings.wall()),
            "successful": not problems,
            "problems": list(problems),
            "restartNeeded": list(later),
        }

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
        return self._fleet.snapshots()

    def listing(self) -> Sequence[Mapping[str, object]]:
        return self._fleet.described()

    def _observer(self, facts: MappingFacts) -> MappingObserver:
        return MappingObserver(facts, self.metrics, structlog.get_logger(), self.surroundings.wall)


class Positions:
    """Where the mappings' positions are kept: opened when the first source needs it, closed with `stack`."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.observers: Callable[[], Iterable[MappingObserver]] = tuple

    async def open(self, state: State) -> Checkpoints:
        """Raises `StateUnavailable`."""
        if state.type == "sqlite":
            return await self._stack.enter_async_context(open_checkpoints(state.path, self))
        return MemoryCheckpoints()

    # What becomes of saving them is told to every mapping that has some.

    def failed(self, error_type: str, message: str) -> None:
        for observer in self.observers():
            observer.checkpoint_failed(error_type, message)

    def saved(self) -> None:
        for observer in self.observers():
            observer.checkpoint_saved()


async def run_service(texts: Texts, loaded: Loaded, path: Path) -> int:
    """Run until a signal; returns the exit code. Raises `PortUnavailable` and `StateUnavailable`.

    `texts` is what was read at `path`, and `loaded` what it says; the path is looked at again while the service runs.
    """
    configuration = loaded.configuration
    assert configuration is not None
    metrics = Metrics()
    process = ProcessObserver(metrics, structlog.get_logger(), time.time)
    async with AsyncExitStack() as stack:
        positions = Positions(stack)
        checkpoints = await positions.open(configuration.state) if needs_state(configuration) else MemoryCheckpoints()
        services = Services(process.aws_request)
        surroundings = Surroundings(checkpoints=checkpoints, consumer=consumers(services.sdk_calls))
        outboard = Outboard(loaded, services, metrics, process, surroundings)
        positions.observers = lambda: outboard.stateful
        server = configuration.server
        async with serve(server.host, server.port, outboard, metrics) as url, asyncio.TaskGroup() as group:
            reloader = _reloader(path, texts, outboard, positions)
            _heed_signals(outboard, reloader)
            _announce(outboard, str(path), url)
            watch = group.create_task(process.watch_loop(), name="event loop watch")
            running = group.create_task(outboard.run(), name="mappings")
            await _reload_until(running, reloader)
            watch.cancel()
    return 0


def _reloader(path: Path, texts: Texts, outboard: Outboard, positions: Positions) -> Reloader[Texts]:
    """Reads in a thread: a folder on a network that hangs must not hang the mappings."""
    thread = BlockingThread("configuration")

    async def look() -> Texts:
        return await thread.run(partial(read, path))

    async def take(seen: Texts) -> None:
        loaded = await thread.run(seen.loaded)
        try:
            if (state := outboard.missing_state(loaded)) is not None:
                outboard.keep_positions(await positions.open(state))
        except StateUnavailable as why:
            outboard.refuse([str(why)])
        else:
            outboard.reload(loaded)

    return Reloader(look, take, texts)


async def _reload_until(running: asyncio.Task[Any], reloader: Reloader[Texts]) -> None:
    """Reload in this task, which is the one that closes what a reload opens."""
    looking = asyncio.timeout(None)
    running.add_done_callback(lambda _: looking.reschedule(0.0))
    try:
        async with looking:
            await reloader.run()
    except TimeoutError:
        if not looking.expired():
            raise


def _announce(outboard: Outboard, path: str, url: str) -> None:
    loaded, process = outboard.loaded, outboard.process
    assert loaded.configuration is not None
    process.started(__version__, path, loaded.content_hash, len(loaded.configuration.event_source_mappings))
    for problem in loaded.problems:
        process.config_problem(str(problem))
    process.listening(url)
    outboard.listening()


def _heed_signals(outboard: Outboard, reloader: Reloader[Texts]) -> None:
    """The first SIGTERM or SIGINT drains, the second ends the process at once; SIGHUP reloads."""
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        if outboard.draining:
            outboard.process.second_signal(number.name)
            os._exit(128 + number)
        outboard.stop(number.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received, number)
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
