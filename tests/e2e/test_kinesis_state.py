"""Positions on disk: what a crash, a restart, another process, a broken file and a full disk do to them."""

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.harness import Launcher, audit, finish
from tests.e2e.streams import (
    fails_at,
    first_times,
    numbers_of,
    out_of_turn,
    stream_mapping,
    worked_off,
)
from tests.servers.availability import started
from tests.servers.disk import small_disk
from tests.servers.kinesis_proxy import KinesisProxy
from tests.servers.queues import numbered
from tests.servers.scripted_invoke import (
    Answer,
    Invoke,
    Script,
    ScriptedInvoke,
    breaks_off,
    hangs,
    raises,
    refuses,
    resets,
    succeeds,
    throttles,
)
from tests.servers.streams import Stream, Streams

pytestmark = pytest.mark.server

_RECORDS = 400
_KEYS = 10
_KILLS = 3
_RUNS = int(os.environ.get("OUTBOARD_CHAOS_RUNS", "5"))


def _failing(chance: random.Random) -> Script:
    """One invoke in five fails, each time in another of the ways there are."""
    ways: list[Script] = [
        lambda invoke: fails_at(invoke, chance.sample(numbers_of(invoke), k=chance.randint(1, len(invoke.records)))),
        lambda _: raises(),
        lambda _: throttles(0.1),
        lambda _: refuses(500, "ServiceException"),
        lambda _: hangs(),
        lambda _: resets(worked=chance.random() < 0.5),
        lambda _: breaks_off(),
        lambda _: Answer(body=b"{not json", done=frozenset()),
    ]

    def answer(invoke: Invoke) -> Answer:
        if chance.random() < 0.2:
            return chance.choice(ways)(invoke)
        return succeeds(delay=chance.uniform(0, 0.05))

    return answer


async def _produce(stream: Stream, chance: random.Random) -> None:
    """Put all records over a few seconds, so that kills find the service at work."""
    for start in range(0, _RECORDS, 2 * _KEYS):
        texts = numbered(range(start, start + 2 * _KEYS))
        await stream.put_keyed([(f"k{index % _KEYS}", text) for index, text in enumerate(texts)])
        await asyncio.sleep(chance.uniform(0, 0.3))


async def _under_load(functions: ScriptedInvoke, chance: random.Random) -> None:
    """Any instant from the first invoke of this life of the service on."""
    seen = len(functions.invokes)
    await functions.until(lambda: len(functions.invokes) > seen, seconds=60)
    await asyncio.sleep(chance.uniform(0, 1.0))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(_RUNS))
async def test_nothing_is_lost_or_overtaken_when_it_is_killed_again_and_again(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, seed: int
) -> None:
    chance = random.Random(seed)
    stream = await streams.create(4)
    functions.script("orders", _failing(chance))
    entry = stream_mapping(stream, functions.url, BatchSize=chance.choice([5, 10, 40]), InvokeTimeoutSeconds=1)

    async with asyncio.TaskGroup() as group:
        group.create_task(_produce(stream, chance), name="producer")
        running = await outboard.run([entry])
        for _ in range(_KILLS):
            await _under_load(functions, chance)
            running.kill()
            running = await outboard.again(running)
    await functions.until(lambda: len(worked_off(functions.invokes)) == _RECORDS, seconds=120)

    found = audit(range(_RECORDS), worked_off(functions.invokes))
    assert (found.produced, found.processed, found.lost) == (_RECORDS, _RECORDS, ())
    assert await out_of_turn(stream, functions.invokes) == []
    assert first_times(functions.invokes) == {f"k{key}": list(range(key, _RECORDS, _KEYS)) for key in range(_KEYS)}


async def test_after_a_clean_restart_nothing_comes_again(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create(3)
    functions.script("orders", succeeds(delay=0.1))
    await stream.put_keyed([(f"k{number % 7}", text) for number, text in enumerate(numbered(range(400)))])
    running = await outboard.run([stream_mapping(stream, functions.url, BatchSize=10)])

    for least in (50, 200):
        await functions.until(lambda least=least: len(worked_off(functions.invokes)) >= least)
        running.send_signal(signal.SIGTERM)
        assert await running.ended(25) == 0
        running = await outboard.again(running)
    await functions.until(lambda: len(worked_off(functions.invokes)) == 400)

    assert [invoke for invoke in functions.invokes if invoke.caller_left] == []
    assert worked_off(functions.invokes) == Counter(range(400))
    assert await out_of_turn(stream, functions.invokes) == []


async def test_a_batch_that_fails_for_ever_does_not_hold_up_the_end_and_comes_again(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create()
    functions.script("orders", raises())
    await stream.put(numbered(range(5)))
    running = await outboard.run([stream_mapping(stream, functions.url)])
    await functions.until(lambda: len(functions.invokes) >= 3)

    running.send_signal(signal.SIGTERM)
    code = await running.ended(5)
    functions.script("orders", succeeds())
    await outboard.again(running)
    await functions.until(lambda: len(worked_off(functions.invokes)) == 5)

    assert code == 0


async def test_what_was_settled_half_a_second_ago_does_not_come_again_after_a_kill(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create(2)
    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(20)))])
    running = await outboard.run([stream_mapping(stream, functions.url)])
    await functions.until(lambda: len(worked_off(functions.invokes)) == 20)
    await running.until_counted("outboard_delivered_events_total", 20)
    await asyncio.sleep(1.0)  # twice as long, for a machine that is busy
    running.kill()

    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(20, 40)))])
    await outboard.again(running)
    await functions.until(lambda: len(worked_off(functions.invokes)) == 40)

    assert worked_off(functions.invokes) == Counter(range(40))


async def test_latest_loses_nothing_when_it_is_killed_before_the_first_checkpoint(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create(2)
    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(10)))])
    await asyncio.sleep(0.05)
    functions.script("orders", hangs())
    entry = stream_mapping(stream, functions.url, StartingPosition="LATEST", SourceEndpointUrl=proxy.url)
    running = await outboard.run([entry])
    await functions.until(lambda: len({call.shard for call in proxy.of("GetRecords")}) == 2)

    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(10, 20)))])
    await functions.until(lambda: len(functions.invokes) > 0)
    running.kill()
    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(20, 30)))])
    functions.script("orders", succeeds())
    await outboard.again(running)
    await functions.until(lambda: len(worked_off(functions.invokes)) == 20)

    assert worked_off(functions.invokes) == Counter(range(10, 30))


async def test_latest_is_when_the_mapping_first_started_even_if_there_was_no_stream_then(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = streams.planned()
    running = await outboard.run([stream_mapping(stream, functions.url, StartingPosition="LATEST")])
    await running.until_state("orders", "blocked")
    running.kill()

    await stream.create(2)
    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(10)))])
    await outboard.again(running)
    await functions.until(lambda: len(worked_off(functions.invokes)) == 10)

    assert worked_off(functions.invokes) == Counter(range(10))


async def test_positions_in_memory_are_forgotten_at_the_end(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create()
    await stream.put(numbered(range(5)))
    running = await outboard.run([stream_mapping(stream, functions.url)], State={"Type": "memory"})
    await functions.until(lambda: len(worked_off(functions.invokes)) == 5)
    running.send_signal(signal.SIGTERM)
    await running.ended(25)

    await outboard.again(running)
    await functions.until(lambda: worked_off(functions.invokes) == Counter([*range(5), *range(5)]))

    assert [path.name for path in outboard.folder.iterdir() if ".db" in path.name] == []


async def test_a_second_process_on_the_same_file_is_refused(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create()
    entry = stream_mapping(stream, functions.url)
    await outboard.run([entry])
    second, _ = outboard.configure([entry])

    ended = await finish("run", str(second), folder=outboard.folder)
    await stream.put(numbered(range(5)))
    await functions.until(lambda: len(worked_off(functions.invokes)) == 5)

    assert ended.code == 1
    _assert_one_sentence(ended.stderr, "outboard.db")
    assert worked_off(functions.invokes) == Counter(range(5))


@pytest.mark.parametrize("damage", ["garbage", "cut short", "overwritten"])
async def test_a_broken_file_is_refused_and_left_as_it_is(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, damage: str
) -> None:
    stream, file = await streams.create(), outboard.folder / "outboard.db"
    await stream.put(numbered(range(5)))
    running = await outboard.run([stream_mapping(stream, functions.url)])
    await functions.until(lambda: len(worked_off(functions.invokes)) == 5)
    running.send_signal(signal.SIGTERM)
    await running.ended(25)
    broken = _broken(file.read_bytes(), damage)
    file.write_bytes(broken)

    ended = await finish("run", str(running.config), folder=outboard.folder)

    assert ended.code == 1
    _assert_one_sentence(ended.stderr, "outboard.db")
    assert file.read_bytes() == broken
    assert len(functions.invokes) == 1


def _broken(whole: bytes, damage: str) -> bytes:
    match damage:
        case "garbage":
            return b"this is no database\n" * 100
        case "cut short":
            return whole[: len(whole) // 2 + 100]
        case _:
            return whole[:100] + b"\xff" * (len(whole) - 100)


def _assert_one_sentence(text: str, named: str) -> None:
    said = [line for line in text.splitlines() if line.startswith("outboard: ")]
    assert len(said) == 1, text
    assert named in said[0]
    assert "Traceback" not in text


@pytest.mark.skipif(os.name != "posix", reason="mounts a file system")
async def test_a_full_disk_is_told_and_delivery_goes_on(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, tmp_path: Path
) -> None:
    stream = await streams.create(2)
    with started(small_disk(tmp_path / "state")) as disk:
        running = await outboard.run([stream_mapping(stream, functions.url)], State={"Path": "state/outboard.db"})
        await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(20)))])
        await functions.until(lambda: len(worked_off(functions.invokes)) == 20)

        disk.fill()
        for start in range(20, 80, 20):
            texts = numbered(range(start, start + 20))
            await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(texts)])
            await functions.until(lambda start=start: len(worked_off(functions.invokes)) == start + 20)
        await running.until_counted("outboard_commit_errors_total", 1)
        shown, metrics = (await running.mappings())["orders"], await running.metrics()

        disk.clear()
        async with asyncio.timeout(60):
            while (after := (await running.mappings())["orders"])["lastError"] is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        code = await running.ended(25)
        await outboard.again(running)
        await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(80, 100)))])
        await functions.until(lambda: len(worked_off(functions.invokes)) == 100)

    assert shown["state"] == "blocked" or shown["lastError"] is not None
    assert "state/outboard.db" in str(shown["lastError"]) or "full" in str(shown["lastError"])
    assert metrics.value("outboard_commit_errors_total", mapping="orders", error="storage_full") > 0
    assert metrics.value("outboard_unsaved_checkpoint_age_seconds", mapping="orders") > 0
    assert (after["state"], code) == ("Enabled", 0)
    assert worked_off(functions.invokes) == Counter(range(100))
