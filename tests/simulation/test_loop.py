"""Virtual time passes at once, in order, and a killed process never runs again."""

import asyncio

import pytest

from tests.simulation.loop import START, Process, Stuck, VirtualTimeLoop, run


def test_a_long_sleep_takes_no_time_and_moves_the_clock() -> None:
    async def main(loop: VirtualTimeLoop) -> tuple[float, float]:
        await asyncio.sleep(86_400.0)
        return loop.time(), loop.wall_clock()

    assert run(main) == pytest.approx((START + 86_400.0, 1_700_086_400.0))


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main(loop: VirtualTimeLoop) -> list[str]:
        seen: list[str] = []
        for name, delay in (("late", 2.0), ("early", 0.5), ("middle", 1.0)):
            loop.call_later(delay, seen.append, name)
        await asyncio.sleep(3.0)
        return seen

    assert run(main) == ["early", "middle", "late"]


def test_waiting_for_what_can_never_come_is_noticed() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        await loop.create_future()

    with pytest.raises(Stuck, match=r"at 0\.000 s: nothing is ready and no timer is set"):
        run(main)


def test_a_loop_in_which_no_time_passes_is_noticed() -> None:
    async def main(_loop: VirtualTimeLoop) -> None:
        while True:  # noqa: ASYNC110 - time is what is tested
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="500 turns of the loop in no time"):
        run(main, max_turns_at_once=500)


def test_an_endless_run_is_noticed() -> None:
    async def main(_loop: VirtualTimeLoop) -> None:
        while True:  # noqa: ASYNC110 - time is what is tested
            await asyncio.sleep(1.0)

    with pytest.raises(Stuck, match="no end"):
        run(main, max_steps=1000)


def test_an_exception_that_nobody_retrieves_is_told() -> None:
    async def fail() -> None:
        raise ValueError("unseen")

    async def main(loop: VirtualTimeLoop) -> None:
        task = loop.spawn(None, fail(), "failing")
        await asyncio.sleep(1.0)
        del task

    with pytest.raises(AssertionError, match="unseen"):
        run(main)


def test_threads_are_refused() -> None:
    async def main(_loop: VirtualTimeLoop) -> None:
        await asyncio.to_thread(print)

    with pytest.raises(NotImplementedError, match="threads have no place in virtual time"):
        run(main)


async def _work(seen: list[str]) -> None:
    """What a service does: tasks in groups, timeouts, clean-up."""
    try:
        async with asyncio.TaskGroup() as group, asyncio.timeout(100):
            group.create_task(asyncio.sleep(5), name="child")
            while True:
                await asyncio.sleep(1.0)
                seen.append("tick")
    finally:
        seen.append("cleaned up")
        await asyncio.sleep(1.0)


def test_a_killed_process_runs_no_step_more_not_even_to_clean_up() -> None:
    async def main(loop: VirtualTimeLoop) -> list[str]:
        seen: list[str] = []
        process = Process("p")
        loop.spawn(process, _work(seen), "work")
        await asyncio.sleep(2.5)
        loop.kill(process)
        await asyncio.sleep(10.0)
        return list(seen)

    assert run(main) == ["tick", "tick"]


def test_a_kill_leaves_other_processes_alone() -> None:
    async def main(loop: VirtualTimeLoop) -> list[str]:
        seen: list[str] = []
        first, second = Process("first"), Process("second")
        loop.spawn(first, _work([]), "work")
        survivor = loop.spawn(second, _work(seen), "work")
        await asyncio.sleep(1.5)
        loop.kill(first)
        await asyncio.sleep(2.0)
        survivor.cancel()
        await asyncio.wait({survivor})
        return seen

    assert run(main) == ["tick", "tick", "tick", "cleaned up"]


@pytest.mark.parametrize("step", range(1, 30, 4))
def test_a_process_can_be_killed_at_any_step(step: int) -> None:
    died: list[float] = []

    async def main(loop: VirtualTimeLoop) -> Process:
        process = Process("p")
        process.at_step = (step, lambda: loop.kill(process))
        process.died = lambda: died.append(loop.time())
        loop.spawn(process, _work([]), "work")
        await asyncio.sleep(60.0)
        return process

    process = run(main)
    assert (process.alive, process.steps, len(died)) == (False, step, 1)


def test_what_a_process_starts_belongs_to_it_and_what_is_outside_survives() -> None:
    async def main(loop: VirtualTimeLoop) -> list[str]:
        seen: list[str] = []

        async def body() -> None:
            loop.call_later(1.0, seen.append, "mine")
            loop.call_later(1.0, seen.append, "outside", context=loop.outside())
            await asyncio.sleep(10)

        process = Process("p")
        loop.spawn(process, body(), "body")
        await asyncio.sleep(0.5)
        loop.kill(process)
        await asyncio.sleep(1.0)
        return seen

    assert run(main) == ["outside"]
