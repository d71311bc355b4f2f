"""Knows the course of the demo: start every part, produce, drain, stop the service, audit."""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from rich.console import Console

from outboard.demo import audit, display, functions, layout, ledger, parts, queues, streams
from outboard.demo.interrupts import Interrupts
from outboard.demo.load import Load, pause
from outboard.demo.picture import Picture
from outboard.demo.watch import Snapshot, Watch
from outboard.demo.world import Source

#: Seconds between two looks at the service.
REFRESH = 0.5
#: Seconds in which the service must be ready.
START_SECONDS = 30.0
#: Seconds in which the sources must become empty once nothing more is produced.
DRAIN_SECONDS = 40.0
#: Seconds in which the service must end once it was asked to: its own drain time, and some.
STOP_SECONDS = 25.0
#: Processes that run the functions.
WORKERS = 4


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for; see `command.main`."""

    seconds: float
    rate: float
    port: int | None
    keep: bool
    svg: Path | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs, and where it looks and is looked at."""

    running: Sequence[parts.Part]  # the service is the last
    sources: Sequence[Source]
    watch: Watch
    screen: display.Screen
    ledger: Path
    history: deque[Snapshot] = field(default_factory=lambda: deque(maxlen=20))

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
        self.screen.show(self.history, caption)

    async def backlog(self) -> int:
        return sum([await source.backlog(each) for source in self.sources for each in source.workloads])


def main(options: Options) -> int:
    """Run the demo to its end; returns the exit code."""
    interrupts = Interrupts()
    screen = display.screen(Console(highlight=False))
    picture = Picture(screen) if options.svg else None
    try:
        code = asyncio.run(_guarded(options, picture or screen, interrupts))
    except asyncio.CancelledError:
        return 128 + interrupts.number
    if picture and options.svg:
        picture.save(options.svg)
    return code


async def _guarded(options: Options, screen: display.Screen, interrupts: Interrupts) -> int:
    if task := asyncio.current_task():
        interrupts.listen(task)
    failures: list[Exception] = []
    code = 1
    try:
        with _folder(options, screen) as folder, contextlib.ExitStack() as last:
            last.callback(screen.settle)
            code = await demo(options, folder, screen, interrupts)
    except* parts.PartError as group:
        failures += _leaves(group)
    for failure in failures:
        sys.stderr.write(f"{failure}\n")
    return code


def _leaves(failure: Exception) -> list[Exception]:
    if isinstance(failure, ExceptionGroup):
        return [leaf for each in failure.exceptions for leaf in _leaves(each)]
    return [failure]


async def demo(options: Options, folder: Path, screen: display.Screen, interrupts: Interrupts) -> int:
    """The demo in `folder`, from the first part's start to the audit; returns the exit code. Raises `PartError`."""
    load = Load(options.rate)
    async with _stage(options, folder, screen) as stage:
        interrupts.become_gentle()
        await _produce(stage, load, options.seconds, interrupts.stop)
        await _drain(stage, load)
        seen = await stage.watch.look()
        screen.settle()
        await stage.service.finish(STOP_SECONDS)
        evidence: dict[str, audit.Evidence] = {}
        for source in stage.sources:
            evidence |= await _evidence(source, load, ledger.notes(stage.ledger).finished, seen)
    report = audit.report(evidence)
    screen.say("\nAudit: what was sent, against what the functions noted and the dead-letter queues hold", "bold")
    for text in report.lines:
        screen.say(text, "bold green" if text.lstrip() == "lost: 0" else "")
    for text in report.remarks:
        screen.say(f"note: {text}", "yellow")
    for text in report.problems:
        screen.say(f"wrong: {text}", "bold red")
    return 1 if report.problems else 0


@contextlib.asynccontextmanager
async def _stage(options: Options, folder: Path, screen: display.Screen) -> AsyncIterator[Stage]:
    async with contextlib.AsyncExitStack() as stack:
        screen.say("Starting a server for SQS and Kinesis, four workers for the functions, and the service ...", "dim")
        notes, state = folder / "ledger.txt", folder / "outboard.db"
        handlers = queues.FUNCTIONS | streams.FUNCTIONS
        function_url = await stack.enter_async_context(functions.serving(handlers, notes, WORKERS))
        server, source_url = await stack.enter_async_context(parts.aws_server(folder))
        access = (source_url, layout.ACCESS_KEY, layout.SECRET)
        sources: list[Source] = [
            await stack.enter_async_context(queues.connected(*access)),
            await stack.enter_async_context(streams.connected(*access, notes, state)),
        ]
        for source in sources:
            await source.create()

        port = options.port or parts.free_port()
        config = folder / "outboard.yaml"
        workloads = [workload for source in sources for workload in source.workloads]
        config.write_text(
            layout.configuration(workloads, source_url=source_url, function_url=function_url, port=port, state=state)
        )
        service = await stack.enter_async_context(
            parts.running(
                "The service",
                ["outboard", "run", str(config)],
                log=folder / "service.log",
                env=layout.environment(os.environ, source_url),
            )
        )
        url = f"http://127.0.0.1:{port}"
        timeout = aiohttp.ClientTimeout(total=5)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        stage = Stage([server, service], sources, Watch(session, url, time.monotonic), screen, notes)
        await _until_ready(stage)
        screen.say(f"Running {config}\nLook at {url}/  {url}/mappings  {url}/metrics\n")
        yield stage


async def _until_ready(stage: Stage) -> None:
    give_up = time.monotonic() + START_SECONDS
    while not await stage.watch.ready():
        stage.ensure_running()
        if time.monotonic() > give_up:
            raise parts.PartError(f"The service was not ready in {START_SECONDS:.0f} s.\n{stage.service.last_words()}")
        await asyncio.sleep(0.05)


async def _produce(stage: Stage, load: Load, seconds: float, stop: asyncio.Event) -> None:
    start = time.monotonic()
    ending = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(stage.sources, ending, time.monotonic), name="load")
        while not stop.is_set() and (elapsed := time.monotonic() - start) < seconds:
            await stage.show(f"{elapsed:.0f} s of {seconds:.0f}, {load.count} messages sent; Ctrl-C stops sending")
            await pause(stop, REFRESH)
        ending.set()


async def _drain(stage: Stage, load: Load) -> None:
    give_up = time.monotonic() + DRAIN_SECONDS
    while (backlog := await stage.backlog()) and time.monotonic() < give_up:
        await stage.show(f"{load.count} messages sent, {backlog} to go; failed ones come back until they are given up")
        await asyncio.sleep(REFRESH)
    # The answer to the last invoke reaches the service, and its counts, a moment after the function's note of it.
    await asyncio.sleep(REFRESH)
    await stage.show(f"{load.count} messages sent, {backlog} to go")


async def _evidence(
    source: Source, load: Load, finished: Sequence[str], seen: Snapshot | None
) -> dict[str, audit.Evidence]:
    readings = {reading.name: reading for reading in seen.readings} if seen else {}
    evidence = {}
    for workload in source.workloads:
        reading = readings.get(workload.name)
        stem = workload.name.removesuffix(".fifo")
        evidence[workload.name] = audit.Evidence(
            produced=load.produced.get(workload.name, []),
            finished=[identifier for identifier in finished if identifier.startswith(f"{stem}-")],
            given_up=await source.given_up(workload),
            left=await source.left(workload),
            tries=workload.tries,
            counted=reading.removed if reading else None,
            dropped=reading.dropped if reading else None,
        )
    return evidence


@contextlib.contextmanager
def _folder(options: Options, screen: display.Screen) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="outboard-demo-"))
    try:
        yield folder
    finally:
        if options.keep:
            screen.say(f"Configuration, logs and ledger are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
