"""The memory accounts: floors, the shared rest, debts, and the line of who waits."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from outboard.core.budget import Budget, Ticket

MIB = 1024 * 1024


def joined(total: int, *mappings: str) -> Budget:
    budget = Budget(total)
    for mapping in mappings:
        budget.join(mapping)
    return budget


def test_half_of_the_total_is_divided_into_floors() -> None:
    assert joined(1000, "a").floor == 500
    assert joined(1000, "a", "b", "c", "d").floor == 125


def test_a_floor_has_a_limit() -> None:
    assert joined(256 * MIB, "a").floor == 8 * MIB


def test_one_mapping_can_take_its_floor_and_all_that_is_shared() -> None:
    budget = joined(1000, "a", "b")
    assert budget.try_take("a", 750)
    assert not budget.try_take("a", 1)


def test_a_floor_is_free_while_another_mapping_has_taken_all_that_is_shared() -> None:
    budget = joined(1000, "a", "b")
    budget.try_take("a", 750)
    assert budget.try_take("b", 250)
    assert not budget.try_take("b", 1)
    assert budget.used == 1000


def test_a_request_larger_than_can_ever_be_granted_is_cut() -> None:
    budget = joined(1000, "a", "b")
    ticket = budget.ask("a", 10_000)
    assert (ticket.granted, ticket.size) == (True, budget.largest) == (True, 250 + 500 // 4)
    assert budget.held("a") == ticket.size


def test_where_the_shared_rest_is_taken_the_floor_is_granted_instead() -> None:
    budget = joined(1000, "a", "b")
    budget.try_take("a", 750)
    ticket = budget.ask("b", 300)
    assert (ticket.granted, ticket.size) == (True, 250)


def test_who_has_used_most_of_its_floor_waits_until_what_it_asks_for_is_there() -> None:
    budget = joined(1000, "a", "b")
    budget.try_take("a", 750)
    budget.try_take("b", 200)
    ticket = budget.ask("b", 300)
    assert not ticket.granted
    assert budget.give_back("a", 249) == []
    assert budget.give_back("a", 1) == [ticket]
    assert (ticket.granted, ticket.size, budget.held("b")) == (True, 300, 500)


def test_those_who_wait_are_served_in_the_order_of_asking() -> None:
    budget = joined(1000, "a", "b", "c")
    budget.try_take("a", budget.floor + 502)
    budget.try_take("b", budget.floor)
    budget.try_take("c", budget.floor)
    first, second = budget.ask("b", 100), budget.ask("c", 10)
    assert budget.give_back("a", 50) == []  # room for the second, whose turn it is not
    assert budget.give_back("a", 60) == [first, second]


def test_nobody_takes_past_those_who_wait_for_the_shared_rest() -> None:
    budget = joined(1000, "a", "b", "c")
    budget.try_take("a", budget.floor + 502)
    budget.try_take("b", budget.floor)
    budget.ask("b", 100)
    budget.give_back("a", 50)
    assert not budget.try_take("a", 1)
    assert not budget.try_take("b", 1)
    assert budget.try_take("c", budget.floor)


def test_a_mapping_does_not_overtake_itself() -> None:
    budget = joined(1000, "a", "b")
    budget.try_take("a", 750)
    budget.try_take("b", 200)
    large, small = budget.ask("b", 300), budget.ask("b", 10)
    assert not budget.try_take("b", 10)
    assert (large.granted, small.granted) == (False, False)
    assert budget.give_back("a", 1) == []
    assert budget.give_back("a", 300) == [large, small]


def test_a_ticket_that_is_cancelled_lets_the_next_one_through() -> None:
    budget = joined(1000, "a", "b", "c")
    for mapping in "abc":
        budget.try_take(mapping, budget.floor)
    budget.try_take("a", 450)
    large, small = budget.ask("b", 100), budget.ask("c", 10)
    assert budget.cancel(large) == [small]


def test_a_granted_ticket_cannot_be_cancelled() -> None:
    budget = joined(1000, "a")
    with pytest.raises(KeyError):
        budget.cancel(budget.ask("a", 1))


def test_what_arrived_without_room_is_debt_and_its_mapping_takes_no_more_until_it_is_paid() -> None:
    budget = joined(1000, "a", "b")
    budget.try_take("a", 750)
    budget.force("a", 100)
    assert (budget.used, budget.debt, budget.held("a")) == (850, 100, 850)
    ticket = budget.ask("a", 1)
    assert budget.give_back("a", 100) == []
    assert budget.debt == 0
    assert budget.give_back("a", 1) == [ticket]


def test_debt_takes_from_the_shared_rest_and_never_from_a_floor() -> None:
    budget = joined(1000, "a", "b")
    budget.try_take("a", 750)
    budget.force("a", 100)
    assert not budget.try_take("b", 251)
    assert budget.try_take("b", 250)
    assert budget.used == 1000 + budget.debt


def test_who_is_in_debt_holds_up_nobody_else() -> None:
    budget = joined(1000, "a", "b", "c")
    budget.try_take("b", budget.floor + 502)
    budget.try_take("c", budget.floor)
    budget.try_take("a", budget.floor)
    budget.force("a", 100)
    in_debt, other = budget.ask("a", 50), budget.ask("c", 10)
    assert budget.give_back("b", 105) == []  # 100 of it cover the debt; the line goes on with the first ticket
    assert budget.give_back("b", 55) == [in_debt, other]


def test_a_debt_is_covered_when_there_is_room_for_it() -> None:
    budget = joined(1000, "a", "b")
    budget.try_take("b", 750)
    budget.force("a", 300)
    assert budget.debt == 50
    budget.give_back("b", 60)
    assert (budget.debt, budget.held("a"), budget.used) == (0, 300, 990)


def test_a_mapping_that_joins_when_all_is_taken_waits_and_comes_first() -> None:
    budget = joined(1000, "a")
    budget.try_take("a", 1000)
    budget.join("b")
    ticket = budget.ask("b", 250)
    assert not ticket.granted
    assert budget.give_back("a", 100) == []
    assert not budget.try_take("a", 1)
    assert budget.give_back("a", 25) == [ticket]
    assert ticket.size == 125  # half of its floor is enough to begin with


def test_who_joins_takes_part_of_everybodys_floor() -> None:
    budget = joined(1000, "a", "b")
    budget.try_take("a", 750)
    budget.join("c")
    assert not budget.try_take("a", 1)  # what it holds is beyond its smaller floor now, and all that is shared
    assert budget.try_take("c", budget.floor)


def test_a_ticket_for_which_there_is_room_once_the_floors_are_divided_anew_is_served() -> None:
    budget = joined(17, "a", "b", "c", "d")
    budget.try_take("a", 10)
    ticket = budget.ask("a", 2)
    assert not ticket.granted
    assert budget.join("e") == [ticket]  # floors of 1 leave 12 to share, where floors of 2 left 9


def test_who_leaves_makes_room_for_those_who_stay() -> None:
    budget = joined(1000, "a", "b")
    budget.try_take("a", 750)
    budget.leave("b")
    assert budget.try_take("a", 250)


def test_a_mapping_that_leaves_gives_everything_back_and_waits_no_more() -> None:
    budget = joined(1000, "a", "b")
    budget.try_take("a", 750)
    budget.force("a", 100)
    budget.try_take("b", 250)
    void, waiting = budget.ask("a", 10), budget.ask("b", 100)
    assert budget.leave("a") == [waiting]
    assert (budget.used, budget.debt, void.granted) == (350, 0, False)


def test_floors_that_grow_when_a_mapping_leaves_take_nothing_of_the_shared_rest() -> None:
    budget = joined(16, "a", "b", "c", "d", "e")  # floors of 1, and 11 that are shared
    budget.force("a", 11)
    budget.leave("b")
    assert [budget.try_take(name, budget.floor) for name in "cde"] == [True, True, True]


def test_misuse_is_refused() -> None:
    budget = joined(1000, "a")
    budget.try_take("a", 10)
    with pytest.raises(ValueError, match="mapping a gives back 11 bytes and holds 10"):
        budget.give_back("a", 11)
    with pytest.raises(ValueError, match="mapping a gives back -1 bytes"):
        budget.give_back("a", -1)
    with pytest.raises(ValueError, match="mapping a has joined the budget already"):
        budget.join("a")
    with pytest.raises(ValueError, match="mapping a asks for 0 bytes"):
        budget.ask("a", 0)
    with pytest.raises(KeyError):
        budget.leave("b")
    assert budget.used == 10


class Accounts(RuleBasedStateMachine):
    """Any mappings asking, taking, forcing, giving back, joining and leaving; the ledger holds what they were told."""

    @initialize(total=st.integers(16, 400))
    def start(self, total: int) -> None:
        self.total = total
        self.budget = Budget(total)
        self.ledger: dict[str, int] = {}
        self.line: list[Ticket] = []
        self.asked: dict[Ticket, int] = {}
        self.joined_full = False
        self.names = 0

    def granted(self, tickets: list[Ticket], *, late: bool = True) -> None:
        for ticket in tickets:
            assert ticket.granted
            assert 1 <= ticket.size <= self.asked[ticket]
            assert ticket.size <= self.budget.largest
            assert 2 * ticket.size >= min(self.asked[ticket], self.budget.floor)
            earlier = self.line[: self.line.index(ticket)] if late else self.line
            assert ticket.mapping not in {other.mapping for other in earlier}
            self.line = [other for other in self.line if other is not ticket]
            self.ledger[ticket.mapping] += ticket.size

    def any_mapping(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.ledger)), "mapping")

    @rule()
    @precondition(lambda self: len(self.ledger) < 5)
    def join(self) -> None:
        self.names += 1
        name = f"m{self.names}"
        self.joined_full = self.joined_full or self.budget.used > 0
        self.ledger[name] = 0
        self.granted(self.budget.join(name))

    @rule(data=st.data(), size=st.integers(1, 300))
    @precondition(lambda self: self.ledger)
    def ask(self, data: st.DataObject, size: int) -> None:
        mapping = self.any_mapping(data)
        ticket = self.budget.ask(mapping, size)
        self.asked[ticket] = size
        if ticket.granted:
            self.granted([ticket], late=False)
            if self.budget.held(mapping) > self.budget.floor:
                assert self.line == []
        else:
            assert ticket.size == size
            self.line.append(ticket)

    @rule(data=st.data(), size=st.integers(1, 100))
    @precondition(lambda self: self.ledger)
    def try_take(self, data: st.DataObject, size: int) -> None:
        mapping, debt = self.any_mapping(data), self.budget.debt
        if self.budget.try_take(mapping, size):
            assert mapping not in {other.mapping for other in self.line}
            self.ledger[mapping] += size
            if self.budget.held(mapping) > self.budget.floor:
                assert (self.line, debt) == ([], 0)

    @rule(data=st.data(), size=st.integers(0, 300))
    @precondition(lambda self: self.ledger)
    def force(self, data: st.DataObject, size: int) -> None:
        mapping = self.any_mapping(data)
        fits = self.budget.try_take(mapping, size)
        if not fits:
            self.budget.force(mapping, size)
        self.ledger[mapping] += size

    @rule(data=st.data(), part=st.floats(0, 1))
    @precondition(lambda self: self.ledger)
    def give_back(self, data: st.DataObject, part: float) -> None:
        mapping = self.any_mapping(data)
        self.pay(mapping, int(self.ledger[mapping] * part))

    def pay(self, mapping: str, size: int) -> None:
        self.ledger[mapping] -= size
        self.granted(self.budget.give_back(mapping, size))

    @rule(data=st.data())
    @precondition(lambda self: self.line)
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.line))
        self.line.remove(ticket)
        self.granted(self.budget.cancel(ticket))

    @rule(data=st.data())
    @precondition(lambda self: len(self.ledger) > 1)
    def leave(self, data: st.DataObject) -> None:
        mapping = self.any_mapping(data)
        del self.ledger[mapping]
        self.line = [ticket for ticket in self.line if ticket.mapping != mapping]
        self.granted(self.budget.leave(mapping))

    @invariant()
    def accounts_agree_with_what_the_mappings_were_told(self) -> None:
        assert {mapping: self.budget.held(mapping) for mapping in self.ledger} == self.ledger
        assert self.budget.used == sum(self.ledger.values())

    @invariant()
    def never_over_the_total_but_by_debt(self) -> None:
        assert self.budget.used - self.budget.debt <= self.total

    @invariant()
    def floors_hold(self) -> None:
        """Until something joins a budget in use, free memory covers what is left of every floor."""
        if not self.joined_full:
            left = sum(max(0, self.budget.floor - held) for held in self.ledger.values())
            assert self.total - (self.budget.used - self.budget.debt) >= left

    @invariant()
    def nobody_waits_on_less_than_half_of_its_floor(self) -> None:
        if not self.joined_full:
            for ticket in self.line:
                assert 2 * self.ledger[ticket.mapping] > min(self.budget.floor, ticket.size)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        if self.budget.used == 0:
            assert self.line == []

    def teardown(self) -> None:
        """However it went, giving back serves everybody and ends at zero."""
        for _ in range(10_000):
            holder = next((mapping for mapping, held in self.ledger.items() if held), None)
            if holder is None:
                break
            self.pay(holder, self.ledger[holder])
        assert (self.line, self.budget.used, self.budget.debt) == ([], 0, 0)


Accounts.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAccounts = Accounts.TestCase
