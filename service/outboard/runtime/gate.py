"""Knows which lane of a mapping may invoke next: as many at once as the mapping's limit allows, in order of asking."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import assert_never

from outboard.core.concurrency import ConcurrencyLimit
from outboard.core.outcome import FunctionFailed, Outcome, Succeeded, Throttled, TooLarge, Unavailable


class Gate:
    """The mapping's concurrency. Lanes that were throttled queue here instead of all calling again at once."""

    def __init__(self, maximum: int, changed: Callable[[int, int], None]) -> None:
        """`changed(in_use, limit)` is told of every change."""
        self._limit = ConcurrencyLimit(maximum)
        self._changed = changed
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._in_use = 0
        self._held = False
        self._idle = asyncio.Event()
        self._idle.set()
        changed(0, self._limit.limit)

    @property
    def limit(self) -> int:
        return self._limit.limit

    @property
    def in_use(self) -> int:
        return self._in_use

    def try_enter(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        if self._in_use >= self._limit.limit or self._waiting or self._held:
            return False
        self._in_use += 1
        self._idle.clear()
        self._changed(self._in_use, self._limit.limit)
        return True

    async def enter(self) -> None:
        """Wait for a place. Cancelling is safe: a place that was just given is passed on."""
        if self.try_enter():
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place back; the next in line has it."""
        self._in_use -= 1
        self._admit()
        if not self._in_use:
            self._idle.set()

    def hold(self) -> None:
        """Let nobody in until `go_on`."""
        self._held = True

    def go_on(self) -> None:
        self._held = False
        self._admit()

    async def idle(self) -> None:
        """Returns once nobody is in, and whoever left has done what it does on leaving, up to its next wait."""
        while self._in_use:
            await self._idle.wait()

    def learn(self, outcome: Outcome, started: float, now: float) -> None:
        """Let the limit follow what came of an invoke begun at `started`; called while its place is still held."""
        match outcome:
            case Succeeded() | FunctionFailed() | TooLarge():
                self._limit.succeeded()
            case Throttled():
                self._limit.throttled(started, now, self._in_use)
            case Unavailable():
                self._limit.unavailable(started, now, self._in_use)
            case _:
                assert_never(outcome)

    def _admit(self) -> None:
        while self._waiting and self._in_use < self._limit.limit and not self._held:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                self._in_use += 1
                self._idle.clear()
        self._changed(self._in_use, self._limit.limit)
