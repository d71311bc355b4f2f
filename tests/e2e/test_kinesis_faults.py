"""A Kinesis that throttles, breaks, loses its answers and forgets: nothing is lost, nothing overtakes, nobody is rushed."""

import asyncio
import itertools
import random
import signal
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.e2e.harness import Launcher
from tests.e2e.streams import batches, out_of_turn, stream_mapping, worked_off
from tests.servers.kinesis_proxy import (
    BROKEN,
    EXPIRED,
    THROTTLED,
    Call,
    EmptyPage,
    Fault,
    Hang,
    KinesisProxy,
    Refusal,
    Reset,
    Slow,
)
from tests.servers.queues import numbered
from tests.servers.scripted_invoke import ScriptedInvoke, succeeds
from tests.servers.streams import Stream, Streams

pytestmark = pytest.mark.server

_FIRST = "shardId-000000000000"

#: What befalls the second read of a shard and the third; an iterator expires but once.
_READS: dict[str, Fault] = {
    "throttled": THROTTLED,
    "expired": EXPIRED,
    "broken": BROKEN,
    "reset": Reset(),
    "answer-lost": Reset(answer_lost=True),
    "slow": Slow(0.7),
    "empty": EmptyPage(),
    "limited": Refusal("LimitExceededException"),
    "unavailable": Refusal("ServiceUnavailable", status=503),
}
#: What befalls the first call of each other operation.
_OTHERS: dict[str, Fault] = {
    "others-broken": BROKEN,
    "others-reset": Reset(),
    "others-lost": Reset(answer_lost=True),
    "others-throttled": Refusal("LimitExceededException"),
}


async def test_each_fault_alone_loses_nothing_and_brings_nothing_twice(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    made = {name: await streams.create(name=f"{name}-{id(proxy)}") for name in (*_READS, *_OTHERS)}

    def fault(call: Call) -> Fault | None:
        name = call.stream.rpartition("-")[0]
        if call.operation == "GetRecords":
            return _READS.get(name) if call.number == 2 or (call.number == 3 and name != "expired") else None
        return _OTHERS.get(name) if call.number == 1 else None

    for operation in ("DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"):
        proxy.script(operation, fault)
    for stream in made.values():
        await stream.put(numbered(range(10)))

    running = await outboard.run([
        stream_mapping(stream, functions.url, name=name, BatchSize=10, SourceEndpointUrl=proxy.url)
        for name, stream in made.items()
    ])  # fmt: skip
    await functions.until(lambda: all(len(worked_off(functions.of(name))) == 10 for name in made), seconds=40)
    for stream in made.values():
        await stream.put(numbered(range(10, 20)))
    await functions.until(lambda: all(len(worked_off(functions.of(name))) == 20 for name in made), seconds=40)
    metrics = await running.metrics()

    for name, stream in made.items():
        assert worked_off(functions.of(name)) == Counter(range(20)), name
        assert await out_of_turn(stream, functions.of(name)) == [], name
    errors = {name: metrics.value("outboard_polling_errors_total", mapping=name) for name in made}
    assert all(count == 0 for name, count in errors.items() if name in ("slow", "empty", "expired")), errors
    assert all(errors[name] > 0 for name in ("throttled", "broken", "reset", "answer-lost", "limited")), errors
    assert metrics.value("outboard_polling_errors_total", mapping="throttled", error="throttled") > 0


def _any(chance: random.Random, faults: Sequence[Fault]) -> object:
    return lambda _: chance.choice(faults) if chance.random() < 0.25 else None


@pytest.mark.parametrize("seed", range(2))
async def test_faults_at_random_under_load_lose_nothing_and_keep_the_order(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy, seed: int
) -> None:
    chance = random.Random(seed)
    stream = await streams.create(3)
    others = [THROTTLED, BROKEN, Reset(), Reset(answer_lost=True), Slow(0.3)]
    for operation in ("DescribeStreamSummary", "ListShards", "GetShardIterator"):
        proxy.script(operation, _any(chance, others))
    proxy.script("GetRecords", _any(chance, [*others, EXPIRED, EmptyPage()]))
    functions.script("orders", succeeds(delay=0.02))

    running = outboard.launch(
        *outboard.configure([stream_mapping(stream, functions.url, BatchSize=10, SourceEndpointUrl=proxy.url)])
    )
    for start in range(0, 500, 20):
        await stream.put_keyed([(f"k{n % 9}", text) for n, text in enumerate(numbered(range(start, start + 20)))])
        await asyncio.sleep(0.1)
    await functions.until(lambda: len(worked_off(functions.invokes)) == 500, seconds=60)

    assert running.exit_code is None
    assert worked_off(functions.invokes) == Counter(range(500))
    assert await out_of_turn(stream, functions.invokes) == []
    for shard in await stream.shards():
        _assert_at_most_four_reads_a_second(proxy.of("GetRecords", shard.identifier))


def _assert_at_most_four_reads_a_second(reads: Sequence[Call]) -> None:
    """Over the whole run, and in any second of it, give or take what arrives late on a busy machine. After an expired
    iterator, which had not been used for long, the shard is read again at once."""
    times = [call.at for call in reads if call.fault is not EXPIRED]
    assert len(times) - 1 <= 4 * (times[-1] - times[0]) + 3
    assert all(later - earlier > 1 for earlier, later in zip(times, times[7:], strict=False))


async def test_a_busy_shard_is_read_four_times_a_second_and_an_idle_one_once(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create(2)
    busy, idle = await stream.shards()
    await outboard.run([stream_mapping(stream, functions.url, SourceEndpointUrl=proxy.url)])
    await functions.until(lambda: bool(proxy.of("GetRecords", idle.identifier)))

    for number in range(60):
        await stream.put(numbered([number]), shard=busy)
        await asyncio.sleep(0.04)
    await functions.until(lambda: len(worked_off(functions.invokes)) == 60)
    await functions.until(lambda: len(proxy.of("GetRecords", idle.identifier)) >= 4)
    reads, quiet = proxy.of("GetRecords", busy.identifier), proxy.of("GetRecords", idle.identifier)
    with_records = [call for call in reads if call.sequences]

    _assert_at_most_four_reads_a_second([call for call in reads if call.at <= with_records[-1].at])
    assert len(with_records) > 5  # read again at once, not a second later
    span = quiet[-1].at - quiet[0].at
    assert len(quiet) - 1 <= span / 0.95 + 0.5


async def test_after_an_expired_iterator_it_goes_on_behind_the_last_record_taken(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create()
    await stream.put(numbered(range(5)))
    running = await outboard.run([stream_mapping(stream, functions.url, SourceEndpointUrl=proxy.url)])
    await functions.until(lambda: len(worked_off(functions.invokes)) == 5)

    proxy.spoil_next("GetRecords", EXPIRED)
    await stream.put(numbered(range(5, 10)))
    await functions.until(lambda: len(worked_off(functions.invokes)) == 10)

    starts = [call.start for call in proxy.of("GetShardIterator")]
    assert starts == [("TRIM_HORIZON", None), ("AFTER_SEQUENCE_NUMBER", str(stream.puts[4].sequence))]
    assert batches(functions.invokes) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert (await running.metrics()).value("outboard_polling_errors_total", mapping="orders") == 0


async def test_a_position_that_the_stream_does_not_know_any_more_is_begun_anew_and_told(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create()
    await stream.put(numbered(range(5)))
    running = await outboard.run([stream_mapping(stream, functions.url, SourceEndpointUrl=proxy.url)])
    await functions.until(lambda: len(worked_off(functions.invokes)) == 5)
    running.send_signal(signal.SIGTERM)
    await running.ended(25)
    await stream.put(numbered(range(5, 10)))
    unknown = Refusal("InvalidArgumentException", "StartingSequenceNumber is not of this shard.")
    proxy.script("GetShardIterator", lambda call: unknown if call.start[0] == "AFTER_SEQUENCE_NUMBER" else None)

    running = await outboard.again(running)
    await functions.until(lambda: len(worked_off(functions.invokes)) == 10, seconds=40)
    metrics = await running.metrics()

    assert [number for batch in batches(functions.invokes) for number in batch] == [*range(5), *range(10)]
    assert metrics.value("outboard_position_resets_total", mapping="orders") == 1
    assert [line for line in running.log.splitlines() if "reset" in line and _FIRST in line]


async def test_latest_by_a_clock_that_is_ahead_begins_earlier_and_loses_nothing(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create()
    await stream.put(numbered(range(5)))
    await asyncio.sleep(0.05)
    future = Refusal("InvalidArgumentException", "Timestamp cannot be in the future")
    proxy.script("GetShardIterator", lambda call: future if call.number < 3 else None)
    entry = stream_mapping(stream, functions.url, StartingPosition="LATEST", SourceEndpointUrl=proxy.url)
    await outboard.run([entry])
    await functions.until(lambda: bool(proxy.of("GetShardIterator")))

    await stream.put(numbered(range(5, 10)))
    await functions.until(lambda: worked_off(functions.invokes).keys() >= set(range(5, 10)), seconds=40)

    assert max(worked_off(functions.invokes).values()) == 1
    starts = [float(str(call.start[1])) for call in proxy.of("GetShardIterator")]
    assert [round(later - earlier, 3) for earlier, later in itertools.pairwise(starts)] == [-2, -4]


async def test_a_read_that_never_ends_holds_up_neither_another_shard_nor_the_end(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create(2)
    hanging, other = await stream.shards()
    proxy.script("GetRecords", lambda call: Hang() if call.shard == hanging.identifier else None)
    running = await outboard.run([stream_mapping(stream, functions.url, SourceEndpointUrl=proxy.url)])
    await functions.until(lambda: bool(proxy.of("GetRecords", hanging.identifier)))

    await _put_and_wait(stream, functions, other)
    running.send_signal(signal.SIGTERM)
    code = await running.ended(10)

    assert code == 0
    assert len(proxy.of("GetRecords", hanging.identifier)) == 1


async def _put_and_wait(stream: Stream, functions: ScriptedInvoke, shard: object) -> None:
    for number in range(3):
        await stream.put(numbered([number]), shard=shard)
        await functions.until(lambda number=number: worked_off(functions.invokes)[number] == 1, seconds=10)


async def test_a_throttled_shard_is_told_and_the_others_are_read(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create(2)
    throttled, other = await stream.shards()
    proxy.script("GetRecords", lambda call: THROTTLED if call.shard == throttled.identifier else None)
    running = await outboard.run([stream_mapping(stream, functions.url, SourceEndpointUrl=proxy.url)])
    await stream.put(numbered([10]), shard=throttled)

    await _put_and_wait(stream, functions, other)
    await functions.until(lambda: len(proxy.of("GetRecords", throttled.identifier)) >= 2)
    shown = (await running.mappings())["orders"]
    proxy.calm()
    await functions.until(lambda: worked_off(functions.invokes)[10] == 1, seconds=30)
    after = await running.until_state("orders", "Enabled")

    assert shown["lastError"]["type"] == "ProvisionedThroughputExceededException"
    assert after["lastError"] is None
