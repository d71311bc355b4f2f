"""Knows everything that runs in a demo: how it is started, whether it still runs, and how it is looked at."""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from outboard.demo import broker, display, functions, layout, parts, queues, streams, topics
from outboard.demo.watch import Snapshot, Watch
from outboard.demo.world import Source

#: Seconds in which the service must be ready.
START_SECONDS = 30.0
#: Processes that run the functions.
WORKERS = 4
#: The state of a mapping in which something fails again and again.
BLOCKED = "blocked"
HANDLERS = queues.FUNCTIONS | streams.FUNCTIONS | topics.FUNCTIONS


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs, and where it looks and is looked at."""

    running: Sequence[parts.Part]  # the service is the last
    sources: Sequence[Source]
    watch: Watch
    screen: display.Screen
    ledger: Path
    history: deque[Snapshot] = field(default_factory=lambda: deque(maxlen=20))
    blocked: set[str] = field(default_factory=set)  # the mappings that were seen so

    @property
    def service(self) -> parts.Part:
        return self.running[-1]

    def ensure_running(self) -> None:
        for part in self.running:
            part.ensure_running()

    async def show(self, caption: str) -> None:
        """Look once and show it. Raises `PartError` if a part has ended."""
        self.ensure_running()
        if (seen := await self.watch.look()) is not None:
            self.history.append(seen)
            self.blocked.update(reading.name for reading in seen.readings if reading.state == BLOCKED)
        self.screen.show(self.history, caption)

    async def backlog(self) -> int:
        return sum([await source.backlog(each) for source in self.sources for each in source.workloads])


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources, with what they have in them, and the parts behind them; `url` is where AWS is."""

    all: Sequence[Source]
    running: Sequence[parts.Part]
    url: str


@contextlib.asynccontextmanager
async def standing(folder: Path, screen: display.Screen, port: int | None) -> AsyncIterator[Stage]:
    """Everything runs, in `folder`; the service's status port is `port` (None: any free one). Raises `PartError`."""
    async with contextlib.AsyncExitStack() as stack:
        notes, state = folder / "ledger.txt", folder / "outboard.db"
        executable = broker.program()
        kinds = "SQS and Kinesis" if executable is None else "SQS, Kinesis and Kafka"
        screen.say(f"Starting servers for {kinds}, four workers for the functions, and the service ...", "dim")
        if executable is None:
            screen.say(
                f"No Kafka broker is installed for this machine ({broker.PACKAGE}): the demo runs without Kafka."
            )
        function_url = await stack.enter_async_context(functions.serving(HANDLERS, notes, WORKERS))
        sources = await stack.enter_async_context(_sources(folder, notes, state, executable))
        port = port or parts.free_port()
        config = folder / "outboard.yaml"
        workloads = [workload for source in sources.all for workload in source.workloads]
        config.write_text(
            layout.configuration(workloads, source_url=sources.url, function_url=function_url, port=port, state=state)
        )
        command, environment = ["outboard", "run", str(config)], layout.environment(os.environ, sources.url)
        service = await stack.enter_async_context(
            parts.running("The service", command, log=folder / "service.log", env=environment)
        )
        url = f"http://127.0.0.1:{port}"
        timeout = aiohttp.ClientTimeout(total=5)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        watch = Watch(session, url, time.monotonic)
        stage = Stage([*sources.running, service], sources.all, watch, screen, notes)
        await _until_ready(stage)
        screen.say(f"Running {config}\nLook at {url}/  {url}/mappings  {url}/metrics")
        if executable is not None:
            screen.say(f"The broker makes a new group wait first: {topics.INVOICES.name} begins a few seconds later.")
        screen.say("")
        yield stage


@contextlib.asynccontextmanager
async def _sources(folder: Path, notes: Path, state: Path, executable: Path | None) -> AsyncIterator[Sources]:
    async with contextlib.AsyncExitStack() as stack:
        server, url = await stack.enter_async_context(parts.aws_server(folder))
        access = (url, layout.ACCESS_KEY, layout.SECRET)
        running = [server]
        sources: list[Source] = [
            await stack.enter_async_context(queues.connected(*access)),
            await stack.enter_async_context(streams.connected(*access, notes, state)),
        ]
        if executable is not None:
            kafka, address = await stack.enter_async_context(broker.serving(executable, folder))
            running.append(kafka)
            sources.append(await stack.enter_async_context(topics.connected(address, notes)))
        async with asyncio.TaskGroup() as group:
            for source in sources:
                group.create_task(source.create())
        yield Sources(sources, running, url)


async def _until_ready(stage: Stage) -> None:
    give_up = time.monotonic() + START_SECONDS
    while not await stage.watch.ready():
        stage.ensure_running()
        if time.monotonic() > give_up:
            raise parts.PartError(f"The service was not ready in {START_SECONDS:.0f} s.\n{stage.service.last_words()}")
        await asyncio.sleep(0.05)
