"""A stream, the service and a function: records arrive shard by shard, in order, from where they should."""

import asyncio
import base64
import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Launcher, until
from tests.e2e.streams import batches, out_of_turn, stream_mapping, worked_off
from tests.servers.identity import CALLER
from tests.servers.kinesis_proxy import Altered, KinesisProxy
from tests.servers.queues import numbered
from tests.servers.runtime_front import runtime_front
from tests.servers.scripted_invoke import ScriptedInvoke, succeeds
from tests.servers.streams import Streams

pytestmark = pytest.mark.server

_FIRST = "shardId-000000000000"
_HANDLER = "tests.servers.handlers.stream.handler"


async def _until_worked_off(functions: ScriptedInvoke, numbers: int, *, name: str = "orders") -> None:
    await functions.until(lambda: len(worked_off(functions.of(name))) >= numbers, seconds=30)


async def test_the_function_gets_the_event_that_aws_would_send(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create()
    (put,) = await stream.put([bytes(range(256))], key='k\u00e9y \u2028 "quoted" \\')
    arrived: list[float] = []

    def keep(answer: dict[str, Any]) -> None:
        arrived.extend(record["ApproximateArrivalTimestamp"] for record in answer["Records"])

    proxy.script("GetRecords", Altered(keep))

    await outboard.run([stream_mapping(stream, functions.url, FunctionName="orders:live", SourceEndpointUrl=proxy.url)])
    await functions.until(lambda: len(functions.invokes) == 1)

    invoke = functions.invokes[0]
    record = {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": put.key,
            "sequenceNumber": str(put.sequence),
            "data": base64.b64encode(put.data).decode(),
            "approximateArrivalTimestamp": arrived[0],
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{_FIRST}:{put.sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": CALLER,
        "awsRegion": "eu-west-1",
        "eventSourceARN": stream.arn,
    }
    assert isinstance(arrived[0], float)
    assert (invoke.function, invoke.qualifier) == ("orders", "live")
    assert invoke.payload.decode() == json.dumps({"Records": [record]}, ensure_ascii=False, separators=(",", ":"))


async def test_batches_of_a_shard_are_full_and_come_one_after_the_other(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create()
    functions.script("orders", succeeds(delay=0.2))
    await stream.put(numbered(range(30)))

    running = await outboard.run([stream_mapping(stream, functions.url, BatchSize=10)])
    await _until_worked_off(functions, 30)
    metrics = await running.metrics()

    assert batches(functions.invokes) == [list(range(start, start + 10)) for start in (0, 10, 20)]
    assert await out_of_turn(stream, functions.invokes) == []
    assert metrics.value("outboard_polled_events_total", mapping="orders") == 30
    assert metrics.value("outboard_delivered_events_total", mapping="orders") == 30


async def test_shards_are_worked_off_side_by_side(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream, most = await streams.create(4), 0

    def busy(_: object) -> Any:
        nonlocal most
        most = max(most, functions.in_flight())
        return succeeds(delay=0.5)

    functions.script("orders", busy)
    for number, shard in enumerate(await stream.shards()):
        await stream.put(numbered(range(number * 20, number * 20 + 20)), shard=shard)

    await outboard.run([stream_mapping(stream, functions.url, BatchSize=10)])
    await _until_worked_off(functions, 80)

    assert most == 4
    assert await out_of_turn(stream, functions.invokes) == []


async def test_two_mappings_of_one_stream_get_everything_each(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create(2)
    await stream.put_keyed([(f"k{number % 5}", text) for number, text in enumerate(numbered(range(60)))])

    await outboard.run([stream_mapping(stream, functions.url, name=name, BatchSize=10) for name in ("orders", "audit")])
    for name in ("orders", "audit"):
        await _until_worked_off(functions, 60, name=name)

    assert [worked_off(functions.of(name)) for name in ("orders", "audit")] == [Counter(range(60))] * 2


async def test_a_window_gathers_from_several_reads_until_the_batch_is_full(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create()
    entry = stream_mapping(stream, functions.url, BatchSize=15, MaximumBatchingWindowInSeconds=60)
    running = await outboard.run([entry])

    for numbers in (range(5), range(5, 10), range(10, 15)):
        assert functions.invokes == []
        await stream.put(numbered(numbers))
        await running.until_counted("outboard_polled_events_total", numbers.stop)
    await functions.until(lambda: len(functions.invokes) == 1)

    assert batches(functions.invokes) == [list(range(15))]


async def test_a_window_that_ends_sends_what_there_is(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create()
    entry = stream_mapping(stream, functions.url, BatchSize=100, MaximumBatchingWindowInSeconds=2)
    await outboard.run([entry])

    began = time.time()
    await stream.put(numbered(range(5)))
    await functions.until(lambda: len(functions.invokes) == 1)

    assert batches(functions.invokes) == [list(range(5))]
    assert functions.invokes[0].started - began >= 2


async def test_a_batch_ends_before_its_payload_is_too_large(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create()
    await stream.put(numbered(range(7)))

    def swell(answer: dict[str, Any]) -> None:
        for record in answer["Records"]:
            number = json.loads(base64.b64decode(record["Data"]))["n"]
            (text,) = numbered([number], filling="x" * 900_000)  # 1.2 MB of base64: five in 6 MB
            record["Data"] = base64.b64encode(text.encode()).decode()

    proxy.script("GetRecords", Altered(swell))
    await outboard.run([stream_mapping(stream, functions.url, SourceEndpointUrl=proxy.url)])
    await functions.until(lambda: len(functions.invokes) == 2)

    assert batches(functions.invokes) == [[0, 1, 2, 3, 4], [5, 6]]
    assert max(len(invoke.payload) for invoke in functions.invokes) <= 6_291_456


async def test_latest_begins_when_the_mapping_first_starts(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create(2)
    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(10)))])
    await asyncio.sleep(0.05)

    running = await outboard.run([stream_mapping(stream, functions.url, StartingPosition="LATEST")])
    await running.until_state("orders", "Enabled")
    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(10, 20)))])
    await _until_worked_off(functions, 10)

    assert worked_off(functions.invokes) == Counter(range(10, 20))


async def test_a_time_to_start_at_leaves_out_what_arrived_before(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create()
    await stream.put(numbered(range(5)))
    await asyncio.sleep(0.05)
    moment = time.time()
    await asyncio.sleep(0.05)
    await stream.put(numbered(range(5, 10)))

    starting = {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": moment}
    await outboard.run([stream_mapping(stream, functions.url, **starting)])
    await _until_worked_off(functions, 5)

    assert batches(functions.invokes) == [[5, 6, 7, 8, 9]]


async def test_a_stream_that_does_not_exist_yet_is_worked_off_when_it_does(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream, other = streams.planned(), await streams.create()
    await other.put(numbered(range(5)))
    late = stream_mapping(stream, functions.url, StartingPosition="LATEST")

    running = await outboard.run([late, stream_mapping(other, functions.url, name="other")])
    shown = await running.until_state("orders", "blocked")
    await _until_worked_off(functions, 5, name="other")
    await stream.create(2)
    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(20)))])
    await _until_worked_off(functions, 20)

    assert "does not exist" in shown["stateReason"]
    assert worked_off(functions.of("orders")) == Counter(range(20))  # all of it is newer than the mapping
    assert (await running.until_state("orders", "Enabled"))["stateReason"] == ""


async def test_a_stream_made_anew_under_its_name_is_begun_anew(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create(2)
    running = await outboard.run([stream_mapping(stream, functions.url)])
    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(10)))])
    await _until_worked_off(functions, 10)

    await stream.delete()
    shown = await running.until_state("orders", "blocked")
    await stream.create(1)
    await stream.put(numbered(range(10, 20)))
    await _until_worked_off(functions, 20)

    assert "does not exist" in shown["stateReason"]
    assert worked_off(functions.invokes) == Counter(range(20))


async def test_a_stream_made_anew_while_the_service_is_down_is_begun_anew(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create(1)
    await stream.put(numbered(range(10)))
    running = await outboard.run([stream_mapping(stream, functions.url)])
    await _until_worked_off(functions, 10)
    running.send_signal(signal.SIGTERM)
    await running.ended(25)

    await stream.delete()
    await stream.create(1)
    await stream.put(numbered(range(10, 20)))
    await outboard.again(running)
    await _until_worked_off(functions, 20)

    assert worked_off(functions.invokes) == Counter(range(20))


async def test_shards_that_come_later_are_read_from_their_beginning(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create()
    running = await outboard.run([stream_mapping(stream, functions.url, StartingPosition="LATEST")])
    await running.until_state("orders", "Enabled")

    (parent,) = await stream.shards()
    await stream.split(parent)
    await stream.put_keyed([(f"k{number}", text) for number, text in enumerate(numbered(range(20)))])
    await _until_worked_off(functions, 20)
    metrics = await running.metrics()

    assert worked_off(functions.invokes) == Counter(range(20))
    assert await out_of_turn(stream, functions.invokes) == []
    assert metrics.value("outboard_shards_done_total", mapping="orders") == 1
    assert metrics.value("outboard_shards_owned", mapping="orders") == 2


async def test_a_powertools_function_works_off_a_stream(outboard: Launcher, streams: Streams, tmp_path: Path) -> None:
    stream, ledger = await streams.create(2), tmp_path / "ledger"
    bodies = [*numbered(range(30)), *numbered([30], fail_times=1), *numbered(range(31, 60))]
    await stream.put_keyed([(f"k{number % 4}", body) for number, body in enumerate(bodies)])
    ledger.touch()

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in ledger.read_text().splitlines()]

    async with runtime_front(_HANDLER, tmp_path, environment={"LEDGER": str(ledger)}) as functions:
        running = await outboard.run([stream_mapping(stream, functions, BatchSize=20)])
        await until(lambda: len({line["n"] for line in lines() if not line["failed"]}) == 60, seconds=30)
        running.send_signal(signal.SIGTERM)
        code = await running.ended(25)

    succeeded = [line["n"] for line in lines() if not line["failed"]]
    shard_of = {json.loads(put.data)["n"]: put.shard for put in stream.puts}
    behind = {n for n in range(60) if shard_of[n] == shard_of[30] and n > 30}
    assert code == 0
    assert [line["n"] for line in lines() if line["failed"]] == [30]
    assert {n for n, times in Counter(succeeded).items() if times > 1} <= behind  # those of its batch came again
    for shard in set(shard_of.values()):
        firsts = list(dict.fromkeys(n for n in succeeded if shard_of[n] == shard and n not in behind))
        assert firsts == sorted(firsts)
