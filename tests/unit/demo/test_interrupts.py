"""The first signal drains once there is something to drain; any other ends the demo at once."""

import asyncio
import signal

from outboard.demo.interrupts import Interrupts


async def forever() -> None:
    await asyncio.Event().wait()


async def task_after(*, gentle: bool, signals: int) -> tuple[bool, bool, int]:
    """Whether a stop was asked for, whether the task was cancelled, and the signal that did it."""
    interrupts = Interrupts()
    if gentle:
        interrupts.become_gentle()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(forever(), name="demo")
        await asyncio.sleep(0)
        for _ in range(signals):
            interrupts.arrived(signal.SIGINT, task)
        cancelled = bool(task.cancelling())
        task.cancel()
    return interrupts.stop.is_set(), cancelled, interrupts.number


async def test_the_first_signal_of_a_running_demo_asks_it_to_stop() -> None:
    assert await task_after(gentle=True, signals=1) == (True, False, 0)


async def test_the_second_signal_ends_it() -> None:
    assert await task_after(gentle=True, signals=2) == (True, True, signal.SIGINT)


async def test_a_signal_while_the_demo_starts_ends_it() -> None:
    assert await task_after(gentle=False, signals=1) == (False, True, signal.SIGINT)
