"""The file in use: what a write leaves there, and how it goes on after errors."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from outboard.state.database import Database
from outboard.state.unavailable import StateUnavailable
from outboard.state.writer import Key, StoreFailed

MANY: dict[Key, str] = {("m", "s", f"shard-{number}"): "4" * 56 for number in range(2000)}


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outboard.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(path: Path, clock: Clock) -> Iterator[Database]:
    opened = Database(str(path), clock)
    opened.open()
    yield opened
    opened.close()


def rows(path: Path) -> list[tuple[object, ...]]:
    """What another program sees in the file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM checkpoints ORDER BY 1, 2, 3").fetchall()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_row_is_a_position_and_when_it_was_written(database: Database, path: Path, clock: Clock) -> None:
    database.write({("m", "s", "a"): "1", ("m", "s", "b"): "2"}, synced=False)
    clock.now += 5
    database.write({("m", "s", "b"): "20"}, synced=False)

    assert rows(path) == [("m", "s", "a", "1", 1_700_000_000.0), ("m", "s", "b", "20", 1_700_000_005.0)]


def test_a_closed_file_is_all_there_is_but_for_the_lock(database: Database, path: Path) -> None:
    database.write(MANY, synced=False)
    database.close()

    assert names(path.parent) == ["outboard.db", "outboard.db-lock"]
    assert len(rows(path)) == len(MANY)


def test_closing_twice_and_closing_what_never_opened_is_no_error(path: Path) -> None:
    database = Database(str(path), Clock())
    database.close()
    database.open()
    database.close()
    database.close()

    assert names(path.parent) == ["outboard.db", "outboard.db-lock"]


def test_a_refused_file_can_be_opened_once_it_is_mended(path: Path) -> None:
    path.touch()
    database = Database(str(path), Clock())
    with pytest.raises(StateUnavailable):
        database.open()
    database.close()
    path.unlink()

    database.open()

    assert database.read("m", "s") == {}
    database.close()


@pytest.mark.parametrize(
    ("some", "synced", "expected"),
    [
        ({("m", "s", "a"): "1"}, False, ["PRAGMA synchronous = NORMAL"]),
        ({("m", "s", "a"): "1"}, True, ["PRAGMA synchronous = FULL"]),
        ({}, True, ["PRAGMA synchronous = FULL", "PRAGMA user_version = 1"]),
    ],
)
def test_only_what_is_waited_for_is_synced(
    database: Database, some: dict[Key, str], synced: bool, expected: list[str]
) -> None:
    said: list[str] = []
    assert database._connection is not None
    database._connection.set_trace_callback(said.append)

    database.write(some, synced=synced)

    assert [statement for statement in said if statement.startswith("PRAGMA")] == expected


def test_a_full_disk_changes_nothing_and_the_same_connection_goes_on_when_there_is_room(
    database: Database, path: Path
) -> None:
    database.write({("m", "s", "a"): "1"}, synced=False)
    connection = database._connection
    assert connection is not None
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    connection.execute(f"PRAGMA max_page_count = {pages}")

    for _ in range(3):
        with pytest.raises(StoreFailed) as failed:
            database.write({("m", "s", "a"): "2", **MANY}, synced=False)

    assert failed.value.error_type == "SQLITE_FULL"
    assert failed.value.message == f"the state file {path} cannot be written (database or disk is full)"
    assert database.read("m", "s") == {"a": "1"}
    database.write({("m", "s", "a"): "3"}, synced=False)  # what needs no room
    connection.execute("PRAGMA max_page_count = 1000000")
    database.write({("m", "s", "a"): "4", **MANY}, synced=True)
    assert database._connection is connection
    assert len(rows(path)) == len(MANY) + 1


def test_an_error_that_may_have_spoilt_the_connection_is_followed_by_a_new_one(database: Database, path: Path) -> None:
    database.write({("m", "s", "a"): "1"}, synced=False)
    assert database._connection is not None
    database._connection.execute("PRAGMA query_only = ON")

    with pytest.raises(StoreFailed) as failed:
        database.write({("m", "s", "a"): "2"}, synced=False)
    database.write({("m", "s", "a"): "3"}, synced=False)

    assert failed.value.error_type == "SQLITE_READONLY"
    assert database.read("m", "s") == {"a": "3"}


def test_a_connection_that_cannot_even_be_asked_is_replaced(database: Database) -> None:
    assert database._connection is not None
    database._connection.close()

    with pytest.raises(StoreFailed) as failed:
        database.read("m", "s")

    assert failed.value.error_type == "ProgrammingError"
    assert database.read("m", "s") == {}


def test_a_write_that_broke_off_half_way_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(StoreFailed):
        database.write({("m", "s", "a"): "1", ("m", "s", "b"): object()}, synced=False)  # type: ignore[dict-item]

    assert database.read("m", "s") == {}
    database.write({("m", "s", "a"): "2"}, synced=False)
    assert database.read("m", "s") == {"a": "2"}


def test_another_program_that_writes_for_a_moment_is_no_failure(database: Database, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.02, other.execute, ["ROLLBACK"])
        done.start()
        database.write({("m", "s", "a"): "1"}, synced=False)
        done.join()

    assert database.read("m", "s") == {"a": "1"}


def test_another_program_that_goes_on_writing_is_named(database: Database, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed) as failed:
            database.write({("m", "s", "a"): "1"}, synced=False)
        other.execute("ROLLBACK")
    database.write({("m", "s", "a"): "2"}, synced=False)

    assert failed.value.error_type == "SQLITE_BUSY"
    assert database.read("m", "s") == {"a": "2"}


def test_another_program_that_reads_hinders_nobody(database: Database, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM checkpoints").fetchall() == [(0,)]
        database.write({("m", "s", "a"): "1"}, synced=True)
        database.write({}, synced=True)

        assert other.execute("SELECT count(*) FROM checkpoints").fetchall() == [(0,)]
    assert database.read("m", "s") == {"a": "1"}


def test_a_file_that_was_moved_away_is_not_written_in_silence(database: Database, path: Path) -> None:
    database.write({("m", "s", "a"): "1"}, synced=False)
    moved = path.with_name("moved.db")
    path.rename(moved)

    for _ in range(2):
        with pytest.raises(StoreFailed, match="was moved away or replaced while in use; put it back") as failed:
            database.write({("m", "s", "a"): "2"}, synced=False)
    assert failed.value.error_type == "StateFileGone"
    assert not path.exists(), "it is not made anew"

    moved.rename(path)
    database.write({("m", "s", "a"): "3"}, synced=False)
    assert database.read("m", "s") == {"a": "3"}


def test_a_file_that_was_replaced_is_not_written(database: Database, path: Path, tmp_path: Path) -> None:
    database.write({("m", "s", "a"): "1"}, synced=False)
    other = Database(str(tmp_path / "other.db"), Clock())
    other.open()
    other.close()
    (tmp_path / "other.db").replace(path)

    with pytest.raises(StoreFailed) as failed:
        database.write({("m", "s", "a"): "2"}, synced=False)

    assert failed.value.error_type == "StateFileGone"


def test_a_file_spoilt_while_in_use_is_reported_and_not_made_anew(database: Database, path: Path) -> None:
    database.write(MANY, synced=False)
    assert database._connection is not None
    database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database._disconnect()
    path.write_bytes(b"\xa5" * path.stat().st_size)
    spoilt = path.read_bytes()

    with pytest.raises(StoreFailed) as read:
        database.read("m", "s")
    with pytest.raises(StoreFailed) as written:
        database.write({("m", "s", "a"): "1"}, synced=False)
    database.close()

    assert read.value.error_type == written.value.error_type == "SQLITE_NOTADB"
    assert path.read_bytes() == spoilt
