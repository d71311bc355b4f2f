"""The Invoke endpoint speaks Lambda's API, and its workers survive whatever a call does to them."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from outboard.demo.functions import Endpoint, WorkerGoneError, Workers, serving
from outboard.demo.worker import Answer, Call

PATH = "/2015-03-31/functions/{}/invocations"


def process_id(_event: Any, _context: Any) -> int:
    return os.getpid()


def end_at_once(_event: Any, _context: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def chatter(event: Any, _context: Any) -> Any:
    print("to standard output", flush=True)
    return event


def here(name: str) -> str:
    return f"{__name__}.{name}"


class Script:
    """Stands for the workers: answers as told, and keeps the calls."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.calls: list[Call] = []
        self._answer = answer

    async def __call__(self, call: Call) -> Answer:
        self.calls.append(call)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def invoke(
    script: Script, name: str = "f", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], str]:
    application = Endpoint({"f": "module.handler"}, script).application()
    async with TestClient(TestServer(application)) as client:
        answer = await client.post(PATH.format(name), data=b'{"Records": []}', headers=headers or {})
        return answer.status, dict(answer.headers), await answer.text()


async def test_an_invoke_runs_the_function_s_handler_and_returns_its_answer() -> None:
    script = Script(Answer('{"batchItemFailures": []}', failed=False))

    status, headers, body = await invoke(script)

    assert (status, body) == (200, '{"batchItemFailures": []}')
    assert [(call.path, call.name, call.payload) for call in script.calls] == [
        ("module.handler", "f", '{"Records": []}')
    ]
    assert (headers["x-amzn-RequestId"], headers["X-Amz-Executed-Version"]) == (script.calls[0].request_id, "$LATEST")
    assert "X-Amz-Function-Error" not in headers


@pytest.mark.parametrize("name", ["arn:aws:lambda:eu-west-1:123456789012:function:f", "f:live", "f%3Alive"])
async def test_a_function_is_found_by_its_arn_and_with_a_qualifier(name: str) -> None:
    status, _headers, _body = await invoke(Script(Answer("null", failed=False)), name)

    assert status == 200


async def test_a_function_that_raised_is_a_function_error_with_status_200() -> None:
    status, headers, body = await invoke(Script(Answer('{"errorType": "ValueError"}', failed=True)))

    assert (status, headers["X-Amz-Function-Error"], body) == (200, "Unhandled", '{"errorType": "ValueError"}')


async def test_an_unknown_function_is_not_found() -> None:
    status, headers, body = await invoke(Script(Answer("null", failed=False)), "missing")

    assert (status, headers["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")
    assert json.loads(body) == {"Type": "User", "Message": "Function not found: missing"}


async def test_a_dry_run_calls_nobody() -> None:
    script = Script(Answer("null", failed=False))

    status, _headers, _body = await invoke(script, headers={"X-Amz-Invocation-Type": "DryRun"})

    assert (status, script.calls) == (204, [])


async def test_a_worker_that_is_gone_is_a_service_error() -> None:
    status, headers, body = await invoke(Script(WorkerGoneError("it ended")))

    assert (status, headers["x-amzn-ErrorType"]) == (500, "ServiceException")
    assert json.loads(body) == {"Type": "Service", "Message": "it ended"}


async def test_workers_run_side_by_side_and_each_again_and_again(tmp_path: Path) -> None:
    async with serving({"f": here("process_id")}, tmp_path / "ledger", workers=2) as url, ClientSession() as session:

        async def one() -> int:
            async with session.post(url + PATH.format("f"), data=b"{}") as answer:
                return int(await answer.json())

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(), name=f"call {number}") for number in range(8)]

    assert len({task.result() for task in tasks} - {os.getpid()}) in {1, 2}


async def test_a_worker_that_dies_fails_its_call_and_is_replaced(tmp_path: Path) -> None:
    workers = Workers([], tmp_path / "ledger", count=1)
    try:
        first = await workers.run(Call(here("process_id"), "f", "r", "{}"))
        with pytest.raises(WorkerGoneError, match=r"The worker that ran f ended before it answered\."):
            await workers.run(Call(here("end_at_once"), "f", "r", "{}"))
        second = await workers.run(Call(here("process_id"), "f", "r", "{}"))
    finally:
        await workers.close()

    assert first.body != second.body


async def test_what_a_handler_prints_does_not_pass_for_its_answer(tmp_path: Path) -> None:
    workers = Workers([], tmp_path / "ledger", count=1)
    try:
        answer = await workers.run(Call(here("chatter"), "f", "r", '{"a": 1}'))
    finally:
        await workers.close()

    assert answer == Answer('{"a": 1}', failed=False)
