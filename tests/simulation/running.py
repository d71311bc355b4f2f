"""Knows how to run many seeds on all cores, and how to say which one to replay."""

import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.simulation.seeds import plan
from tests.simulation.worlds import simulate

#: Findings shown before a run gives up.
_MOST_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """A seed whose world broke promises."""

    seed: int
    violations: Sequence[str]


def run_seed(seed: int) -> Finding | None:
    """None if every promise was kept. Whatever goes wrong with the simulation itself is a finding, too."""
    try:
        broken = simulate(plan(seed)).violations
    except Exception:  # noqa: BLE001 - it must be told with its seed, like every finding
        broken = [traceback.format_exc()]
    return Finding(seed, broken) if broken else None


def replay_command(seed: int) -> str:
    return f"python -m tests.simulation --from {seed} --seeds 1 --verbose"


def report(finding: Finding) -> str:
    shown = [f"seed {finding.seed}: {sentence}" for sentence in finding.violations[:5]]
    more = len(finding.violations) - len(shown)
    return "\n".join([*shown, *([f"... and {more} more"] if more else []), f"  replay: {replay_command(finding.seed)}"])


def run_seeds(first: int, count: int, workers: int | None = None) -> int:
    """Run them, show progress, report each finding. Returns how many seeds broke a promise."""
    started, found, done = time.monotonic(), 0, 0
    for done, finding in enumerate(_outcomes(range(first, first + count), workers or os.cpu_count() or 1), 1):
        if finding is not None:
            found += 1
            print(report(finding), flush=True)
        if sys.stderr.isatty() and done % 50 == 0:
            print(f"\r{done}/{count} seeds, {found} findings", end="", file=sys.stderr, flush=True)
        if found >= _MOST_FINDINGS:
            break
    seconds = time.monotonic() - started
    print(f"{done} seeds in {seconds:.1f} s, {found} of them broke a promise", flush=True)
    return found


def _outcomes(seeds: Sequence[int], workers: int) -> Iterator[Finding | None]:
    if workers == 1 or len(seeds) < 20:
        yield from map(run_seed, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(run_seed, seeds, chunksize=10)


def show(seed: int) -> int:
    """Run one seed and print all that happened in it. Returns 1 if it broke a promise."""
    world = plan(seed)
    verdict = simulate(world, verbose=True)
    for mapping in world.mappings:
        print(f"{mapping.name}: {len(mapping.load)} to send; {mapping!r:.900}")
    print(f"{world.processes} processes, drain {world.drain} s, {world.interruptions}")
    print(verdict.history.text())
    print("\n".join(verdict.violations) or "every promise was kept")
    return int(bool(verdict.violations))
