"""The audit finds what is lost, what came again and what overtook; and it reads a ledger that is being written."""

import json
from pathlib import Path

from tests.kube.parts.audit import Account, Follower


def _after(numbers: list[int], *, produced: int, keys: int = 0) -> dict[str, object]:
    account = Account(keys, produced)
    for number in numbers:
        account.worked_off(number)
    return account.statement()


def test_all_done_once_and_in_order() -> None:
    assert _after([0, 1, 2, 3], produced=4, keys=2) == {
        "produced": 4,
        "processed": 4,
        "lost": [],
        "lostCount": 0,
        "again": 0,
        "overtaken": [],
    }


def test_what_nobody_worked_off_is_lost() -> None:
    said = _after([0, 2], produced=5)

    assert (said["lost"], said["lostCount"], said["processed"]) == ([1, 3, 4], 3, 2)


def test_a_statement_lists_the_first_and_counts_all_that_is_lost() -> None:
    said = _after([], produced=50)

    assert (said["lost"], said["lostCount"]) == (list(range(20)), 50)


def test_each_further_time_is_counted() -> None:
    assert _after([0, 1, 1, 1, 0], produced=2)["again"] == 3


def test_what_comes_after_a_later_one_of_its_key_was_overtaken() -> None:
    assert _after([4, 1, 2, 0], produced=5, keys=2)["overtaken"] == [2, 0]


def test_what_comes_again_overtakes_nothing() -> None:
    assert _after([0, 2, 0, 2, 4], produced=5, keys=2)["overtaken"] == []


def test_a_source_without_keys_has_no_order() -> None:
    assert _after([4, 0, 2], produced=5)["overtaken"] == []


def test_a_follower_reads_whole_lines_only_and_each_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    follower = Follower(path)
    assert list(follower.news()) == []
    path.write_text(json.dumps({"n": 1}) + "\n" + '{"n"')

    assert list(follower.news()) == [{"n": 1}]
    with path.open("a") as ledger:
        ledger.write(": 2}\n")
    assert list(follower.news()) == [{"n": 2}]
    assert list(follower.news()) == []
