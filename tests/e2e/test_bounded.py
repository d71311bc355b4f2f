"""Backlogs of gigabytes, slow functions and long windows: memory keeps its ceiling, receive counts stay what they are."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Launcher, Running, mapping, worked_off
from tests.servers.availability import started
from tests.servers.elasticmq import elasticmq
from tests.servers.queues import Depth, Queue, Queues, numbered
from tests.servers.scripted_invoke import ScriptedInvoke, hangs, succeeds, throttles

pytestmark = pytest.mark.server

_MB = 1_000_000
_BACKLOG = 4_000


@pytest.fixture
async def large_queues(tmp_path: Path) -> AsyncIterator[Queues]:
    """Queues of a server that has room for a gigabyte of messages."""
    with started(elasticmq(tmp_path, heap_mb=3_000, measured=True)) as server:
        made = Queues(server.url)
        try:
            yield made
        finally:
            await made.close()


async def _fill(queue: Queue, body: str) -> None:
    """Send the backlog from four threads, four messages a call: as much as SQS takes at once."""

    async def part() -> None:
        await queue.send([body] * (_BACKLOG // 4), batch=4)

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4))
    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(part(), name=f"fill {number}")


class _Memory:
    """The largest resident size of a process that was seen, in bytes."""

    def __init__(self, running: Running) -> None:
        self.peak = 0
        self._process = running.process

    async def watch(self) -> None:
        while True:
            self.peak = max(self.peak, self._process.memory_info().rss)
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(420)
async def test_memory_stays_under_its_ceiling_whatever_the_backlog(
    outboard: Launcher, large_queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await large_queues.create(visibility=120)
    functions.keeps_payloads = False
    functions.script("orders", succeeds(delay=0.5))
    await _fill(queue, "x" * 256 * 1024)

    running = await outboard.run([mapping(queue, functions.url)], Limits={"MaximumBufferedBytes": 67_108_864})
    memory = _Memory(running)
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(memory.watch(), name="memory")
        await queue.until_empty(seconds=180)
        watch.cancel()

    delivered = (await running.metrics()).value("outboard_delivered_events_total")
    assert delivered == _BACKLOG
    assert memory.peak < 250 * _MB


async def test_at_maximum_concurrency_nothing_is_received_without_an_invoke(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create(visibility=60)
    functions.script("orders", hangs())
    await queue.send(numbered(range(100)))
    running = await outboard.run([mapping(queue, functions.url, ScalingConfig={"MaximumConcurrency": 2})])
    await functions.until(lambda: functions.in_flight() == 2)
    await asyncio.sleep(4)

    at_work = sum(len(invoke.records) for invoke in functions.invokes)
    depth = await queue.depth()
    running.kill()
    rest = [message for _ in range(10) for message in await queue.receive(10)]

    assert (at_work, depth) == (20, Depth(visible=80, hidden=20))
    assert Counter(_receive_count(message) for message in rest) == Counter({1: 80})


async def test_messages_wait_out_throttles_without_being_received_again(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create(visibility=10)
    functions.script("orders", throttles(0.5))
    await queue.send(numbered(range(40)))
    await outboard.run([mapping(queue, functions.url, ScalingConfig={"MaximumConcurrency": 2})])
    await asyncio.sleep(14)  # past the timeout: what is held must have been extended

    functions.script("orders", succeeds())
    await queue.until_empty(seconds=60)

    counts = {record["attributes"]["ApproximateReceiveCount"] for each in functions.invokes for record in each.records}
    assert counts == {"1"}
    assert worked_off(functions.invokes) == Counter(range(40))


@pytest.mark.slow
async def test_a_window_longer_than_the_visibility_timeout_delivers_nothing_twice(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create(visibility=30)
    await queue.send(numbered(range(40)))
    entry = mapping(queue, functions.url, BatchSize=1000, MaximumBatchingWindowInSeconds=60, MaximumConcurrency=1)
    await outboard.run([entry])
    await asyncio.sleep(35)
    await queue.send(numbered(range(40, 50)))
    await queue.until_empty(seconds=45)

    assert worked_off(functions.invokes) == Counter(range(50))
    assert [len(invoke.records) for invoke in functions.invokes] == [50]


def _receive_count(message: dict[str, Any]) -> int:
    return int(message["Attributes"]["ApproximateReceiveCount"])
