"""Knows how positions become durable: gathered for a moment, written together, tried again while that fails."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from outboard.core import backoff
from outboard.core.ports import SourceFailed
from outboard.state.unavailable import StateUnavailable

#: Mapping, stream, shard.
Key = tuple[str, str, str]

#: Seconds for which positions are gathered before they are written.
GATHERING = 0.2

#: Seconds between two tries at most.
LONGEST_PAUSE = 10.0

#: Seconds after which a write that has not come back is told of, like one that failed.
LATE = 5.0

#: Seconds that the last write may take: a full or broken disk must not hold up the exit.
LAST_WRITE = 3.0


class Told(Protocol):
    """Who makes it visible that positions cannot be saved."""

    def failed(self, error_type: str, message: str) -> None:
        """Positions could not be saved; told at each try."""

    def saved(self) -> None:
        """They could be; told at each write."""


class StoreFailed(Exception):
    """The store could not be read or written; the message is for an operator."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message


class Store(Protocol):
    """Where positions are durable."""

    async def read(self, mapping: str, stream: str) -> Mapping[str, str]:
        """The positions by shard. Raises `StoreFailed`."""

    async def write(self, rows: Mapping[Key, str], *, synced: bool) -> None:
        """Replace these positions, all or none; `synced`: these and all before them outlive a power cut too.

        Raises `StoreFailed`; whether the rows are there is unknown then.
        """


class Writer:
    """Checkpoints in a store. Whatever happens, the store is as it was after one of the calls of `save`: a write takes
    everything that was given until then, what a failed one took goes along with the next, and there is one at a time.
    """

    def __init__(self, store: Store, told: Told, jitter: Callable[[], float]) -> None:
        self._store = store
        self._told = told
        self._jitter = jitter
        self._given: dict[Key, str] = {}  # what no successful write has taken; one position a shard, so it is bounded
        self._waiting: list[asyncio.Future[None]] = []
        self._free = asyncio.Lock()  # held during a read or a write
        self._asked = asyncio.Event()
        self._hurried = asyncio.Event()
        self._ending = asyncio.Event()

    async def load(self, mapping: str, stream: str) -> Mapping[str, str]:
        """Raises `SourceFailed`: a mapping whose positions cannot be read waits until they can."""
        async with self._free:
            try:
                positions = dict(await self._store.read(mapping, stream))
            except StoreFailed as failure:
                raise SourceFailed(failure.error_type, failure.message) from failure
            for (its_mapping, its_stream, shard), position in self._given.items():
                if (its_mapping, its_stream) == (mapping, stream):
                    positions[shard] = position
            return positions

    def is_saved(self, mapping: str, stream: str) -> bool:
        return all(key[:2] != (mapping, stream) for key in self._given)

    def save(self, mapping: str, stream: str, positions: Mapping[str, str]) -> None:
        self._given |= {(mapping, stream, shard): position for shard, position in positions.items()}
        self._asked.set()

    async def saved(self) -> None:
        """Outlives a power cut too. Raises `StateUnavailable` if the end came before."""
        durable = asyncio.get_running_loop().create_future()
        self._waiting.append(durable)
        self._asked.set()
        self._hurried.set()
        await durable

    async def run(self) -> None:
        """Write until `end`, and then what is left; the write after `end` is the last, whatever comes of it."""
        failures = 0
        while await self._gather():
            failure = await self._write()
            if failure is None:
                self._told.saved()
                failures = 0
                continue
            failures += 1
            self._told.failed(failure.error_type, failure.message)
            if self._ending.is_set():
                return
            await _at_most(min(LONGEST_PAUSE, backoff.delay(failures, self._jitter())), self._ending)

    def end(self) -> None:
        for event in (self._ending, self._hurried, self._asked):
            event.set()

    def ended(self) -> None:
        """Nothing is written any more: tell of what was not."""
        if self._given:
            count = f"{len(self._given)} position{'s' if len(self._given) > 1 else ''}"
            self._told.failed("NotSaved", f"{count} not saved before the end; what came since is delivered again")
        for durable in self._waiting:
            if not durable.done():
                durable.set_exception(StateUnavailable("The state was closed before the positions were saved."))

    async def _gather(self) -> bool:
        """Wait for something to write, and then a moment for what can go along. False: it is the end."""
        while not self._given and not self._waiting:
            if self._ending.is_set():
                return False
            self._asked.clear()
            await self._asked.wait()
        if not self._waiting and not self._ending.is_set():
            self._hurried.clear()
            await _at_most(GATHERING, self._hurried)
        return True

    async def _write(self) -> StoreFailed | None:
        async with self._free:
            rows, self._given = self._given, {}
            waiting, self._waiting = self._waiting, []
            written = False
            self._expect_within(LATE)
            try:
                await self._store.write(rows, synced=bool(waiting))
                written = True
            except StoreFailed as failure:
                return failure
            finally:
                self._late.cancel()
                if not written:
                    self._given = rows | self._given
                    self._waiting = waiting + self._waiting
        for durable in waiting:
            if not durable.done():
                durable.set_result(None)
        return None

    def _expect_within(self, seconds: float) -> None:
        self._late = asyncio.get_running_loop().call_later(LATE, self._tell_late, seconds)

    def _tell_late(self, seconds: float) -> None:
        self._told.failed("Timeout", f"a write has not ended within {seconds:g} s; see to the disk of State.Path")
        self._expect_within(seconds + LATE)


@asynccontextmanager
async def writing(store: Store, told: Told, jitter: Callable[[], float]) -> AsyncIterator[Writer]:
    """Checkpoints that are written while the context is open. What its body raises comes out in an `ExceptionGroup`, as
    of a `TaskGroup`.
    """
    writer = Writer(store, told, jitter)
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(writer.run(), name="checkpoints")
            try:
                yield writer
            finally:
                writer.end()
                await asyncio.wait({running}, timeout=LAST_WRITE)
                running.cancel()
    finally:
        writer.ended()


async def _at_most(seconds: float, event: asyncio.Event) -> None:
    """Wait for the event, so many seconds at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
