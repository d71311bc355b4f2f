"""Knows the state file while it is in use: reads it, writes it, and goes on after an error."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from outboard.state import lock, opening
from outboard.state.unavailable import refused
from outboard.state.writer import Key, StoreFailed

_READ = "SELECT shard, position FROM checkpoints WHERE mapping = ? AND stream = ?"

_WRITE = (
    "INSERT INTO checkpoints (mapping, stream, shard, position, updated_at) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (mapping, stream, shard) DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at"
)

#: Writes a page as it is.
_NO_CHANGE = f"PRAGMA user_version = {opening.SCHEMA}"

#: Seconds to wait for another program that writes to the file; only one started by hand could.
_BUSY = 1.0

#: After these the connection is as good as before; after any other error a new one is made.
_HARMLESS = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY}


class Database:
    """A state file. Every method blocks, and all are called in one thread."""

    def __init__(self, path: str, wall: Callable[[], float]) -> None:
        self._path = Path(path)
        self._wall = wall
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._place: tuple[int, int] | None = None

    def open(self) -> None:
        """Raises `StateUnavailable`."""
        try:
            # A link and what it links to are one state, with one lock.
            self._path = Path(os.path.realpath(self._path))
            is_folder = self._path.is_dir()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise refused(self._path, f"cannot be opened ({why})", "name a file that this process may open") from error
        if is_folder:
            raise refused(self._path, "is a folder", "name a file in it, such as outboard.db")
        self._lock = lock.take(self._path)
        opening.prepare(self._path)
        self._place = self._found()
        try:
            self._connection = self._connect()
        except sqlite3.Error as error:
            raise refused(
                self._path, f"cannot be written ({error})", "let this process write it and its folder, and make room"
            ) from error

    def read(self, mapping: str, stream: str) -> Mapping[str, str]:
        """Raises `StoreFailed`."""
        try:
            return dict(self._connected().execute(_READ, (mapping, stream)))
        except sqlite3.Error as error:
            self._recover(error)
            raise self._failed("read", error) from error

    def write(self, rows: Mapping[Key, str], *, synced: bool) -> None:
        """One transaction. Raises `StoreFailed`.

        A killed process leaves what it has written to the system, so every commit outlives it. A power cut, with
        NORMAL, takes the last commits, the newest first: positions go back, and records are delivered again. That is no
        good for a position where reading began, since the next start would choose another: so whoever waits is given
        FULL, which syncs the log and with it all commits before.
        """
        self._check_place()
        try:
            connection = self._connected()
            connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            now = self._wall()
            connection.executemany(_WRITE, [(*key, position, now) for key, position in rows.items()])
            if synced and not rows:
                connection.execute(_NO_CHANGE)  # a commit of nothing would sync nothing
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._recover(error)
            raise self._failed("written", error) from error

    def close(self) -> None:
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(opening.uri(self._path, "mode=rw"), uri=True, isolation_level=None, timeout=_BUSY)
        try:
            # A file that may only be read is opened all the same, and a transaction begun: a change is refused.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_NO_CHANGE)
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _recover(self, error: sqlite3.Error) -> None:
        """Make the next try possible: as before, or with a new connection where the error may have spoilt this one.

        On a full disk no new one can be had, and the old one can still read; so it goes only once there is another.
        """
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _HARMLESS:
            return
        with contextlib.suppress(sqlite3.Error):
            another = self._connect()
            self._disconnect()
            self._connection = another

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _check_place(self) -> None:
        """A file that was moved away or replaced can still be written, but nobody would ever read it again."""
        if self._found() != self._place:
            raise StoreFailed(
                "StateFileGone",
                f"the state file {self._path} was moved away or replaced while in use; put it back, or restart to go "
                "by what is there now",
            )

    def _found(self) -> tuple[int, int] | None:
        """Which file the path names now."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _failed(self, done: str, error: sqlite3.Error) -> StoreFailed:
        error_type = getattr(error, "sqlite_errorname", type(error).__name__)
        return StoreFailed(error_type, f"the state file {self._path} cannot be {done} ({error})")
