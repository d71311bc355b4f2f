"""Streams that are resharded: nothing is lost, keys keep their order, and no shard is read before those it came from."""

import asyncio
import random
import signal
from collections import Counter

import pytest

from tests.e2e.harness import Launcher, audit
from tests.e2e.streams import (
    fails_at,
    first_times,
    number_of,
    numbers_of,
    out_of_turn,
    poisoned_by,
    shard_of,
    stream_mapping,
    worked_off,
)
from tests.servers.kinesis_proxy import KinesisProxy
from tests.servers.queues import numbered
from tests.servers.scripted_invoke import (
    Answer,
    Invoke,
    Script,
    ScriptedInvoke,
    raises,
    refuses,
    resets,
    succeeds,
    throttles,
)
from tests.servers.streams import Stream, Streams

pytestmark = pytest.mark.server

_KEYS = 12
_ROUNDS = 40
_NUMBERS = range(_KEYS * _ROUNDS)


def _failing(chance: random.Random) -> Script:
    """One invoke in five fails, each time in another of the ways there are."""
    ways: list[Script] = [
        lambda invoke: fails_at(invoke, [chance.choice(numbers_of(invoke))]),
        lambda _: raises(),
        lambda _: throttles(0.1),
        lambda _: refuses(500, "ServiceException"),
        lambda _: resets(worked=chance.random() < 0.5),
    ]

    def answer(invoke: Invoke) -> Answer:
        return chance.choice(ways)(invoke) if chance.random() < 0.2 else succeeds(delay=chance.uniform(0, 0.05))

    return answer


async def _produce(stream: Stream) -> None:
    """Each round a record of every key; the numbers of a key ascend."""
    for start in range(0, len(_NUMBERS), _KEYS):
        texts = numbered(_NUMBERS[start : start + _KEYS])
        await stream.put_keyed([(f"k{index}", text) for index, text in enumerate(texts)])
        await asyncio.sleep(0.05)


async def _neighbours_merge(stream: Stream, left: int) -> None:
    """Merge the open shards that are `left`th and next in the order of their hashes."""
    shards = sorted(await stream.open_shards(), key=lambda shard: shard.hashes)
    await stream.merge(shards[left], shards[left + 1])


async def _reshard(stream: Stream, functions: ScriptedInvoke) -> None:
    """Two splits, two merges, and a split of what was merged, while records come in and go out; the last ones come after."""
    for step in range(5):
        put = (step + 1) * len(_NUMBERS) // 7
        await functions.until(lambda put=put: len(stream.puts) >= put)
        shards = sorted(await stream.open_shards(), key=lambda shard: shard.hashes)
        if step in (2, 3):
            await _neighbours_merge(stream, step - 2)
        else:
            await stream.split(shards[step % len(shards)])


@pytest.mark.parametrize("seed", range(2))
async def test_splits_and_merges_under_load_lose_nothing_and_keep_the_order_of_keys(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, seed: int
) -> None:
    stream = await streams.create(2)
    functions.script("orders", _failing(random.Random(seed)))
    running = await outboard.run([stream_mapping(stream, functions.url, BatchSize=10)])

    async with asyncio.TaskGroup() as group:
        group.create_task(_produce(stream), name="producer")
        group.create_task(_reshard(stream, functions), name="resharding")
    await functions.until(lambda: len(worked_off(functions.invokes)) == len(_NUMBERS), seconds=90)
    shards = await stream.shards()
    await running.until_counted("outboard_shards_done_total", sum(not shard.open for shard in shards))
    await running.until_counted("outboard_shards_owned", sum(shard.open for shard in shards))

    assert audit(_NUMBERS, worked_off(functions.invokes)).lost == ()
    assert await out_of_turn(stream, functions.invokes) == []
    assert first_times(functions.invokes) == {f"k{key}": list(_NUMBERS[key::_KEYS]) for key in range(_KEYS)}
    assert len({put.shard for put in stream.puts}) > 4


async def test_what_two_shards_became_waits_for_both(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create(2)
    left, right = await stream.shards()
    functions.script("orders", lambda invoke: poisoned_by(invoke, [0], raises()))
    await stream.put(numbered(range(5)), shard=left)
    await stream.put(numbered(range(5, 10)), shard=right)
    running = await outboard.run([stream_mapping(stream, functions.url)])
    await stream.merge(left, right)
    await stream.put(numbered(range(10, 15)))
    await running.until_counted("outboard_shards_done_total", 1)
    await running.until_counted("outboard_shards_waiting", 1)

    before = worked_off(functions.invokes)
    functions.script("orders", succeeds())
    await functions.until(lambda: len(worked_off(functions.invokes)) == 15, seconds=60)

    assert before == Counter(range(5, 10))
    assert await out_of_turn(stream, functions.invokes) == []


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_a_shard_that_is_done_is_not_read_again_after_a_restart(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy, kill: bool
) -> None:
    stream = await streams.create(2)
    used, empty = await stream.shards()
    await stream.put(numbered(range(5)), shard=used)
    await stream.split(used)
    await stream.split(empty)
    running = await outboard.run([stream_mapping(stream, functions.url, SourceEndpointUrl=proxy.url)])
    await running.until_counted("outboard_shards_done_total", 2)
    children = [shard.identifier for shard in await stream.open_shards()]
    await functions.until(lambda: all(proxy.of("GetRecords", child) for child in children))
    if kill:
        await asyncio.sleep(1)  # positions are durable within half a second
        running.kill()
    else:
        running.send_signal(signal.SIGTERM)
        await running.ended(25)
    proxy.calls.clear()

    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(5, 25)))])
    await outboard.again(running)
    await functions.until(lambda: len(worked_off(functions.invokes)) == 25)

    assert {call.shard for call in proxy.of("GetRecords")} == set(children)
    assert worked_off(functions.invokes) == Counter(range(25))
    assert {shard_of(record) for invoke in functions.invokes for record in invoke.records if number_of(record) >= 5} == set(children)  # fmt: skip
