"""Lanes wait for memory in the order of asking, and whoever stops waiting takes nothing along."""

import asyncio

from outboard.runtime.budget import ByteBudget
from tests.unit.virtual import virtual

MIB = 1024 * 1024


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_there_is_room_for_is_granted_at_once() -> None:
    share = ByteBudget(16 * MIB).share("orders")

    assert share.try_take(4 * MIB)
    assert share.used == 4 * MIB
    assert not share.try_take(14 * MIB)
    assert share.used == 4 * MIB


@virtual
async def test_a_request_that_could_never_be_granted_is_cut_to_what_can() -> None:
    share = ByteBudget(16 * MIB).share("orders")

    granted = await share.take(1024 * MIB)

    assert 0 < granted < 16 * MIB
    assert share.used == granted


@virtual
async def test_who_waits_is_granted_when_room_is_given_back_in_the_order_of_asking() -> None:
    share = ByteBudget(16 * MIB).share("orders")
    while share.try_take(MIB):
        pass
    order: list[int] = []

    async def take(number: int) -> None:
        await share.take(MIB)
        order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(take(number), name=str(number))
            await settled()
        for count in range(3):
            assert order == list(range(count))
            share.give_back(MIB)
            await settled()

    assert order == [0, 1, 2]
    assert share.used == 16 * MIB


@virtual
async def test_a_mapping_that_holds_all_of_the_rest_leaves_the_others_their_floor() -> None:
    budget = ByteBudget(16 * MIB)
    greedy, modest = budget.share("greedy"), budget.share("modest")
    while greedy.try_take(MIB // 4):
        pass

    async with asyncio.timeout(1):
        assert await modest.take(MIB) == MIB


@virtual
async def test_a_wait_that_is_cancelled_leaves_the_line_to_those_behind() -> None:
    share = ByteBudget(16 * MIB).share("orders")
    while share.try_take(MIB):
        pass
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(share.take(4 * MIB), name="gone")
        await settled()
        behind = group.create_task(share.take(MIB), name="behind")
        await settled()
        share.give_back(MIB)
        await settled()
        assert not behind.done()  # four are wanted first
        gone.cancel()
        await settled()
        assert behind.result() == MIB

    assert share.used == 16 * MIB


@virtual
async def test_a_grant_that_meets_a_cancelled_wait_is_passed_on() -> None:
    share = ByteBudget(16 * MIB).share("orders")
    while share.try_take(MIB):
        pass
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(share.take(MIB), name="gone")
        await settled()
        behind = group.create_task(share.take(MIB), name="behind")
        await settled()
        share.give_back(MIB)  # granted to the first one, who has not run since
        gone.cancel()
        await settled()
        assert behind.result() == MIB

    assert share.used == 16 * MIB
    share.give_back(share.used)
    assert share.used == 0


@virtual
async def test_a_read_that_turned_out_smaller_lets_others_in() -> None:
    share = ByteBudget(16 * MIB).share("orders")
    while share.try_take(MIB):
        pass
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(share.take(MIB), name="waiting")
        await settled()
        share.adjust(2 * MIB, MIB)
        await settled()
        assert waiting.result() == MIB


def test_a_read_that_turned_out_larger_is_accounted_for_in_full() -> None:
    share = ByteBudget(16 * MIB).share("orders")
    assert share.try_take(MIB)

    share.adjust(MIB, 40 * MIB)

    assert share.used == 40 * MIB
    assert not share.try_take(1)


@virtual
async def test_a_mapping_that_goes_leaves_its_memory_to_the_others() -> None:
    budget = ByteBudget(16 * MIB)
    leaving, staying = budget.share("leaving"), budget.share("staying")
    while leaving.try_take(MIB // 4):
        pass
    while staying.try_take(MIB // 4):
        pass
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(staying.take(MIB), name="waiting")
        await settled()
        assert not waiting.done()
        budget.leave("leaving")
        await settled()
        assert waiting.result() == MIB


@virtual
async def test_a_mapping_that_joins_wakes_those_whose_requests_its_coming_makes_smaller() -> None:
    budget = ByteBudget(16)
    share, _ = budget.share("orders"), budget.share("idle")
    assert await share.take(15) == 6
    assert await share.take(2) == 2
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(share.take(5), name="waiting")
        await settled()
        assert not waiting.done()
        budget.share("new")
        await settled()
        assert waiting.result() == 4
