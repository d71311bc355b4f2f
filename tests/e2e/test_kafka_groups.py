"""Several processes in one group: joining, leaving, dying, frozen, their broker killed, under load; nothing is lost."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.e2e.harness import Launcher, Running, until
from tests.e2e.topics import at_once, done_by, fails, group_of, numbers_of, out_of_turn, topic_mapping, values
from tests.servers.availability import started
from tests.servers.kafka import Kafka, kafka
from tests.servers.scripted_invoke import (
    Invoke,
    Script,
    ScriptedInvoke,
    breaks_off,
    raises,
    refuses,
    resets,
    succeeds,
    throttles,
)
from tests.servers.topics import Topic, Topics

pytestmark = pytest.mark.server

_RUNS = int(os.environ.get("OUTBOARD_CHAOS_RUNS", "1"))
_PARTITIONS = 6
_BATCH = 10


def _trying(chance: random.Random) -> Script:
    """Slow, and one invoke in six fails, each time in another of the ways there are."""
    ways: list[Script] = [
        lambda invoke: fails(invoke, chance.sample(numbers_of(invoke), k=1)),
        lambda _: raises(),
        lambda _: throttles(0.1),
        lambda _: refuses(500, "ServiceException"),
        lambda _: resets(worked=chance.random() < 0.5),
        lambda _: breaks_off(),
    ]

    def answer(invoke: Invoke) -> object:
        if chance.random() < 1 / 6:
            return chance.choice(ways)(invoke)
        return succeeds(delay=chance.choice((0.01, 0.05, 0.3)))

    return answer  # type: ignore[return-value]


class Fleet:
    """Three processes of one mapping, and what can happen to them."""

    def __init__(self, outboard: Launcher, broker: Kafka, config: dict[str, object]) -> None:
        self._outboard = outboard
        self._broker = broker
        self._config = config
        self.running: list[Running] = []

    async def begin(self) -> None:
        self.running = [await self._outboard.run([self._config]) for _ in range(3)]

    async def killed(self, chance: random.Random) -> None:
        victim = chance.choice(self.running)
        victim.kill()
        await asyncio.sleep(chance.random())
        self._replace(victim, await self._outboard.again(victim))

    async def stopped(self, chance: random.Random) -> None:
        victim = chance.choice(self.running)
        victim.send_signal(signal.SIGTERM)
        assert await victim.ended(30) == 0
        self._replace(victim, await self._outboard.again(victim))

    async def frozen(self, chance: random.Random) -> None:
        """For longer than the session."""
        victim = chance.choice(self.running)
        victim.process.suspend()
        await asyncio.sleep(13)
        victim.process.resume()

    async def unbrokered(self, chance: random.Random) -> None:
        self._broker.kill()
        await asyncio.sleep(chance.random() * 2)
        await asyncio.to_thread(self._broker.start)

    def _replace(self, old: Running, new: Running) -> None:
        self.running[self.running.index(old)] = new


Event = Callable[[Fleet, random.Random], Awaitable[None]]


@pytest.mark.parametrize("event", ["killed", "stopped", "frozen", "unbrokered"])
@pytest.mark.parametrize("run", range(_RUNS))
@pytest.mark.timeout(240)
async def test_a_group_loses_nothing_and_keeps_the_order(
    outboard: Launcher, tmp_path: Path, functions: ScriptedInvoke, event: str, run: int
) -> None:
    chance = random.Random(f"{event} {run}")
    functions.script("orders", _trying(chance))
    with started(kafka(tmp_path)) as broker:
        topics = Topics(broker.bootstrap)
        try:
            topic = await topics.create(_PARTITIONS)
            fleet = Fleet(outboard, broker, topic_mapping(topic, functions.url, BatchSize=_BATCH))
            await fleet.begin()
            total = await _through(topics, topic, fleet, chance, event)
            await until(lambda: len(done_by(functions.invokes)) == total, seconds=90)
        finally:
            await topics.close()
    done = done_by(functions.invokes)

    assert sorted(done) == list(range(total))
    assert out_of_turn(functions.invokes) == []
    again = sum(done.values()) - total
    # What was in flight, or settled and not committed yet, at each of the events: half a second of every partition.
    settled_in_half_a_second = 0.5 / 0.01 * _BATCH * _PARTITIONS
    assert again <= 2 * (_BATCH * _PARTITIONS + settled_in_half_a_second)
    for running in fleet.running:
        assert "mapping crashed" not in running.log


async def _through(topics: Topics, topic: Topic, fleet: Fleet, chance: random.Random, event: str) -> int:
    """Keep writing while it happens; returns how many records were written."""
    written = 0
    async with asyncio.TaskGroup() as group:
        happening = group.create_task(getattr(fleet, event)(chance), name=event)
        while not happening.done() or written < 600:
            if event != "unbrokered" or happening.done():
                await topics.put(topic, values(range(written, written + 30)))
                written += 30
            await asyncio.sleep(0.1)
    return written


async def test_a_function_that_is_slower_than_the_session_keeps_its_partition(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create(1)
    await topics.put(topic, values(range(1)))
    functions.script("orders", succeeds(delay=float(os.environ.get("OUTBOARD_SLOW_SECONDS", "25"))))
    running = await outboard.run([topic_mapping(topic, functions.url)])
    await running.until_counted("outboard_committed_events_total", 1, seconds=110)

    assert len(functions.invokes) == 1
    assert (await running.metrics()).value("outboard_rebalances_total", mapping="orders") == 1


async def test_a_rebalance_waits_for_a_slow_function_no_longer_than_its_bound(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create(2)
    functions.script("orders", lambda invoke: succeeds(delay=45 if 0 in numbers_of(invoke) else 0))
    first = await outboard.run([topic_mapping(topic, functions.url)])
    await topics.put(topic, values(range(1)), partition=0)
    await until(lambda: len(functions.invokes) == 1)
    begun = time.monotonic()
    second = await outboard.run([topic_mapping(topic, functions.url)])
    await second.until_counted("outboard_rebalances_total", 1, seconds=40)
    assert time.monotonic() - begun < 28
    await topics.put(topic, values(range(1, 11)), partition=1)
    await until(lambda: len(done_by(functions.invokes)) == 11, seconds=60)

    assert at_once(functions.invokes) == 0
    assert [numbers_of(invoke) for invoke in functions.invokes].count([0]) == 1  # the partition came back: it went on
    await first.until_counted("outboard_committed_events_total", 1)
    assert dict(await topics.committed(group_of(topic))) == {0: 1, 1: 10}
