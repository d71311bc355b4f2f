"""A backlog far larger than the memory, slow functions: the process stays small and works on steadily."""

import asyncio
import json
import os
import random

import pytest

from tests.e2e.harness import Launcher
from tests.e2e.topics import topic_mapping
from tests.servers.scripted_invoke import Invoke, ScriptedInvoke, succeeds
from tests.servers.topics import Topics

pytestmark = pytest.mark.server

_BACKLOG_MB = int(os.environ.get("OUTBOARD_BACKLOG_MB", "300"))
_RECORD = 20_000
_SECONDS = 20


@pytest.mark.timeout(400)
async def test_memory_stays_bounded_whatever_the_backlog(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create(8)
    filling = random.Random(7).randbytes(_RECORD // 2).hex()
    records = _BACKLOG_MB * 1_000_000 // _RECORD
    for begin in range(0, records, 2000):
        await topics.put(topic, [json.dumps({"n": n, "x": filling}).encode() for n in range(begin, begin + 2000)])
    sizes: list[int] = []

    def slow(invoke: Invoke) -> object:
        sizes.append(len(invoke.payload))
        invoke.payload = b""  # the test's own memory is bounded too
        return succeeds(delay=0.3)

    functions.script("orders", slow)  # type: ignore[arg-type]
    running = await outboard.run(
        [topic_mapping(topic, functions.url, BatchSize=500)], Limits={"MaximumBufferedBytes": 67_108_864}
    )
    peak, halves = 0.0, []
    for _ in range(2):
        before = len(sizes)
        for _ in range(_SECONDS * 5):
            peak = max(peak, running.process.memory_info().rss / 1e6)
            await asyncio.sleep(0.1)
        halves.append(sum(sizes[before:]))
    print(f"peak {peak:.0f} MB, {halves[0] / 1e6:.0f} MB and {halves[1] / 1e6:.0f} MB of payload")

    assert peak < 250
    assert halves[1] > 0.6 * halves[0] or sum(sizes) > 0.99 * records * _RECORD
    assert (await running.mappings())["orders"]["state"] == "Enabled"
