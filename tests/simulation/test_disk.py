"""The simulated disk keeps what was written to it, in order, and a process loses what was not."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation.disk import Disk, SimulatedCheckpoints
from tests.simulation.history import History
from tests.simulation.loop import Process, VirtualTimeLoop, run


@dataclass
class Bench:
    loop: VirtualTimeLoop
    disk: Disk
    process: Process
    checkpoints: SimulatedCheckpoints
    history: History

    def save(self, **positions: str) -> None:
        self.checkpoints.save("uuid", "stream", positions)

    @property
    def rows(self) -> dict[str, str]:
        return dict(self.disk.rows.get(("s0", "stream"), {}))


def with_disk(body: Callable[[Bench], Awaitable[Any]]) -> Any:
    """`body` runs outside of the process whose checkpoints it uses."""

    async def main(loop: VirtualTimeLoop) -> Any:
        disk, process, history = Disk(), Process("p"), History()

        async def begin() -> SimulatedCheckpoints:
            return SimulatedCheckpoints(disk, process, loop, random.Random(1), history, {"uuid": "s0"})

        checkpoints = await loop.spawn(process, begin(), "begin")
        return await body(Bench(loop, disk, process, checkpoints, history))

    return run(main)


def test_what_was_saved_is_loaded_at_once_and_durable_soon() -> None:
    async def body(bench: Bench) -> list[dict[str, str]]:
        bench.save(a="1", b="1")
        bench.save(a="2")
        loaded = dict(await bench.checkpoints.load("uuid", "stream"))
        await asyncio.sleep(0.25)
        return [loaded, bench.rows, dict(await bench.checkpoints.load("uuid", "another"))]

    assert with_disk(body) == [{"a": "2", "b": "1"}, {"a": "2", "b": "1"}, {}]


def test_saved_returns_once_all_is_on_the_disk() -> None:
    async def body(bench: Bench) -> tuple[dict[str, str], bool]:
        bench.save(a="1")
        bench.save(a="2")
        await bench.checkpoints.saved()
        return bench.rows, all(one.durable is not None for one in bench.history.saves)

    assert with_disk(body) == ({"a": "2"}, True)


def test_a_killed_process_has_lost_what_was_not_on_the_disk() -> None:
    async def body(bench: Bench) -> tuple[dict[str, str], list[bool]]:
        bench.save(a="1")
        await bench.checkpoints.saved()
        bench.save(a="2")
        bench.loop.kill(bench.process)
        await asyncio.sleep(10.0)
        return bench.rows, [one.durable is not None for one in bench.history.saves]

    assert with_disk(body) == ({"a": "1"}, [True, False])


def test_on_a_full_disk_positions_wait_and_then_all_get_there() -> None:
    async def body(bench: Bench) -> list[dict[str, str]]:
        bench.disk.full = True
        bench.save(a="1")
        bench.save(b="1")
        await asyncio.sleep(10.0)
        full = bench.rows
        bench.disk.full = False
        await bench.checkpoints.saved()
        return [full, bench.rows]

    assert with_disk(body) == [{}, {"a": "1", "b": "1"}]


def test_a_process_that_has_ended_writes_nothing_any_more() -> None:
    async def body(bench: Bench) -> dict[str, str]:
        bench.save(a="1")
        bench.checkpoints.end()
        await asyncio.sleep(10.0)
        return bench.rows

    assert with_disk(body) == {}
