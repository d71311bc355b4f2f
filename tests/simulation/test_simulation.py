"""Three thousand worlds, and that a seed is always the same world."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.running import Finding, report
from tests.simulation.seeds import KINDS, QUEUES, STREAMS, TOPICS, plan
from tests.simulation.worlds import simulate

_ROOT = Path(__file__).parents[2]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Beside other test workers, two processes are what a machine of two cores can give.
    command = [sys.executable, "-W", "error", "-m", "tests.simulation", *arguments]
    return subprocess.run(
        command, check=False, cwd=_ROOT, env=os.environ | {"PYTHONPATH": str(_ROOT)}, capture_output=True, text=True
    )


@pytest.mark.parametrize("first", [0, 1000, 2000])
def test_a_thousand_worlds_of_queues_streams_and_topics_keep_every_promise(first: int) -> None:
    done = _run("--from", str(first), "--seeds", "1000", "--workers", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1000 seeds" in done.stdout


def test_the_same_seed_is_the_same_run_in_every_process() -> None:
    first, second = (_run("--from", "40", "--seeds", "3", "--verbose").stdout for _ in range(2))

    assert len(first.splitlines()) > 100
    # Objects that are shown without a name of their own have an address.
    assert re.sub(r"0x[0-9a-f]+", "", first) == re.sub(r"0x[0-9a-f]+", "", second)


def test_worlds_of_queues_are_lively_enough_to_find_something() -> None:
    """Kills, stops, failed and repeated attempts, dead letters and lost answers all occur, and often."""
    histories = [simulate(plan(seed)).history for seed in range(QUEUES, 180, KINDS)]
    lives = [life for history in histories for life in history.lives]
    attempts = [attempt for history in histories for attempt in history.attempts]
    faults = {exchange.fault for history in histories for exchange in history.exchanges}

    assert sum(life.killed is not None for life in lives) > 10
    assert sum(life.stop_asked is not None and life.killed is None for life in lives) > 60
    assert sum(not attempt.done for attempt in attempts) > 100
    assert sum(attempt.exchange.saw == "" for attempt in attempts) > 5
    assert faults >= {"", "refused", "reset", "lost", "throttled", "failed", "slow", "silent", "mute", "partial"}


def test_worlds_with_streams_are_lively_enough_to_find_something() -> None:
    """Beside kills and failures there are closed shards, empty pages, expired iterators, drops and full disks."""
    histories = [simulate(plan(seed)).history for seed in range(STREAMS, 540, KINDS)]
    attempts = [attempt for history in histories for attempt in history.attempts if attempt.shard]
    reads = [read for history in histories for read in history.reads]
    saves = [saved for history in histories for saved in history.saves]
    faults = {exchange.fault for history in histories for exchange in history.exchanges if exchange.shard}

    assert sum(life.killed is not None for history in histories for life in history.lives) > 20
    assert sum(attempt.failed for attempt in attempts) > 100
    assert sum(0 < len(attempt.done) < len(attempt.batch) for attempt in attempts) > 20
    assert sum(read.over for read in reads) > 100
    assert sum(read.behind and not read.count for read in reads) > 100
    assert sum(saved.durable is None for saved in saves) > 5
    assert {one.reason for history in histories for one in history.dropped} == {
        "retry_attempts_exhausted",
        "record_age_exceeded",
    }
    assert faults >= {"", "expired", "lost", "slow", "mute"}


def test_worlds_with_topics_are_lively_enough_to_find_something() -> None:
    """Beside kills and failures there are groups divided anew, members taken for dead, gaps, drops and lost commits."""
    histories = [simulate(plan(seed)).history for seed in range(TOPICS, 540, KINDS)]
    attempts = [attempt for history in histories for attempt in history.attempts if attempt.shard.startswith("topic")]
    commits = [
        exchange for history in histories for exchange in history.exchanges if exchange.operation == "OffsetCommit"
    ]

    assert sum(life.killed is not None for history in histories for life in history.lives) > 40
    assert sum(len(history.ownerships) for history in histories) > 500
    assert sum(len(history.evictions) for history in histories) > 60
    assert sum(attempt.failed for attempt in attempts) > 100
    assert sum(0 < len(attempt.done) < len(attempt.batch) for attempt in attempts) > 50
    assert sum(one.before is None for history in histories for one in history.commits) > 100
    assert {one.reason for history in histories for one in history.dropped} == {
        "retry_attempts_exhausted",
        "record_age_exceeded",
    }
    assert {exchange.fault for exchange in commits} >= {"", "refused", "reset", "lost", "throttled", "failed", "silent"}


def test_worlds_with_reloads_are_lively_enough_to_find_something() -> None:
    """Mappings are dropped at work, removed, switched off, put back, and shown as failed; processes begin with it all."""
    plans = [made for made in map(plan, range(540)) if made.reloads]
    histories = [simulate(made).history for made in plans]
    stretches = [one for history in histories for one in history.stretches_of_all() if one.mapping != "idle"]
    drains = [one.ended - one.stop_asked for one in stretches if one.reloaded and one.ended and one.stop_asked]
    reloads = [reload for made in plans for reload in made.reloads]
    fewer = [reload for made in plans for reload in made.reloads if len(reload.mappings) < len(made.mappings)]
    later = [one for one in stretches if one.reloaded and one.life.over is not None and one.life.started > 1000.0]

    assert 1 / 4 < len(plans) / 540 < 1 / 2
    assert len(drains) > 200
    assert sum(seconds > 0.5 for seconds in drains) > 60
    assert len(fewer) > 50
    assert sum(not one.enabled for reload in reloads for one in reload.mappings) > 50
    assert {reload.broken for reload in reloads} == {"", "field", "text"}
    assert len(later) > 20
    # Dropped, and killed before it had drained; begun anew, and asked to stop with its process.
    assert sum(one.incarnation.dropped is not None and one.killed is not None for one in stretches) > 5


def test_a_finding_names_its_seed_and_the_command_that_replays_it() -> None:
    shown = report(Finding(7, ["at 1.000 s: lost"]))

    assert shown == "seed 7: at 1.000 s: lost\n  replay: python -m tests.simulation --from 7 --seeds 1 --verbose"
