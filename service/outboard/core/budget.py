"""Knows the arithmetic of the memory budget: a floor for each mapping, a shared rest, and who is next to have some."""

from collections import deque
from dataclasses import dataclass

#: No mapping is set aside more than this; what is left over is for whoever has a backlog.
_HIGHEST_FLOOR = 4 * 1024 * 1024


@dataclass(eq=False, slots=True)
class Ticket:
    """One request for bytes: granted, or in line. `size` is what is granted, at most what could ever be."""

    mapping: str
    size: int
    granted: bool = False


class Budget:
    """`total` bytes between mappings. What was read may turn out larger than was paid for; that debt blocks later takes
    until it is paid back, so the total is exceeded by no more than the reads that were under way.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._used: dict[str, int] = {}
        self._floor = 0
        self._shared_used = 0
        self._line: deque[Ticket] = deque()

    @property
    def floor(self) -> int:
        """Bytes that each mapping has for itself, whatever the others do."""
        return self._floor

    def used(self, mapping: str) -> int:
        return self._used[mapping]

    def join(self, mapping: str) -> None:
        self._used.setdefault(mapping, 0)
        self._divide()

    def leave(self, mapping: str) -> list[Ticket]:
        """The mapping is gone with all it held. Returns the tickets granted by that."""
        del self._used[mapping]
        self._line = deque(ticket for ticket in self._line if ticket.mapping != mapping)
        self._divide()
        return self._admit()

    def ask(self, mapping: str, size: int) -> Ticket:
        """A ticket for `size` bytes, granted or in line. One over what could ever be granted is cut to that."""
        most = self._floor + self.total - self._floor * len(self._used)
        ticket = Ticket(mapping, min(size, most))
        self._line.append(ticket)
        self._admit()
        return ticket

    def try_take(self, mapping: str, size: int) -> bool:
        """Take `size` bytes now or not at all; never past somebody in line for the shared rest."""
        return self._grant(mapping, size, shared=not self._line)

    def cancel(self, ticket: Ticket) -> list[Ticket]:
        """Give up a ticket, granted or not. Returns the tickets granted by that."""
        if ticket.granted:
            return self.give_back(ticket.mapping, ticket.size)
        self._line.remove(ticket)
        return self._admit()

    def give_back(self, mapping: str, size: int) -> list[Ticket]:
        """Returns the tickets granted by that."""
        self._change(mapping, -size)
        return self._admit()

    def adjust(self, mapping: str, granted: int, actual: int) -> list[Ticket]:
        """A read that was granted so much brought `actual` bytes. Returns the tickets granted by that."""
        self._change(mapping, actual - granted)
        return self._admit() if actual < granted else []

    def _divide(self) -> None:
        count = max(1, len(self._used))
        self._floor = min(_HIGHEST_FLOOR, self.total // 2 // count)
        self._shared_used = sum(max(0, used - self._floor) for used in self._used.values())

    def _admit(self) -> list[Ticket]:
        """Grant in order. Once somebody waits for the shared rest, those behind can only have of their own floors."""
        granted: list[Ticket] = []
        shared = True
        for ticket in self._line:
            ticket.granted = self._grant(ticket.mapping, ticket.size, shared=shared)
            shared = shared and ticket.granted
            if ticket.granted:
                granted.append(ticket)
        if granted:
            self._line = deque(ticket for ticket in self._line if not ticket.granted)
        return granted

    def _grant(self, mapping: str, size: int, *, shared: bool) -> bool:
        used = self._used[mapping]
        from_shared = max(0, used + size - self._floor) - max(0, used - self._floor)
        rest = self.total - self._floor * len(self._used) - self._shared_used if shared else 0
        if from_shared > max(0, rest):
            return False
        self._change(mapping, size)
        return True

    def _change(self, mapping: str, by: int) -> None:
        used = self._used.get(mapping)
        if used is None:
            return  # the mapping has left, and what it held with it
        self._used[mapping] = used + by
        self._shared_used += max(0, used + by - self._floor) - max(0, used - self._floor)
