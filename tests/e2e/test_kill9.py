"""`kill -9` at random instants, under load, with functions that fail in all ways: nothing may be lost."""

import asyncio
import json
import os
import random

import pytest

from tests.e2e.harness import Launcher, audit, mapping, worked_off
from tests.servers.queues import Queue, Queues, numbered
from tests.servers.scripted_invoke import (
    Answer,
    Invoke,
    Script,
    ScriptedInvoke,
    breaks_off,
    hangs,
    raises,
    refuses,
    reports,
    resets,
    succeeds,
    throttles,
)

pytestmark = pytest.mark.server

_MESSAGES = 1_000
_KILLS = 4
_RUNS = int(os.environ.get("OUTBOARD_CHAOS_RUNS", "5"))


def _failing(chance: random.Random) -> Script:
    """One invoke in five fails, each time in another of the ways there are."""

    def partial(invoke: Invoke) -> Answer:
        return reports(invoke, chance.sample(invoke.message_ids, k=chance.randint(1, len(invoke.records))))

    ways: list[Script] = [
        partial,
        lambda _: raises(),
        lambda _: throttles(0.1),
        lambda _: refuses(500, "ServiceException"),
        lambda _: hangs(),
        lambda _: resets(worked=chance.random() < 0.5),
        lambda _: breaks_off(),
        lambda _: succeeds(b"{not json"),
    ]

    def answer(invoke: Invoke) -> Answer:
        if chance.random() < 0.2:
            return chance.choice(ways)(invoke)
        return succeeds(delay=chance.uniform(0, 0.05))

    return answer


async def _produce(queue: Queue, chance: random.Random) -> None:
    """Send all messages over a few seconds, so that kills find the service at work."""
    for start in range(0, _MESSAGES, 50):
        await queue.send(numbered(range(start, start + 50)))
        await asyncio.sleep(chance.uniform(0, 0.2))


async def _under_load(functions: ScriptedInvoke, chance: random.Random) -> None:
    """Any instant from the first invoke of this life of the service on."""
    seen = len(functions.invokes)
    await functions.until(lambda: len(functions.invokes) > seen, seconds=60)
    await asyncio.sleep(chance.uniform(0, 0.5))


@pytest.mark.parametrize("seed", range(_RUNS))
async def test_nothing_is_lost_when_it_is_killed_again_and_again(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke, seed: int
) -> None:
    chance = random.Random(seed)
    queue = await queues.create(visibility=3)
    functions.script("orders", _failing(chance))
    entry = mapping(queue, functions.url, InvokeTimeoutSeconds=2, MaximumConcurrency=chance.choice([2, 5, 20]))

    async with asyncio.TaskGroup() as group:
        group.create_task(_produce(queue, chance), name="producer")
        running = await outboard.run([entry])
        for _ in range(_KILLS):
            await _under_load(functions, chance)
            running.kill()
            running = await outboard.again(running)
    await queue.until_empty(seconds=90)

    found = audit(range(_MESSAGES), worked_off(functions.invokes))
    assert (found.produced, found.processed, found.lost) == (_MESSAGES, _MESSAGES, ())


async def test_fifo_order_holds_through_kills(outboard: Launcher, queues: Queues, functions: ScriptedInvoke) -> None:
    chance = random.Random(4711)
    queue = await queues.create(fifo=True, visibility=2)
    functions.script("orders", lambda _: raises() if chance.random() < 0.1 else succeeds(delay=0.05))
    groups = "abcd"
    for group in groups:
        await queue.send(numbered(range(60), group=group), group=group)

    running = await outboard.run([mapping(queue, functions.url)])
    for _ in range(3):
        await _under_load(functions, chance)
        running.kill()
        running = await outboard.again(running)
    await queue.until_empty(seconds=90)

    assert {group: _first_times(functions, group) for group in groups} == {group: list(range(60)) for group in groups}


def _first_times(functions: ScriptedInvoke, group: str) -> list[int]:
    """The numbers of a group in the order in which each was first worked off."""
    seen: dict[int, None] = {}
    for invoke in functions.invokes:
        for record in invoke.worked_off:
            body = json.loads(record["body"])
            if body["group"] == group:
                seen.setdefault(body["n"])
    return list(seen)
