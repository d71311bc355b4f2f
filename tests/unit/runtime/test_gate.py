"""As many lanes invoke at once as the mapping's limit allows, in the order in which they asked."""

import asyncio

import pytest

from outboard.core.outcome import FunctionFailed, Outcome, Succeeded, Throttled, TooLarge, Unavailable
from outboard.runtime.gate import Gate
from tests.unit.virtual import virtual


def gate_of(maximum: int) -> tuple[Gate, list[tuple[int, int]]]:
    """A gate, and what it told of itself."""
    told: list[tuple[int, int]] = []
    return Gate(maximum, lambda in_use, limit: told.append((in_use, limit))), told


async def settled() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_places_are_given_up_to_the_limit_and_every_change_is_told() -> None:
    gate, told = gate_of(2)

    assert [gate.try_enter() for _ in range(3)] == [True, True, False]
    gate.leave()

    assert gate.in_use == 1
    assert told == [(0, 2), (1, 2), (2, 2), (1, 2)]


@virtual
async def test_who_waits_enters_in_the_order_of_asking() -> None:
    gate, _ = gate_of(1)
    entered: list[int] = []

    async def ask(number: int) -> None:
        await gate.enter()
        entered.append(number)

    await gate.enter()
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(ask(number), name=str(number))
            await settled()
        for count in range(5):
            assert entered == list(range(count))
            gate.leave()
            await settled()

    assert entered == [0, 1, 2, 3, 4]
    assert gate.in_use == 1


@virtual
async def test_a_free_place_goes_to_nobody_past_those_who_wait() -> None:
    gate, _ = gate_of(1)
    await gate.enter()
    async with asyncio.TaskGroup() as group:
        group.create_task(gate.enter(), name="first in line")
        await settled()
        gate.leave()
        assert not gate.try_enter()


@virtual
async def test_one_who_stops_waiting_holds_nobody_up() -> None:
    gate, _ = gate_of(1)
    await gate.enter()
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(gate.enter(), name="gone")
        behind = group.create_task(gate.enter(), name="behind")
        await settled()
        gone.cancel()
        await settled()
        gate.leave()
        await settled()
        assert behind.done()

    assert gone.cancelled()
    assert gate.in_use == 1


@virtual
async def test_a_place_that_was_just_given_to_a_cancelled_one_is_passed_on() -> None:
    gate, _ = gate_of(1)
    await gate.enter()
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(gate.enter(), name="gone")
        behind = group.create_task(gate.enter(), name="behind")
        await settled()
        gate.leave()  # the place is the first one's now, who has not run since
        gone.cancel()
        await settled()
        assert gone.cancelled()
        assert behind.done()
    assert gate.in_use == 1

    gate.leave()
    assert gate.in_use == 0
    assert gate.try_enter()


@pytest.mark.parametrize(
    "outcome", [Throttled("ReservedFunctionConcurrentInvocationLimitExceeded"), Unavailable("ConnectionRefused", "")]
)
def test_a_limit_is_halved_where_the_function_had_no_capacity(outcome: Outcome) -> None:
    gate, told = gate_of(100)
    for _ in range(8):
        gate.try_enter()

    gate.learn(outcome, started=1.0, now=2.0)
    gate.leave()

    assert gate.limit == 4
    assert told[-1] == (7, 4)


def test_invokes_begun_before_a_cut_say_nothing_new() -> None:
    gate, _ = gate_of(100)
    for _ in range(8):
        gate.try_enter()

    for _ in range(8):
        gate.learn(Throttled("CallerRateLimitExceeded"), started=1.0, now=2.0)
        gate.leave()

    assert gate.limit == 4


@pytest.mark.parametrize("outcome", [Succeeded(b""), FunctionFailed("E", ""), TooLarge()])
def test_what_reached_the_function_lets_the_limit_grow_again(outcome: Outcome) -> None:
    gate, _ = gate_of(4)
    for _ in range(4):
        gate.try_enter()
    gate.learn(Unavailable("ConnectionRefused", ""), started=1.0, now=2.0)
    assert gate.limit == 2

    for _ in range(2):
        gate.learn(outcome, started=3.0, now=4.0)

    assert gate.limit == 4


@virtual
async def test_a_grown_limit_lets_more_than_one_in_at_a_time() -> None:
    gate, _ = gate_of(4)
    for _ in range(4):
        gate.try_enter()
    gate.learn(Unavailable("ConnectionRefused", ""), started=1.0, now=2.0)
    for _ in range(3):
        gate.leave()
    async with asyncio.TaskGroup() as group:
        assert gate.try_enter()
        waiting = [group.create_task(gate.enter(), name=str(number)) for number in range(2)]
        await settled()
        gate.learn(Succeeded(b""), started=3.0, now=4.0)
        gate.leave()
        await settled()
        assert [task.done() for task in waiting] == [True, True]

    assert (gate.in_use, gate.limit) == (3, 3)


# Holding


@virtual
async def test_while_it_is_held_nobody_enters_and_those_who_waited_go_first_afterwards() -> None:
    gate, _ = gate_of(2)
    gate.hold()
    assert not gate.try_enter()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(gate.enter(), name=str(number)) for number in range(3)]
        await settled()
        assert not any(task.done() for task in waiting)

        gate.go_on()
        assert not gate.try_enter()
        await settled()
        assert [task.done() for task in waiting] == [True, True, False]
        gate.leave()

    assert gate.in_use == 2


@virtual
async def test_a_place_that_is_left_while_it_is_held_is_given_to_nobody() -> None:
    gate, _ = gate_of(1)
    await gate.enter()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(gate.enter(), name="waiting")
        await settled()
        gate.hold()
        gate.leave()
        await settled()
        assert (waiting.done(), gate.in_use) == (False, 0)
        gate.go_on()

    assert gate.in_use == 1


@virtual
async def test_one_who_gives_up_while_it_is_held_has_no_place_afterwards() -> None:
    gate, _ = gate_of(1)
    gate.hold()
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(gate.enter(), name="gone")
        await settled()
        gone.cancel()

    gate.go_on()

    assert gate.in_use == 0
    assert gate.try_enter()


@virtual
async def test_it_is_idle_at_once_when_nobody_is_in() -> None:
    gate, _ = gate_of(1)
    await gate.idle()
    await gate.enter()
    gate.leave()
    await gate.idle()


@virtual
async def test_it_is_idle_once_all_have_left_and_done_what_they_do_on_leaving() -> None:
    gate, _ = gate_of(3)
    done: list[int] = []

    async def invoke(seconds: float) -> None:
        await gate.enter()
        await asyncio.sleep(seconds)
        gate.leave()
        done.append(int(seconds))

    async with asyncio.TaskGroup() as group:
        for seconds in (1, 2, 3):
            group.create_task(invoke(seconds), name=str(seconds))
        await settled()
        gate.hold()
        await gate.idle()
        assert done == [1, 2, 3]
        assert asyncio.get_running_loop().time() == 1003.0


@virtual
async def test_without_a_hold_it_is_not_idle_while_one_follows_the_other() -> None:
    gate, _ = gate_of(1)
    await gate.enter()
    async with asyncio.TaskGroup() as group:
        idle = group.create_task(gate.idle(), name="idle")
        second = group.create_task(gate.enter(), name="second")
        await settled()
        gate.leave()
        await settled()
        assert (second.done(), idle.done()) == (True, False)
        gate.leave()
