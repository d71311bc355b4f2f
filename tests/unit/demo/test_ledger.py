"""The ledger keeps what the functions noted, in order, whichever process noted it."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from outboard.demo import ledger
from outboard.demo.ledger import Notes


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where the functions find it in their environment."""
    path = tmp_path / "ledger.txt"
    os.environ[ledger.VARIABLE] = str(path)
    yield path
    del os.environ[ledger.VARIABLE]


def test_what_was_finished_is_kept_in_order_and_again_for_each_time(path: Path) -> None:
    for identifier in ("b", "a", "b"):
        ledger.enter(identifier)

    assert ledger.notes(path) == Notes(["b", "a", "b"], Counter())


def test_failures_alone_are_counted_and_others_are_not(path: Path) -> None:
    for alone in (False, True, True):
        ledger.enter_failure("a", alone=alone)

    assert ledger.notes(path) == Notes([], Counter({"a": 2}))


def test_any_failure_is_remembered_and_only_of_its_own_message(path: Path) -> None:
    ledger.enter_failure("a", alone=False)
    ledger.enter_failure("b", alone=True)
    ledger.enter("c")
    ledger.enter_failure("dd", alone=True)

    assert [ledger.has_failed(each) for each in ("a", "b", "c", "d")] == [True, True, False, False]


def test_processes_do_not_mix_their_lines(path: Path) -> None:
    program = "from outboard.demo import ledger\nfor n in range(200): ledger.enter('x' * 50)"
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    for process in processes:
        process.wait(30)

    assert ledger.notes(path) == Notes(["x" * 50] * 400, Counter())


def test_a_ledger_that_nobody_wrote_to_is_empty(path: Path) -> None:
    assert (ledger.notes(path), ledger.has_failed("a")) == (Notes([], Counter()), False)


def test_what_failed_alone_often_enough_is_out_of_tries() -> None:
    notes = Notes([], Counter({"a": 3, "b": 2, "c": 4}))

    assert notes.out_of_tries(3) == {"a", "c"}
