"""Knows the course of the demo: start every part, produce, drain, stop the service, audit."""

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from outboard.demo import audit, display, ledger, parts
from outboard.demo.interrupts import Interrupts
from outboard.demo.load import Load, pause
from outboard.demo.picture import Picture
from outboard.demo.stage import Stage, standing
from outboard.demo.watch import Snapshot
from outboard.demo.world import Source

#: Seconds between two looks at the service.
REFRESH = 0.5
#: Seconds in which the sources must become empty once nothing more is produced.
DRAIN_SECONDS = 40.0
#: Seconds in which the service must end once it was asked to: its own drain time, and some.
STOP_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for; see `command.main`."""

    seconds: float
    rate: float
    port: int | None
    keep: bool
    svg: Path | None = None


def main(options: Options) -> int:
    """Run the demo to its end; returns the exit code."""
    interrupts = Interrupts()
    screen = display.screen(Console(highlight=False))
    picture = Picture(screen) if options.svg else None
    try:
        code = asyncio.run(_guarded(options, picture or screen, interrupts))
    except asyncio.CancelledError:
        name = signal.Signals(interrupts.number).name
        sys.stderr.write(f"Ended at once by {name}: nothing was drained, and there is no audit.\n")
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
    async with standing(folder, screen, options.port) as stage:
        interrupts.become_gentle()
        await _produce(stage, load, options.seconds, interrupts.stop)
        await _drain(stage, load)
        seen = await stage.watch.look()
        screen.settle()
        await stage.service.finish(STOP_SECONDS)
        evidence: dict[str, audit.Evidence] = {}
        for source in stage.sources:
            evidence |= await _evidence(source, load, ledger.notes(stage.ledger).finished, seen)
    report = audit.report(evidence, sorted(stage.blocked))
    screen.say("\nAudit: what was sent, against what the functions noted and the dead-letter queues hold", "bold")
    for text in report.lines:
        screen.say(text, "bold green" if text.lstrip() == "lost: 0" else "")
    for text in report.remarks:
        screen.say(f"note: {text}", "yellow")
    for text in report.problems:
        screen.say(f"wrong: {text}", "bold red")
    return 1 if report.problems else 0


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
