"""Whoever waits for something learns of a stop at once."""

import asyncio

import pytest

from outboard.runtime.waiting import Stop
from tests.unit.virtual import virtual


@virtual
async def test_a_sleep_lasts_its_time_without_a_stop() -> None:
    stop, now = Stop(), asyncio.get_running_loop().time
    started = now()

    await stop.sleep(5)

    assert now() - started == pytest.approx(5)
    assert not stop.requested


@virtual
async def test_a_stop_ends_a_sleep() -> None:
    stop, loop = Stop(), asyncio.get_running_loop()
    started = loop.time()
    loop.call_later(2, stop.request)

    await stop.sleep(60)

    assert loop.time() - started == pytest.approx(2)


@virtual
async def test_what_comes_before_the_stop_is_waited_for() -> None:
    assert await Stop().first(asyncio.sleep(1), lambda: None)


@virtual
async def test_a_stop_cancels_what_is_waited_for() -> None:
    stop, ended = Stop(), []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("ended")

    asyncio.get_running_loop().call_later(1, stop.request)

    assert not await stop.first(wait(), lambda: None)
    assert ended == ["ended"]


@virtual
async def test_what_came_is_taken_back_when_the_waiter_is_cancelled_before_it_learns_of_it() -> None:
    """Whatever the moment of the cancellation: what was taken is either known to the waiter or taken back."""
    for ticks in range(12):
        stop, free, balance = Stop(), asyncio.Event(), [0]

        async def take(free: asyncio.Event = free, balance: list[int] = balance) -> None:
            await free.wait()
            balance[0] += 1

        def take_back(balance: list[int] = balance) -> None:
            balance[0] -= 1

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(stop.first(take(), take_back), name="waiting")
            await asyncio.sleep(1)
            free.set()
            for _ in range(ticks):
                await asyncio.sleep(0)
            waiting.cancel()

        assert balance[0] == (0 if waiting.cancelled() else 1)
