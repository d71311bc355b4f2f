"""The servers that other tests lean on do what those tests take for granted."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.servers.elasticmq import ElasticMQ
from tests.servers.kinesis_local import Kinesis
from tests.servers.kinesis_proxy import EXPIRED, THROTTLED, EmptyPage, KinesisProxy, Reset
from tests.servers.processes import Child, ServerFailed
from tests.servers.queues import Queues, numbered
from tests.servers.runtime_front import runtime_front
from tests.servers.scripted_invoke import (
    Answer,
    ScriptedInvoke,
    breaks_off,
    hangs,
    raises,
    reports,
    resets,
    succeeds,
    throttles,
)
from tests.servers.streams import Stream, Streams
from tests.servers.tools import REPOSITORY, ToolMissing, find_tool

_EVENT = {"Records": [{"messageId": "m1", "body": "{}"}, {"messageId": "m2", "body": "{}"}]}


def _path(function: str) -> str:
    return f"/2015-03-31/functions/{function}/invocations"


async def _invoke(url: str, function: str = "f", event: object = _EVENT) -> tuple[int, str, bytes]:
    """Status, X-Amz-Function-Error ("" if absent) and body."""
    body = io.BytesIO(json.dumps(event).encode())
    async with aiohttp.ClientSession() as session, session.post(url + _path(function), data=body) as answer:
        return answer.status, answer.headers.get("X-Amz-Function-Error", ""), await answer.read()


@pytest.mark.server
async def test_a_queue_counts_visible_and_hidden_messages(queues: Queues) -> None:
    queue = await queues.create(visibility=30)
    await queue.send(numbered(range(12)))

    received = await queue.receive(10)
    depth = await queue.depth()

    assert (len(received), depth.visible, depth.hidden) == (10, 2, 10)


@pytest.mark.server
async def test_a_fifo_queue_keeps_a_groups_order(queues: Queues) -> None:
    queue = await queues.create(fifo=True)
    await queue.send(numbered(range(5)), group="g")

    received = await queue.receive(10)

    assert [json.loads(message["Body"])["n"] for message in received] == [0, 1, 2, 3, 4]


def _numbers(records: list[dict[str, Any]]) -> list[int]:
    return [json.loads(record["Data"])["n"] for record in records]


@pytest.mark.server
async def test_a_shard_gives_its_records_in_the_order_of_their_sequence_numbers(streams: Streams) -> None:
    stream = await streams.create(2)
    first, second = await stream.shards()
    await stream.put(numbered(range(700)), shard=first)
    async with asyncio.TaskGroup() as group:  # several at once: none gets lost
        for start in range(0, 40, 10):
            group.create_task(stream.put(numbered(range(start, start + 10)), shard=second))

    left, right = await stream.read(first.identifier), await stream.read(second.identifier)

    assert _numbers(left) == list(range(700))
    assert sorted(_numbers(right)) == list(range(40))
    assert [int(record["SequenceNumber"]) for record in (*left, *right)] == [
        put.sequence
        for shard in (first, second)
        for put in sorted(stream.puts, key=lambda put: put.sequence)
        if put.shard == shard.identifier
    ]


@pytest.mark.server
async def test_a_stream_starts_where_it_is_asked_to(streams: Streams) -> None:
    stream = await streams.create()
    before = await stream.put(numbered(range(3)))
    await asyncio.sleep(1.1)  # the SDK cuts a moment to whole seconds
    await stream.put(numbered(range(3, 6)))
    arrived = (await stream.read("shardId-000000000000"))[3]["ApproximateArrivalTimestamp"]

    async def numbers(**start: object) -> list[int]:
        return _numbers(await stream.read("shardId-000000000000", **start))

    after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(before[1].sequence)}
    assert await numbers() == [0, 1, 2, 3, 4, 5]
    assert await numbers(ShardIteratorType="LATEST") == []
    assert await numbers(ShardIteratorType="AT_TIMESTAMP", Timestamp=arrived) == [3, 4, 5]
    assert await numbers(**after) == [2, 3, 4, 5]


@pytest.mark.server
async def test_records_go_to_the_children_after_a_split_and_a_merge(streams: Streams) -> None:
    stream = await streams.create()
    (parent,) = await stream.shards()
    await stream.split(parent)
    left, right = await stream.open_shards()
    in_children = await stream.put_keyed([(f"k{n}", b"x") for n in range(20)])
    await stream.merge(left, right)
    merged = (await stream.shards())[-1]
    in_merged = await stream.put([b"y"])

    assert left.parents == right.parents == (parent.identifier,)
    assert {put.shard for put in in_children} == {left.identifier, right.identifier}
    assert merged.parents == (left.identifier, right.identifier)
    assert [put.shard for put in in_merged] == [merged.identifier]
    assert [shard.open for shard in await stream.shards()] == [False, False, False, True]
    assert len(await stream.read(left.identifier)) + len(await stream.read(right.identifier)) == 20


@pytest.mark.server
async def test_a_stream_can_be_made_again_under_its_name(streams: Streams) -> None:
    stream = await streams.create(2)
    await stream.put(numbered(range(5)))
    await stream.delete()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await stream.shards()
    await stream.create(1)

    assert [shard.identifier for shard in await stream.shards()] == ["shardId-000000000000"]
    assert await stream.read("shardId-000000000000") == []


@pytest.mark.server
async def test_the_fast_kinesis_takes_and_gives_thousands_of_records(kinesalite_server: Kinesis) -> None:
    streams = Streams(kinesalite_server.url)
    try:
        stream = await streams.create(2)
        await stream.put_keyed([(f"k{n % 8}", text) for n, text in enumerate(numbered(range(2_000)))])
        given = [_numbers(await stream.read(shard.identifier)) for shard in await stream.shards()]
    finally:
        await streams.close()

    assert sorted(n for numbers in given for n in numbers) == list(range(2_000))
    assert all(numbers == sorted(numbers) for numbers in given)


@pytest.mark.server
async def test_a_proxy_spoils_what_the_test_says_and_remembers_who_asked(streams: Streams, proxy: KinesisProxy) -> None:
    own = await streams.create()
    await own.put(numbered(range(3)))
    through = Streams(proxy.url)
    try:
        stream = through.planned(own.name)
        proxy.spoil_next("GetRecords", THROTTLED, EXPIRED, Reset(), Reset(answer_lost=True), EmptyPage())
        seen = [await _read_through(stream) for _ in range(5)]
    finally:
        await through.close()

    calls = proxy.of("GetRecords", "shardId-000000000000")
    assert seen == [
        "ProvisionedThroughputExceededException",
        "ExpiredIteratorException",
        "ConnectionClosedError",
        "ConnectionClosedError",
        [0, 1, 2],
    ]
    assert [call.number for call in calls[:6]] == [1, 2, 3, 4, 5, 6]
    assert [len(call.sequences) for call in calls[:6]] == [0, 0, 0, 0, 0, 3]
    assert {call.start for call in proxy.of("GetShardIterator")} == {("TRIM_HORIZON", None)}


async def _read_through(stream: Stream) -> list[int] | str:
    """The numbers in the first shard, or what came instead."""
    try:
        return _numbers(await stream.read("shardId-000000000000"))
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except ConnectionClosedError as error:
        return type(error).__name__


@pytest.mark.server
def test_moto_answers(moto_url: str) -> None:
    assert moto_url.startswith("http://127.0.0.1:")


@pytest.mark.server
async def test_nginx_answers_any_function_with_no_failures(nginx_url: str) -> None:
    status, error, body = await _invoke(nginx_url, "orders", {"Records": [{"body": "x" * 3_000_000}]})

    assert (status, error, json.loads(body)) == (200, "", {"batchItemFailures": []})


async def test_a_real_function_reports_the_message_that_failed(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    handler = "tests.servers.handlers.standard.handler"
    records = [_record("m1", {"n": 1}), _record("m2", {"n": 2, "fail_times": 1})]

    async with runtime_front(handler, tmp_path, environment={"LEDGER": str(ledger)}) as url:
        status, error, body = await _invoke(url, event={"Records": records})

    done = [(line["n"], line["failed"]) for line in map(json.loads, ledger.read_text().splitlines())]
    assert (status, error, json.loads(body)) == (200, "", {"batchItemFailures": [{"itemIdentifier": "m2"}]})
    assert done == [(1, False), (2, True)]


async def test_a_real_function_that_raises_is_a_function_error(tmp_path: Path) -> None:
    handler = "tests.servers.handlers.standard.handler"

    async with runtime_front(handler, tmp_path, environment={"LEDGER": os.devnull}) as url:
        status, error, body = await _invoke(url, event={"Records": [_record("m1", {"n": 1, "fail_times": 1})]})

    assert (status, error) == (200, "Unhandled")
    assert json.loads(body)["errorType"] == "BatchProcessingError"


async def test_a_function_that_takes_too_long_times_out(tmp_path: Path) -> None:
    handler = "tests.servers.handlers.standard.handler"

    async with runtime_front(handler, tmp_path, timeout=0.2, environment={"LEDGER": os.devnull}) as url:
        _, error, body = await _invoke(url, event={"Records": [_record("m1", {"n": 1, "seconds": 5})]})

    assert error == "Unhandled"
    assert "Task timed out after 0.20 seconds" in json.loads(body)["errorMessage"]


def _record(message_id: str, body: object) -> dict[str, object]:
    attributes = {"ApproximateReceiveCount": "1"}
    return {"messageId": message_id, "body": json.dumps(body), "attributes": attributes, "eventSource": "aws:sqs"}


async def test_a_script_decides_each_answer(functions: ScriptedInvoke) -> None:
    answers = iter([raises("Boom"), throttles(2), succeeds(b"null")])
    functions.script("f", lambda _: next(answers))

    seen = [await _invoke(functions.url) for _ in range(3)]

    assert [(status, error) for status, error, _ in seen] == [(200, "Unhandled"), (429, ""), (200, "")]
    assert [invoke.number for invoke in functions.of("f")] == [1, 2, 3]


async def test_a_partial_answer_leaves_the_listed_records_undone(functions: ScriptedInvoke) -> None:
    functions.script("f", lambda invoke: reports(invoke, ["m2"]))

    _, _, body = await _invoke(functions.url)

    assert json.loads(body) == {"batchItemFailures": [{"itemIdentifier": "m2"}]}
    assert [record["messageId"] for record in functions.invokes[0].worked_off] == ["m1"]


async def test_full_arns_and_qualifiers_name_the_same_function(functions: ScriptedInvoke) -> None:
    for name in ("orders", "orders:live", "arn:aws:lambda:eu-west-1:123456789012:function:orders:live"):
        await _invoke(functions.url, name)

    assert [(each.function, each.qualifier) for each in functions.invokes] == [
        ("orders", None),
        ("orders", "live"),
        ("orders", "live"),
    ]


@pytest.mark.parametrize("answer", [resets(), breaks_off()])
async def test_a_broken_answer_reaches_the_caller_as_a_broken_connection(
    functions: ScriptedInvoke, answer: Answer
) -> None:
    functions.script("f", answer)

    with pytest.raises(aiohttp.ClientError):
        await _invoke(functions.url)


async def test_a_hanging_function_sees_its_caller_leave(functions: ScriptedInvoke) -> None:
    functions.script("f", hangs())

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await _invoke(functions.url)
    await functions.until(lambda: functions.in_flight() == 0)

    assert functions.invokes[0].caller_left
    assert functions.invokes[0].worked_off == []


def test_a_server_that_ends_while_starting_says_why(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "raise SystemExit('no such setting')"], log=tmp_path / "log")

    with pytest.raises(ServerFailed, match="no such setting"):
        child.wait_until(lambda: False, seconds=10)


def test_stopping_a_server_ends_what_it_started(tmp_path: Path) -> None:
    script = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    child = Child([sys.executable, "-c", script], log=tmp_path / "log")
    child.wait_until(lambda: child.tail().endswith("\n"), seconds=10)

    child.stop(grace=1)

    assert _gone(int(child.tail()))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_a_server_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; import time; from tests.servers.processes import Child\n"
        f"print(Child(['sleep', '60'], log=Path({str(tmp_path / 'log')!r})).pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)

    assert _gone(pid)


def _gone(pid: int) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def test_a_missing_tool_is_named_with_its_remedy() -> None:
    with pytest.raises(ToolMissing, match="`no-such-tool` was not found; install no-such-tool"):
        find_tool("no-such-tool")


@pytest.mark.server
def test_the_queue_server_is_a_process_of_its_own(sqs_server: ElasticMQ) -> None:
    assert psutil.Process(sqs_server.pid).name() == "java"


@pytest.mark.server
def test_the_stream_server_is_a_process_of_its_own(kinesis_server: Kinesis) -> None:
    assert psutil.Process(kinesis_server.pid).name() == "node"
