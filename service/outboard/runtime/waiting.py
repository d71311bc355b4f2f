"""Knows how to wait for something unless a stop comes first."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Stop:
    """A stop that was asked for: set once, seen by everybody who waits through it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()

    async def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until the stop."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._event.wait()
        except TimeoutError:
            pass

    async def first(self, waiting: Coroutine[Any, Any, None], undo: Callable[[], None]) -> bool:
        """Wait for `waiting` or the stop. False: the stop came first, and `waiting` was cancelled and has ended.

        `undo` takes back what `waiting` has done where the caller is cancelled before it learns of that.
        """
        task: asyncio.Task[None] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(waiting, name="waiting")
                stop = group.create_task(self._event.wait(), name="stop")
                await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
                stop.cancel()
                if not task.done():
                    task.cancel()
        except asyncio.CancelledError:
            if task is not None and not task.cancelled():
                undo()
            raise
        return not task.cancelled()
