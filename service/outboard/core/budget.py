"""Knows which mapping may hold how many bytes in memory: a floor for each, a shared rest, and a line of who waits.

Half of the total at most is divided into floors, which nobody else can take; the rest is shared, first come first
served. What no grant covers (an answer that was larger than was paid for) is debt: it is held all the same, and the
first room there is goes to it, so that its mapping and the shared rest grant nothing until it is given back or covered.
"""

from dataclasses import dataclass

_FLOOR_LIMIT = 8 * 1024 * 1024

#: One request may take this part of the shared rest, so that no single read holds up the line for all of it.
_LARGEST_PART = 4


@dataclass(slots=True, eq=False)
class Ticket:
    """One request for memory; compared by identity.

    Attributes:
        size: bytes; what was asked for while it waits, what was granted from then on, which may be less.
    """

    mapping: str
    size: int
    granted: bool = False


class Budget:
    """The accounts of `total` bytes. What can end a wait returns the tickets that are granted by it, in order.

    What the mappings were granted never exceeds `total`; `used` does, by no more than `debt`. A mapping that holds at
    most half of its floor is never kept waiting, except after one joined when all was taken: then until enough of that
    is given back.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._held: dict[str, int] = {}
        self._debts: dict[str, int] = {}  # only of mappings that have one
        self._waiting: dict[Ticket, None] = {}
        self._granted = 0
        self._floor = 0
        self._beyond_floors = 0

    @property
    def floor(self) -> int:
        """Bytes that each mapping can count on, whatever the others hold."""
        return self._floor

    @property
    def largest(self) -> int:
        """Bytes that one request can be granted; a larger one is cut to this, so that it cannot wait for ever."""
        return self._floor + self._shared // _LARGEST_PART

    @property
    def used(self) -> int:
        """Bytes that are held now, debts included."""
        return self._granted + self.debt

    @property
    def debt(self) -> int:
        """Bytes that are held and were never granted."""
        return sum(self._debts.values())

    def held(self, mapping: str) -> int:
        """Bytes that one mapping holds, its debt included."""
        return self._held[mapping] + self._debts.get(mapping, 0)

    def join(self, mapping: str) -> list[Ticket]:
        """Take in a mapping; floors may shrink, and what waits is cut to fit. Raises ValueError if it is in already."""
        if mapping in self._held:
            raise ValueError(f"mapping {mapping} has joined the budget already")
        self._held[mapping] = 0
        self._divide(self._total // 2)
        return self._serve()

    def leave(self, mapping: str) -> list[Ticket]:
        """Let a mapping go with all that it holds; its waiting tickets are void. Raises KeyError if it is not there."""
        floors = self._floor * len(self._held)
        self._granted -= self._held.pop(mapping)
        self._debts.pop(mapping, None)
        self._waiting = {ticket: None for ticket in self._waiting if ticket.mapping != mapping}
        self._divide(floors)  # and not by a byte more, which rounding would take of the shared rest, perhaps in use
        return self._serve()

    def try_take(self, mapping: str, size: int) -> bool:
        """Take all of `size` bytes now, past nobody who waits; False if that cannot be."""
        if any(ticket.mapping == mapping for ticket in self._waiting):
            return False
        if size > self._room(mapping, shared=not self._waiting):
            return False
        self._hold(mapping, size)
        return True

    def ask(self, mapping: str, size: int) -> Ticket:
        """Ask for `size` bytes, at least 1. The ticket is granted at once, or later by what another method returns.

        Where the shared rest has no room for all of it, what is left of the mapping's floor is granted instead, if that
        is at least half of what was asked for or half of the floor.
        """
        if size < 1:
            raise ValueError(f"mapping {mapping} asks for {size} bytes; at least 1 can be asked for")
        ticket = Ticket(mapping, size)
        self._waiting[ticket] = None
        self._serve()  # whoever waited before has been served already: this concerns the new ticket only
        return ticket

    def cancel(self, ticket: Ticket) -> list[Ticket]:
        """Leave the line. Raises KeyError if the ticket does not wait: once granted, its size must be given back."""
        del self._waiting[ticket]
        return self._serve()

    def force(self, mapping: str, size: int) -> None:
        """Account for `size` bytes that are here already, whether there is room for them or not."""
        fits = min(size, self._room(mapping, shared=True))
        self._hold(mapping, fits)
        if size > fits:
            self._debts[mapping] = self._debts.get(mapping, 0) + size - fits

    def give_back(self, mapping: str, size: int) -> list[Ticket]:
        """Give back `size` bytes; debt is paid first. Raises ValueError if the mapping holds less."""
        if not 0 <= size <= self.held(mapping):
            raise ValueError(f"mapping {mapping} gives back {size} bytes and holds {self.held(mapping)}")
        debt = self._debts.pop(mapping, 0)
        if debt > size:
            self._debts[mapping] = debt - size
        self._hold(mapping, -max(0, size - debt))
        return self._serve()

    @property
    def _shared(self) -> int:
        return self._total - self._floor * len(self._held)

    def _divide(self, floors: int) -> None:
        self._floor = min(_FLOOR_LIMIT, floors // len(self._held)) if self._held else 0
        self._beyond_floors = sum(max(0, held - self._floor) for held in self._held.values())

    def _hold(self, mapping: str, size: int) -> None:
        before = self._held[mapping]
        self._held[mapping] = after = before + size
        self._granted += size
        self._beyond_floors += max(0, after - self._floor) - max(0, before - self._floor)

    def _room(self, mapping: str, *, shared: bool) -> int:
        """Bytes that `mapping` could be granted now, of its floor alone or of the shared rest too."""
        room = max(0, self._floor - self._held[mapping])
        if shared:
            room += max(0, self._shared - self._beyond_floors)
        return min(room, self._total - self._granted)

    def _serve(self) -> list[Ticket]:
        """Grant what can be granted, in the order of asking.

        The first that must wait for the shared rest closes it to all behind; their floors stay open to them, except
        to later tickets of a mapping that has an earlier one waiting.
        """
        self._cover_debts()
        served: list[Ticket] = []
        blocked: set[str] = set()
        shared = True
        for ticket in list(self._waiting):
            if ticket.mapping in blocked:
                continue
            size = self._grantable(ticket, shared=shared)
            if size == 0:
                blocked.add(ticket.mapping)
                shared = False
                continue
            del self._waiting[ticket]
            self._hold(ticket.mapping, size)
            ticket.size, ticket.granted = size, True
            served.append(ticket)
        return served

    def _cover_debts(self) -> None:
        """Turn debt into grants as far as there is room, so that where debt is left, there is no room to be had."""
        for mapping, debt in list(self._debts.items()):
            del self._debts[mapping]
            self.force(mapping, debt)

    def _grantable(self, ticket: Ticket, *, shared: bool) -> int:
        """How much of a ticket can be granted now; 0: it waits."""
        size = min(ticket.size, self.largest)
        if size <= self._room(ticket.mapping, shared=shared):
            return size
        left = self._room(ticket.mapping, shared=False)
        return left if 2 * left >= min(size, self._floor) else 0
