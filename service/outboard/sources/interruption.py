"""Knows how a source does its work until it is told to stop, which cuts off whatever it waits for."""

import asyncio
from collections.abc import Awaitable, Callable


class Interruption:
    """The stop of one source."""

    def __init__(self) -> None:
        self.requested = False
        self._at_work: asyncio.Timeout | None = None

    def request(self) -> None:
        """Stop: cut off what is under way, and begin nothing more."""
        self.requested = True
        if self._at_work is not None and not self._at_work.expired():
            self._at_work.reschedule(asyncio.get_running_loop().time())

    async def done(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do it; False: a stop came first, or cut it off."""
        try:
            async with asyncio.timeout(None) as self._at_work:
                if self.requested:
                    return False
                await work()
        except TimeoutError:
            if not self.requested:
                raise
        finally:
            self._at_work = None
        return not self.requested
