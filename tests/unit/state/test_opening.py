"""A new file is made whole; one that is not ours, not good or not to be opened is refused and stays as it is."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from outboard.state.database import Database
from outboard.state.opening import APPLICATION_ID, SCHEMA, prepare
from outboard.state.unavailable import StateUnavailable

ROWS = {("m", "s", f"shardId-{number:012}"): "4" * 56 for number in range(500)}


def make(path: Path) -> None:
    """A good state file of some pages, closed in good order."""
    database = Database(str(path), lambda: 1.0)
    database.open()
    database.write(ROWS, synced=False)
    database.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file() and "-lock" not in file.name}


def refusal(path: Path) -> str:
    """What is said when the file is refused, which must leave everything as it is."""
    before = contents(path.parent)
    database = Database(str(path), lambda: 1.0)
    with pytest.raises(StateUnavailable) as refused:
        database.open()
    database.close()
    assert contents(path.parent) == before
    said = str(refused.value)
    assert said.startswith(f"State.Path: the state file {path} ")
    assert said.endswith(".")
    assert "\n" not in said
    return said.removeprefix(f"State.Path: the state file {path} ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outboard.db"


@pytest.fixture
def good(path: Path) -> Path:
    make(path)
    return path


def test_a_missing_file_is_made_and_marked_as_ours(path: Path) -> None:
    prepare(path)

    assert [file.name for file in path.parent.iterdir()] == ["outboard.db"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchall() == [(APPLICATION_ID,)]
        assert connection.execute("PRAGMA user_version").fetchall() == [(SCHEMA,)]
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
        assert connection.execute("SELECT * FROM checkpoints").fetchall() == []


def test_what_a_crash_left_while_the_file_was_made_is_no_hindrance(path: Path) -> None:
    for ending in ("-new", "-new-journal", "-new-wal", "-new-shm"):
        path.with_name(path.name + ending).write_bytes(b"half written")

    prepare(path)

    assert [file.name for file in path.parent.iterdir()] == ["outboard.db"]


def test_a_file_that_cannot_be_made_leaves_nothing_behind(path: Path) -> None:
    (path.parent / "outboard.db-new").mkdir()

    with pytest.raises(StateUnavailable, match="cannot be opened"):
        prepare(path)

    assert [file.name for file in path.parent.iterdir()] == ["outboard.db-new"]


def test_a_good_file_is_taken_as_it_is(good: Path) -> None:
    before = contents(good.parent)
    assert list(before) == ["outboard.db"]

    prepare(good)

    assert contents(good.parent) == before


def test_a_link_stands_for_what_it_links_to_its_lock_included(good: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(good)
    first, second = Database(str(good), lambda: 1.0), Database(str(link), lambda: 1.0)
    first.open()

    with pytest.raises(StateUnavailable, match=f"{good} is in use by another process"):
        second.open()

    first.close()
    second.open()
    assert len(second.read("m", "s")) == len(ROWS)
    second.close()
    assert [file.name for file in link.parent.iterdir()] == ["link.db"]


@pytest.mark.parametrize("name", ["out board.db", "out?mode=ro#1%20.db", "überbord.db", ":memory:", "file:x.db"])
def test_any_name_is_the_name_of_a_file(tmp_path: Path, name: str) -> None:
    make(tmp_path / name)

    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, f"{name}-lock"])


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "is a folder; name a file in it, such as outboard.db."


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "missing" / "outboard.db"), lambda: 1.0)

    with pytest.raises(StateUnavailable, match="is in a folder that does not exist; make that folder"):
        database.open()

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(good: Path) -> None:
    database = Database(str(good / "outboard.db"), lambda: 1.0)

    with pytest.raises(StateUnavailable, match="is in a folder that does not exist"):
        database.open()


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    database = Database(f"{tmp_path}/out\0board.db", lambda: 1.0)

    with pytest.raises(StateUnavailable, match=r"cannot be opened \(.*null.*\); name a file"):
        database.open()


def test_a_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    database = Database(str(path), lambda: 1.0)

    with pytest.raises(StateUnavailable, match="is not a file"):
        database.open()

    database.close()


def test_an_empty_file_is_refused_since_it_may_be_all_that_is_left_of_one(path: Path) -> None:
    path.touch()

    assert refusal(path) == (
        "is empty, which a state file never is; restore it from a copy, or move it away to begin without positions."
    )


def test_a_log_without_its_file_is_refused(path: Path) -> None:
    (path.parent / "outboard.db-wal").write_bytes(b"x" * 4152)

    assert refusal(path).startswith("is missing, but outboard.db-wal, which belongs to it, is there; put the file back")


@pytest.mark.parametrize("text", [b"x", b"EventSourceMappings: []\n" * 10, b"SQLite format 3\0", os.urandom(8192)])
def test_a_file_that_is_no_database_is_refused(path: Path, text: bytes) -> None:
    path.write_bytes(text)

    assert refusal(path).startswith("is not an SQLite database; name another file; if it was one, restore it")


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE checkpoints (mapping, stream, shard, position)")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()

    assert refusal(path) == "is the database of another program; name another file."


def test_a_file_of_a_newer_version_is_refused(good: Path) -> None:
    with closing(sqlite3.connect(good)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")

    assert refusal(good) == (
        f"was written by a newer version of Outboard (its schema is {SCHEMA + 1}, this one's is {SCHEMA}); "
        "run that version, or name another file."
    )


def test_a_file_without_a_schema_version_is_refused(good: Path) -> None:
    with closing(sqlite3.connect(good)) as connection:
        connection.execute("PRAGMA user_version = 0")

    assert refusal(good).startswith("is damaged (there is no schema 0)")


def test_a_file_without_its_table_is_refused(good: Path) -> None:
    with closing(sqlite3.connect(good)) as connection:
        connection.execute("ALTER TABLE checkpoints RENAME TO others")

    assert refusal(good).startswith("is damaged (no such table: checkpoints)")


@pytest.mark.parametrize("position", [7, b"bytes"])
def test_a_position_that_is_no_text_is_refused(good: Path, position: object) -> None:
    with closing(sqlite3.connect(good)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'position TEXT', 'position BLOB')")
        connection.commit()
    with closing(sqlite3.connect(good)) as connection:
        connection.execute("UPDATE checkpoints SET position = ? WHERE shard LIKE '%7'", (position,))
        connection.commit()

    assert refusal(good).startswith("is damaged (a row is no text)")


def test_a_position_that_cannot_be_decoded_is_refused_without_showing_it(good: Path) -> None:
    good.write_bytes(good.read_bytes().replace(b"4" * 56, b"4" * 20 + b"\xff\xfe\n" + b"4" * 33, 1))

    assert refusal(good).startswith("is damaged (Could not decode to UTF-8 column 'position'); restore it")


def _cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2 + 100]


def _cut_at_a_page(whole: bytes) -> bytes:
    return whole[: len(whole) // 2 // 4096 * 4096]


def _garbage_behind_the_mark(whole: bytes) -> bytes:
    return whole[:100] + b"\xa5" * 400 + whole[500:]


def _garbage_in_the_middle(whole: bytes) -> bytes:
    middle = len(whole) // 2 // 4096 * 4096
    return whole[:middle] + b"\xa5" * 4096 + whole[middle + 4096 :]


def _zeros_in_the_middle(whole: bytes) -> bytes:
    middle = len(whole) // 2 // 4096 * 4096
    return whole[:middle] + bytes(4096) + whole[middle + 4096 :]


def _pages_exchanged(whole: bytes) -> bytes:
    pages = [whole[start : start + 4096] for start in range(0, len(whole), 4096)]
    pages[4], pages[6] = pages[6], pages[4]
    return b"".join(pages)


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _cut_at_a_page,
        _garbage_behind_the_mark,
        _garbage_in_the_middle,
        _zeros_in_the_middle,
        _pages_exchanged,
    ],
)
def test_a_damaged_file_is_refused(good: Path, damage: Callable[[bytes], bytes]) -> None:
    good.write_bytes(damage(good.read_bytes()))

    said = refusal(good)

    assert said.startswith("is damaged (")
    assert said.endswith("); restore it from a copy, or move it away to begin without positions.")


def test_a_damaged_file_with_a_log_is_refused_and_the_log_not_moved_into_it(good: Path, tmp_path: Path) -> None:
    database = Database(str(good), lambda: 1.0)
    database.open()
    database.write({("m", "s", "shardId-000000000001"): "5"}, synced=False)
    killed = contents(tmp_path)
    database.close()
    for name, whole in killed.items():
        (tmp_path / name).write_bytes(_garbage_in_the_middle(whole) if name == "outboard.db" else whole)
    assert len(killed["outboard.db-wal"]) > 4096
    (tmp_path / "outboard.db-shm").unlink(missing_ok=True)
    before = contents(tmp_path)

    with pytest.raises(StateUnavailable, match="is damaged"):
        prepare(good)

    after = contents(tmp_path)
    after.pop("outboard.db-shm", None)  # an index, made anew from the log at each start
    assert after == before


def test_a_file_whose_log_was_being_moved_into_it_at_a_kill_is_good(path: Path, tmp_path: Path) -> None:
    database = Database(str(path), lambda: 1.0)
    database.open()
    database.write(ROWS, synced=False)
    killed = contents(tmp_path)
    database.close()
    moved = path.read_bytes()
    path.write_bytes(_cut(moved))
    path.with_name("outboard.db-wal").write_bytes(killed["outboard.db-wal"])

    database.open()

    assert len(database.read("m", "s")) == len(ROWS)
    database.close()
    assert path.read_bytes() == moved
