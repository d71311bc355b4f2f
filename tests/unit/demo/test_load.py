"""The load keeps its rate, numbers its messages, and remembers only what was accepted."""

import asyncio
import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from outboard.demo.load import LARGEST_ROUND, Load, due, message
from outboard.demo.world import Message, Nature, Workload

ORDERS = Workload("orders", share=0.75, poison_every=4, flaky_every=3)
PAYMENTS = Workload("payments.fifo", share=0.25, keys=2)


class Recorder:
    """A source that takes everything, and asks to stop once it has enough."""

    def __init__(self, stop: asyncio.Event, enough: int) -> None:
        self.workloads = (ORDERS, PAYMENTS)
        self.sent: dict[str, list[Message]] = {"orders": [], "payments.fifo": []}
        self._stop = stop
        self._enough = enough

    async def create(self) -> None: ...

    async def send(self, workload: Workload, messages: Sequence[Message]) -> None:
        self.sent[workload.name] += messages
        if all(len(sent) >= self._enough for sent in self.sent.values()):
            self._stop.set()

    async def backlog(self, workload: Workload) -> int:
        return 0

    async def given_up(self, workload: Workload) -> list[str]:
        return []

    async def left(self, workload: Workload) -> list[str]:
        return []


def test_poison_and_flaky_messages_come_at_their_intervals_poison_first() -> None:
    natures = [message(ORDERS, number).nature for number in (1, 3, 4, 12)]

    assert natures == [Nature.SOUND, Nature.FLAKY, Nature.POISON, Nature.POISON]


def test_a_message_carries_its_identifier_and_what_its_handler_will_stumble_over() -> None:
    bodies = [json.loads(message(ORDERS, number).body) for number in (1, 3, 4)]

    assert [(body["id"], body["address"] is None, body["carrier"]) for body in bodies] == [
        ("orders-000001", False, "steady"),
        ("orders-000003", False, "unsteady"),
        ("orders-000004", True, "steady"),
    ]


def test_only_a_workload_with_keys_has_ordering_keys() -> None:
    keys = [message(workload, number).key for workload in (ORDERS, PAYMENTS) for number in (1, 2, 3)]

    assert keys == ["", "", "", "customer-1", "customer-0", "customer-1"]


def test_what_is_due_is_what_is_missing_to_keep_the_rate() -> None:
    assert [due(2.0, 30.0, sent) for sent in (0, 50, 60, 70)] == [60, 10, 0, 0]


@given(st.floats(0, 1e5), st.floats(0.01, 1e4), st.integers(0, 10**9))
def test_no_round_is_negative_or_too_large(elapsed: float, rate: float, sent: int) -> None:
    assert 0 <= due(elapsed, rate, sent) <= LARGEST_ROUND


async def test_shares_are_parts_of_the_whole_whatever_they_add_up_to() -> None:
    stop = asyncio.Event()
    source = Recorder(stop, enough=1)
    source.workloads = (Workload("orders", share=3.0), Workload("payments.fifo", share=1.0))
    ticks = iter([0.0, 2.0, 0.0, 2.0])

    await Load(rate=20).run([source], stop, lambda: next(ticks))

    assert {name: len(sent) for name, sent in source.sent.items()} == {"orders": 30, "payments.fifo": 10}


async def test_all_that_was_sent_is_remembered_in_order() -> None:
    stop = asyncio.Event()
    source = Recorder(stop, enough=3)
    load = Load(rate=1e6)
    ticks = iter(range(1_000_000))

    await load.run([source], stop, lambda: float(next(ticks)))

    assert load.produced == source.sent
    assert [each.number for each in load.produced["orders"]] == list(range(1, len(source.sent["orders"]) + 1))
    assert load.count == sum(len(sent) for sent in source.sent.values())
