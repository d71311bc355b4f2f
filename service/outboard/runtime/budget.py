"""Knows how lanes wait for their part of the memory budget; the arithmetic is the core's."""

import asyncio
from collections.abc import Iterable

from outboard.core.budget import Budget, Ticket


class ByteBudget:
    """The process's `MaximumBufferedBytes`, in shares."""

    def __init__(self, total: int) -> None:
        self._budget = Budget(total)
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}

    def share(self, mapping: str) -> "Share":
        self.wake(self._budget.join(mapping))
        return Share(self, self._budget, mapping)

    async def take(self, mapping: str, size: int) -> int:
        """Wait until `size` bytes are granted, or what of them can ever be; returns how many."""
        ticket = self._budget.ask(mapping, size)
        if not ticket.granted:
            granted = self._waiting[ticket] = asyncio.get_running_loop().create_future()
            try:
                await granted
            except asyncio.CancelledError:
                del self._waiting[ticket]
                freed = self._budget.give_back(mapping, ticket.size) if ticket.granted else self._budget.cancel(ticket)
                self.wake(freed)
                raise
            del self._waiting[ticket]
        return ticket.size

    def leave(self, mapping: str) -> None:
        """The mapping is gone with all that it held."""
        self.wake(self._budget.leave(mapping))

    def wake(self, tickets: Iterable[Ticket]) -> None:
        for ticket in tickets:
            waiting = self._waiting.get(ticket)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)


class Share:
    """One mapping's part."""

    def __init__(self, owner: ByteBudget, budget: Budget, mapping: str) -> None:
        self._owner = owner
        self._budget = budget
        self._mapping = mapping

    @property
    def used(self) -> int:
        return self._budget.held(self._mapping)

    async def take(self, size: int) -> int:
        return await self._owner.take(self._mapping, size)

    def try_take(self, size: int) -> bool:
        return self._budget.try_take(self._mapping, size)

    def adjust(self, granted: int, actual: int) -> None:
        if actual > granted:
            self._budget.force(self._mapping, actual - granted)
        else:
            self.give_back(granted - actual)

    def give_back(self, size: int) -> None:
        self._owner.wake(self._budget.give_back(self._mapping, size))
