"""The command line of the bench: runs everything in turn, shows what it does, writes the page."""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from tests.servers.processes import ServerFailed
from tests.servers.tools import REPOSITORY, ToolMissing

from bench import measures
from bench.report import page
from bench.results import DELAYS, Drain, Drains, Latency, Results
from bench.stage import Script, Service, Stage, Stuck, Subject, stage

_PAGE = REPOSITORY / "docs" / "performance.md"
_SUBJECTS: tuple[Subject, Subject] = (Service(), Script())


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: messages a drain, rounds of the pair, seconds."""

    records: int
    rounds: int
    warm_up: int
    latency_seconds: float
    idle_settle: float
    idle_seconds: float
    starts: int
    rate: float = 200.0
    idle_mappings: int = 200


FULL = Plan(20_000, 2, 16_000, 15.0, 15.0, 40.0, 5)
QUICK = Plan(4_000, 1, 8_000, 5.0, 6.0, 20.0, 2)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under two minutes; prints the page instead of writing it")
    parser.add_argument("--output", type=Path, help="where the page goes; default docs/performance.md")
    options = parser.parse_args()
    output: Path | None = options.output or (None if options.quick else _PAGE)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="outboard-bench-") as folder:
            results = _run(QUICK if options.quick else FULL, Path(folder))
    except (ToolMissing, ServerFailed, Stuck) as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    text = page(results)
    print(f"\n{text}" if output is None else f"written to {output}")
    if output is not None:
        output.write_text(text)
    print(f"took {time.monotonic() - began:.0f} s")
    return 0


def _run(plan: Plan, folder: Path) -> Results:
    machine = _machine()
    _say("starting the queue server and the endpoint")
    with stage(folder) as made:
        for subject in _SUBJECTS:
            _say(f"warming up with {subject.name}")
            measures.drain(made, subject, 0, plan.warm_up // 2)
        results = Results(machine, plan.records, plan.rate, [_drains(made, plan, delay) for delay in DELAYS])
        service, script = [_latency(made, plan, subject) for subject in _SUBJECTS]
        service_starts, script_starts = [_starts(made, plan, subject) for subject in _SUBJECTS]
        _say(f"{plan.idle_mappings} idle mappings")
        idle = measures.idle(made, plan.idle_mappings, plan.idle_settle, plan.idle_seconds)
        _say(f"  {idle.cpu_percent:.2f} % of a core, {idle.rss_mb:.0f} MB")
    return replace(
        results,
        service_latency=service,
        script_latency=script,
        idle=idle,
        service_starts=service_starts,
        script_starts=script_starts,
    )


def _drains(made: Stage, plan: Plan, delay: int) -> Drains:
    runs: dict[str, list[Drain]] = {subject.name: [] for subject in _SUBJECTS}
    for number in range(plan.rounds):
        for subject in _SUBJECTS:
            _say(f"backlog of {plan.records:,}, {delay} ms, round {number + 1} of {plan.rounds}: {subject.name}")
            done = measures.drain(made, subject, delay, plan.records)
            runs[subject.name].append(done)
            _say(f"  {done.rate:,.0f}/s, {done.cpu:.2f} CPU-s per 10,000, {done.peak_mb:.0f} MB")
    service, script = runs.values()
    return Drains(delay, service, script)


def _latency(made: Stage, plan: Plan, subject: Subject) -> Latency:
    _say(f"latency at {plan.rate:g}/s: {subject.name}")
    seen = measures.latency(made, subject, plan.rate, plan.latency_seconds)
    _say(f"  p50 {seen.p50:.1f} ms, p99 {seen.p99:.1f} ms")
    return seen


def _starts(made: Stage, plan: Plan, subject: Subject) -> Sequence[float]:
    _say(f"start to first invoke: {subject.name}")
    seen = [measures.start(made, subject) for _ in range(plan.starts)]
    _say("  " + ", ".join(f"{each:.2f} s" for each in seen))
    return seen


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{platform.system()}, {psutil.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}; "
        f"load average {os.getloadavg()[0]:.1f} before the run, from other work on the same cores"
    )


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
