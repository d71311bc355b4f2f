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

import aiohttp
import psutil
import pytest

from tests.servers.elasticmq import ElasticMQ
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
