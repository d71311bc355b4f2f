"""Knows which file may be used as state: makes a new one whole or not at all, and refuses what is not ours or damaged.

A refused file is not changed by one byte; nothing here opens for writing what was not found good.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from outboard.state.unavailable import refused

#: Marks an SQLite file as a state file: "Outb".
APPLICATION_ID = 0x4F757462

#: The version of the tables, counted up with every change of them.
SCHEMA = 1

#: Bytes of an SQLite file that say what it is.
_HEADER = 100

_TABLES = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA};
CREATE TABLE checkpoints (
    mapping TEXT NOT NULL,
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    position TEXT NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (mapping, stream, shard)
) WITHOUT ROWID;
COMMIT;
"""

_ROWS = "SELECT mapping, stream, shard, position FROM checkpoints"

_START_ANEW = "restore it from a copy, or move it away to begin without positions"


def prepare(path: Path) -> None:
    """See to it that there is a good state file at `path`, which must be locked. Raises `StateUnavailable`."""
    try:
        if not path.exists():
            _create(path)
        _examine(path)
    except OSError as error:
        raise refused(
            path, f"cannot be opened ({error.strerror})", "let this process read and write it and its folder"
        ) from error


def uri(path: Path, options: str) -> str:
    return f"file:{quote(os.fsencode(path))}?{options}"


def _create(path: Path) -> None:
    """A crash on the way leaves no state file, so that an empty or half written one is always a damaged one."""
    log = _beside(path, "-wal")
    if log.exists():
        raise refused(
            path,
            f"is missing, but {log.name}, which belongs to it, is there",
            "put the file back, or move that one away too to begin without positions",
        )
    new = _beside(path, "-new")
    _remove(new)
    try:
        with closing(sqlite3.connect(uri(new, "mode=rwc"), uri=True, isolation_level=None)) as connection:
            connection.executescript(_TABLES)
            # Kept in the file. Last, while nothing is in a log yet: the file moves without one.
            connection.execute("PRAGMA journal_mode = WAL")
        new.rename(path)
        _sync_folder(path.parent)
    except sqlite3.Error as error:
        raise refused(
            path, f"cannot be made ({error})", "make room on its disk, and let this process make files there"
        ) from error
    finally:
        _remove(new)


def _remove(new: Path) -> None:
    for ending in ("", "-journal", "-wal", "-shm"):
        _beside(new, ending).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """A new name in a folder outlives a power cut only once the folder is written."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _examine(path: Path) -> None:
    if not path.is_file():  # a pipe would be waited for
        raise refused(path, "is not a file", "name one in a folder, such as outboard.db")
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if not header:
        raise refused(path, "is empty, which a state file never is", _START_ANEW)
    if len(header) < _HEADER or not header.startswith(b"SQLite format 3\0"):
        raise refused(path, "is not an SQLite database", f"name another file; if it was one, {_START_ANEW}")
    version, application = int.from_bytes(header[60:64], "big"), int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise refused(path, "is the database of another program", "name another file")
    if version > SCHEMA:
        raise refused(
            path,
            f"was written by a newer version of Outboard (its schema is {version}, this one's is {SCHEMA})",
            "run that version, or name another file",
        )
    damage = _damage(path) if version == SCHEMA else f"there is no schema {version}"
    if damage:
        raise refused(path, f"is damaged ({damage})", _START_ANEW)


def _damage(path: Path) -> str:
    """What is wrong with the contents; empty if nothing is.

    All pages and all rows are read, and their order is checked, which SQLite's quick check leaves out: a wrong position
    found later would be a lost record, and a shard takes some two hundred bytes. SQLite has no checksums: what is still
    text in the right place passes.
    """
    log = _beside(path, "-wal")
    # With an empty log the file is all there is, and it is read without as much as making the log's files.
    options = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    try:
        with closing(sqlite3.connect(uri(path, options), uri=True, isolation_level=None)) as connection:
            for (found,) in connection.execute("PRAGMA integrity_check(1)"):
                if found != "ok":
                    return str(found).replace("\n", " ")
            for row in connection.execute(_ROWS):
                if not all(isinstance(value, str) for value in row):
                    return "a row is no text"
    except sqlite3.Error as error:
        # What cannot be decoded would be shown in full.
        return str(error).partition(" with text ")[0]
    return ""


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
