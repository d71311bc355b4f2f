"""SIGTERM: what is under way is finished, what was not sent goes back, and the process ends in time with 0."""

import asyncio
import signal
import time
from collections import Counter

import pytest

from tests.e2e.harness import Launcher, mapping, worked_off
from tests.servers.queues import Depth, Queue, Queues, numbered
from tests.servers.scripted_invoke import ScriptedInvoke, hangs, succeeds

pytestmark = pytest.mark.server


async def _depth_within_a_second(queue: Queue) -> Depth:
    """The queue's depth once nothing is hidden any more, or a second from now."""
    end = time.monotonic() + 1
    depth = await queue.depth()
    while depth.hidden and time.monotonic() < end:
        await asyncio.sleep(0.02)
        depth = await queue.depth()
    return depth


async def test_under_load_it_finishes_its_invokes_and_leaves_the_rest_visible(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create(visibility=60)
    functions.script("orders", succeeds(delay=0.7))
    await queue.send(numbered(range(300)))
    entry = mapping(queue, functions.url, MaximumConcurrency=5)
    running = await outboard.run([entry], Shutdown={"DrainTimeoutSeconds": 10})
    await functions.until(lambda: len(functions.invokes) >= 8)

    running.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    code = await running.ended(10)
    took = time.monotonic() - asked
    depth = await _depth_within_a_second(queue)
    invokes, done = list(functions.invokes), worked_off(functions.invokes)

    assert code == 0
    assert took < 3
    assert [invoke for invoke in invokes if invoke.caller_left or invoke.ended is None] == []
    assert depth == Depth(visible=300 - len(done), hidden=0)

    await outboard.again(running)
    await queue.until_empty()
    assert worked_off(functions.invokes) == Counter(range(300))


async def test_a_batch_that_was_still_gathering_goes_back_at_once(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create(visibility=60)
    await queue.send(numbered(range(25)))
    entry = mapping(queue, functions.url, BatchSize=1000, MaximumBatchingWindowInSeconds=60)
    running = await outboard.run([entry])
    async with asyncio.timeout(20):
        while (await queue.depth()).hidden < 25:  # noqa: ASYNC110 - a queue tells nobody
            await asyncio.sleep(0.05)

    running.send_signal(signal.SIGTERM)
    await queue.send(numbered([25]))  # answers the receive that is under way
    code = await running.ended(25)
    depth = await _depth_within_a_second(queue)

    assert code == 0
    assert functions.invokes == []
    assert depth == Depth(visible=26, hidden=0)


async def test_when_the_drain_time_is_over_it_ends_and_never_hands_back_what_is_at_work(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create(visibility=60)
    functions.script("orders", hangs())
    await queue.send(numbered(range(30)))
    entry = mapping(queue, functions.url, MaximumConcurrency=2)
    running = await outboard.run([entry], Shutdown={"DrainTimeoutSeconds": 2})
    await functions.until(lambda: functions.in_flight() == 2)

    running.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    code = await running.ended(10)
    took = time.monotonic() - asked
    depth = await queue.depth()

    assert code == 0
    assert 1.9 < took < 4
    assert depth == Depth(visible=10, hidden=20)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_second_signal_ends_it_at_once(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke, number: signal.Signals, code: int
) -> None:
    queue = await queues.create()
    functions.script("orders", hangs())
    await queue.send(numbered([1]))
    running = await outboard.run([mapping(queue, functions.url)])
    await functions.until(lambda: functions.in_flight() == 1)

    running.send_signal(number)
    async with asyncio.timeout(5):
        while (await running.get("/readyz"))[0] != 503:  # noqa: ASYNC110 - a page tells nobody
            await asyncio.sleep(0.02)
    live, _ = await running.get("/livez")
    running.send_signal(number)
    asked = time.monotonic()
    ended = await running.ended(5)

    assert (ended, live) == (code, 200)
    assert time.monotonic() - asked < 1
