"""Knows Lambda's Invoke API well enough to run Python handlers behind it, each call in a worker process of its own."""

import asyncio
import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import traceback
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from outboard.demo import ledger, tether

PAYLOAD_LIMIT = 6_291_456


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to: the JSON of the handler's result, or of the exception it raised."""

    body: bytes
    failed: bool


@dataclass(frozen=True, slots=True)
class Context:
    """As much of Lambda's context object as the handlers may look at."""

    function_name: str
    aws_request_id: str


def call(handler: Callable[[Any, Any], Any], payload: bytes, context: Context) -> Answer:
    """Run one handler as Lambda's Python runtime does."""
    try:
        return Answer(json.dumps(handler(json.loads(payload), context)).encode(), failed=False)
    except Exception as error:  # noqa: BLE001 - whatever a user's code raises is an answer
        problem = {
            "errorMessage": str(error),
            "errorType": type(error).__name__,
            "requestId": context.aws_request_id,
            "stackTrace": traceback.format_tb(error.__traceback__),
        }
        return Answer(json.dumps(problem).encode(), failed=True)


def _load(path: str) -> None:
    importlib.import_module(path.rpartition(".")[0])


def _call_by_name(path: str, payload: bytes, context: Context) -> Answer:
    module, _, name = path.rpartition(".")
    return call(getattr(importlib.import_module(module), name), payload, context)


def _prepare(ledger_file: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which ends its workers itself
    tether.tie_to_parent()
    os.environ[ledger.VARIABLE] = ledger_file


Run = Callable[[str, bytes, Context], "asyncio.Future[Answer]"]


class Endpoint:
    """The Invoke API for `handlers`, function name -> dotted path; `run` calls a path somewhere."""

    def __init__(self, handlers: Mapping[str, str], run: Run) -> None:
        self._handlers = handlers
        self._run = run

    def application(self) -> web.Application:
        application = web.Application(client_max_size=PAYLOAD_LIMIT)
        application.router.add_post("/2015-03-31/functions/{name}/invocations", self._invoke)
        return application

    async def _invoke(self, request: web.Request) -> web.Response:
        request_id = str(uuid.uuid4())
        headers = {"x-amzn-RequestId": request_id, "X-Amz-Executed-Version": "$LATEST"}
        name = request.match_info["name"].rpartition(":function:")[2].partition(":")[0]
        path = self._handlers.get(name)
        if path is None:
            headers["x-amzn-ErrorType"] = "ResourceNotFoundException"
            problem = {"Type": "User", "Message": f"Function not found: {name}"}
            return web.json_response(problem, status=404, headers=headers)
        if request.headers.get("X-Amz-Invocation-Type") == "DryRun":
            return web.Response(status=204, headers=headers)
        try:
            answer = await self._run(path, await request.read(), Context(name, request_id))
        except BrokenExecutor as error:
            headers["x-amzn-ErrorType"] = "ServiceException"
            problem = {"Type": "Service", "Message": f"The workers are gone: {error}"}
            return web.json_response(problem, status=500, headers=headers)
        if answer.failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return web.Response(body=answer.body, headers=headers, content_type="application/json")


@contextlib.asynccontextmanager
async def serving(handlers: Mapping[str, str], ledger_file: Path, workers: int) -> AsyncIterator[str]:
    """Serve `handlers` on a free port of this machine; gives the endpoint's URL.

    A worker process runs one call at a time, as Lambda's do: module-level state in a handler is safe, and may block.
    """
    loop = asyncio.get_running_loop()
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, spawn, initializer=_prepare, initargs=(str(ledger_file),))
    for path in [*handlers.values()][:1] * workers:  # the processes start now rather than with the first calls
        pool.submit(_load, path)

    def run(path: str, payload: bytes, context: Context) -> asyncio.Future[Answer]:
        return loop.run_in_executor(pool, _call_by_name, path, payload, context)

    runner = web.AppRunner(Endpoint(handlers, run).application(), access_log=None, shutdown_timeout=0.5)
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
        pool.shutdown(wait=False, cancel_futures=True)
