"""Knows when a changed configuration is taken up: when it lies still; looked for now and then, or when asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Seen = TypeVar("Seen")

#: Seconds between two looks.
INTERVAL = 5.0

#: Seconds for which it must read the same, so that nothing half written is taken up.
SETTLING = 0.5


class Reloader(Generic[Seen]):
    """Looks every `INTERVAL` seconds, or when asked, and gives what is new to `take`, which answers whether that is
    done with: if not, it is given again after the next look.

    `look` reads all there is; two answers are equal if nothing has changed. `first` is what the process began with.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[Seen]],
        take: Callable[[Seen], Awaitable[bool]],
        first: Seen,
    ) -> None:
        self._look = look
        self._take = take
        self._taken: Seen | None = first  # None: it was not done with
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Look now, and take what is there, new or not."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            asked = await self._pause()
            seen = await self._look()
            if seen == self._taken and not asked:
                continue
            seen = await self._still(seen)
            if seen != self._taken or asked:
                self._taken = seen if await self._take(seen) else None

    async def _pause(self) -> bool:
        try:
            async with asyncio.timeout(INTERVAL):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _still(self, seen: Seen) -> Seen:
        while True:
            await asyncio.sleep(SETTLING)
            again = await self._look()
            if again == seen:
                return seen
            seen = again
