"""Knows the service's process: its signals, its port, where its positions are, and the files that configure it."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from outboard import __version__
from outboard.app import Outboard, Surroundings
from outboard.aws.services import Services
from outboard.config.changes import needs_state
from outboard.config.loading import Loaded, Texts, can_change, read
from outboard.config.models import State
from outboard.core.ports import Checkpoints
from outboard.observe.http import serve
from outboard.observe.mapping import MappingObserver
from outboard.observe.metrics import Metrics
from outboard.observe.process import ProcessObserver
from outboard.runtime.reload import Reloader
from outboard.sources.kafka.way import consumers
from outboard.state.memory import MemoryCheckpoints
from outboard.state.sqlite import StateUnavailable, open_checkpoints
from outboard.state.thread import BlockingThread

#: Seconds after which reading the configuration is said to hang.
_SLOW_READ = 10.0


@dataclass(slots=True)
class Positions:
    """Where the mappings' positions are kept: opened when the first source needs it, closed with `stack`."""

    stack: AsyncExitStack
    process: ProcessObserver
    observers: Callable[[], Iterable[MappingObserver]] = tuple

    async def open(self, state: State) -> Checkpoints:
        """Raises `StateUnavailable`."""
        if state.type == "sqlite":
            return await self.stack.enter_async_context(open_checkpoints(state.path, self))
        return MemoryCheckpoints()

    # What becomes of saving them is told to every mapping that has some.

    def failed(self, error_type: str, message: str) -> None:
        observers = list(self.observers())
        for observer in observers:
            observer.checkpoint_failed(error_type, message)
        if not observers:
            self.process.checkpoint_failed(error_type, message)

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
        positions = Positions(stack, process)
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
    thread, changes = BlockingThread("configuration"), can_change(path)

    async def look() -> Texts:
        if not changes:
            return texts
        try:
            async with asyncio.timeout(_SLOW_READ):
                return await thread.run(partial(read, path))
        except TimeoutError:
            outboard.refuse([f"{path}: was not read within {_SLOW_READ:g} s; see to its disk, which is waited for"])
        reloader.ask()  # so that it is told when that is over
        return await thread.run(partial(read, path))

    async def take(seen: Texts) -> bool:
        loaded = await thread.run(seen.loaded)
        try:
            if (state := outboard.missing_state(loaded)) is not None:
                outboard.keep_positions(await positions.open(state), state)
        except StateUnavailable as why:
            outboard.refuse([str(why)])
            return False
        outboard.reload(loaded)
        return True

    reloader = Reloader(look, take, texts)
    return reloader


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
