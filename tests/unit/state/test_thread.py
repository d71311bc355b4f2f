"""What blocks is done in one thread, in order, and a call that never returns keeps nobody."""

import asyncio
import threading

import pytest

from outboard.state.thread import BlockingThread

LONG = 30.0


async def test_calls_are_made_in_one_other_thread_in_the_order_of_asking() -> None:
    thread, made = BlockingThread("blocking"), []

    def call(number: int) -> threading.Thread:
        made.append(number)
        return threading.current_thread()

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(thread.run(lambda n=n: call(n)), name=str(n)) for n in range(20)]
    await thread.end(lambda: made.append(-1), LONG)

    assert made == [*range(20), -1]
    (worker,) = {call.result() for call in calls}
    assert worker is not threading.current_thread()
    assert worker.daemon
    worker.join(LONG)
    assert not worker.is_alive()


async def test_what_a_call_raises_is_raised_to_who_asked_and_the_thread_goes_on() -> None:
    thread = BlockingThread("blocking")

    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)

    assert await thread.run(lambda: 7) == 7
    await thread.end(lambda: None, LONG)


async def test_the_loop_turns_while_a_call_blocks() -> None:
    thread, release = BlockingThread("blocking"), threading.Event()
    async with asyncio.TaskGroup() as group:
        call = group.create_task(thread.run(lambda: release.wait(LONG)), name="call")
        await asyncio.sleep(0.01)
        assert not call.done()
        release.set()

    assert call.result()
    await thread.end(lambda: None, LONG)


async def test_a_call_whose_waiter_was_cancelled_is_made_all_the_same() -> None:
    thread, release, made = BlockingThread("blocking"), threading.Event(), []
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(thread.run(lambda: release.wait(LONG)), name="first")
        second = group.create_task(thread.run(lambda: made.append("second")), name="second")
        await asyncio.sleep(0.01)
        first.cancel()
        second.cancel()
    release.set()
    await thread.end(lambda: made.append("last"), LONG)

    assert made == ["second", "last"]
    assert complaints == []


async def test_a_call_that_hangs_does_not_hold_up_the_end() -> None:
    thread, release, ended = BlockingThread("blocking"), threading.Event(), threading.Event()
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(thread.run(lambda: release.wait(LONG)), name="hanging")
        await asyncio.sleep(0)
        await thread.end(ended.set, 0.01)
        assert not ended.is_set()
        release.set()
        assert await hanging

    assert ended.wait(LONG), "the last call is made, if late"


def test_a_call_that_returns_after_the_loop_was_closed_is_no_error() -> None:
    release, threads = threading.Event(), []

    async def leave() -> None:
        thread = BlockingThread("blocking")
        threads.append(await thread.run(threading.current_thread))
        await thread.end(lambda: release.wait(LONG), 0.01)

    asyncio.run(leave())
    release.set()
    threads[0].join(LONG)

    assert not threads[0].is_alive()
