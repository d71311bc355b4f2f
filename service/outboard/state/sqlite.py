"""Knows how positions are kept in an SQLite file: puts the file, its thread and the writer together."""

import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from outboard.core.ports import Checkpoints
from outboard.state.database import Database
from outboard.state.thread import BlockingThread
from outboard.state.unavailable import StateUnavailable
from outboard.state.writer import Key, Told, writing

__all__ = ["StateUnavailable", "Told", "open_checkpoints"]

#: Seconds that closing the file may take, after the last write.
_CLOSING = 2.0


class _Store:
    """The state file, seen from the event loop."""

    def __init__(self, database: Database, thread: BlockingThread) -> None:
        self._database = database
        self._thread = thread

    async def read(self, mapping: str, stream: str) -> Mapping[str, str]:
        return await self._thread.run(partial(self._database.read, mapping, stream))

    async def write(self, rows: Mapping[Key, str], *, synced: bool) -> None:
        await self._thread.run(partial(self._database.write, rows, synced=synced))


@asynccontextmanager
async def open_checkpoints(
    path: str, told: Told, *, wall: Callable[[], float] = time.time, jitter: Callable[[], float] = random.random
) -> AsyncIterator[Checkpoints]:
    """Checkpoints in the file at `path`, which is made if it is missing and locked while the context is open.

    `wall` gives epoch seconds, `jitter` a random number in [0, 1). Raises `StateUnavailable`; what the context's body
    raises comes out in an `ExceptionGroup`. Leaving takes five seconds at most, and less where nothing is wrong.
    """
    thread = BlockingThread("state")
    database = Database(path, wall)
    try:
        await thread.run(database.open)
        async with writing(_Store(database, thread), told, jitter) as checkpoints:
            yield checkpoints
    finally:
        await thread.end(database.close, _CLOSING)
