"""Knows Lambda's Invoke API well enough to run Python handlers behind it, each call in a worker process of its own."""

import asyncio
import contextlib
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from aiohttp import web

from outboard.demo import ledger
from outboard.demo.worker import Answer, Call

PAYLOAD_LIMIT = 6_291_456
#: The longest line a worker may answer with, in bytes.
LONGEST_LINE = 2 * PAYLOAD_LIMIT


class WorkerGoneError(Exception):
    """A worker process ended in the middle of a call."""


class Endpoint:
    """The Invoke API for `handlers`, function name -> dotted path; `run` calls, or raises `WorkerGoneError`."""

    def __init__(self, handlers: Mapping[str, str], run: Callable[[Call], Awaitable[Answer]]) -> None:
        self._handlers = handlers
        self._run = run

    def application(self) -> web.Application:
        application = web.Application(client_max_size=PAYLOAD_LIMIT)
        application.router.add_post("/2015-03-31/functions/{name}/invocations", self._invoke)
        return application

    async def _invoke(self, request: web.Request) -> web.Response:
        request_id = str(uuid.uuid4())
        name = request.match_info["name"].rpartition(":function:")[2].partition(":")[0]
        headers = {"x-amzn-RequestId": request_id}
        if (path := self._handlers.get(name)) is None:
            return _refusal(404, "ResourceNotFoundException", f"Function not found: {name}", headers)
        if request.headers.get("X-Amz-Invocation-Type") == "DryRun":
            return web.Response(status=204, headers=headers)
        try:
            answer = await self._run(Call(path, name, request_id, await request.text()))
        except WorkerGoneError as error:
            return _refusal(500, "ServiceException", str(error), headers)
        headers["X-Amz-Executed-Version"] = "$LATEST"
        if answer.failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return web.Response(text=answer.body, headers=headers, content_type="application/json")


def _refusal(status: int, code: str, message: str, headers: Mapping[str, str]) -> web.Response:
    kind = "User" if status < 500 else "Service"
    body = {"Type": kind, "Message": message}
    return web.json_response(body, status=status, headers={**headers, "x-amzn-ErrorType": code})


class Workers:
    """`count` worker processes, which know the handlers at these dotted paths.

    Each runs one call at a time, as Lambda's do: a handler may block, and may keep state in its module.
    """

    def __init__(self, handlers: Sequence[str], ledger_file: Path, count: int) -> None:
        self._command = [sys.executable, "-m", "outboard.demo.worker", *handlers]
        self._environment = os.environ | {ledger.VARIABLE: str(ledger_file)}
        self._running: set[asyncio.subprocess.Process] = set()
        self._idle: asyncio.LifoQueue[asyncio.subprocess.Process | None] = asyncio.LifoQueue()
        for _ in range(count):
            self._idle.put_nowait(None)

    async def start(self) -> None:
        """Start them all. Otherwise each starts with its first call."""
        for process in [await self._start(await self._idle.get()) for _ in range(self._idle.qsize())]:
            self._idle.put_nowait(process)

    async def run(self, call: Call) -> Answer:
        """Have the next idle worker make the call. Raises `WorkerGoneError`; a new worker then takes its place."""
        process = await self._idle.get()
        healthy = False
        try:
            process = await self._start(process)
            answer = await _converse(process, call)
            healthy = True
        finally:
            # A worker whose answer nobody read would give it to the next call.
            self._idle.put_nowait(process if healthy else None)
            if process is not None and not healthy:
                self._kill(process)
        return answer

    async def close(self) -> None:
        """Kill them all, whatever they are at."""
        running = list(self._running)
        for process in running:
            self._kill(process)
        for process in running:
            await process.wait()

    async def _start(self, process: asyncio.subprocess.Process | None) -> asyncio.subprocess.Process:
        if process is not None:
            return process
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
            limit=LONGEST_LINE,
            start_new_session=True,
        )
        self._running.add(process)
        return process

    def _kill(self, process: asyncio.subprocess.Process) -> None:
        self._running.discard(process)
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def _converse(process: asyncio.subprocess.Process, call: Call) -> Answer:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(call.line())
        await process.stdin.drain()
        line = await process.stdout.readline()
    except ConnectionError:
        line = b""
    if not line:
        raise WorkerGoneError(f"The worker that ran {call.name} ended before it answered.")
    return Answer(**json.loads(line))


@contextlib.asynccontextmanager
async def serving(handlers: Mapping[str, str], ledger_file: Path, workers: int) -> AsyncIterator[str]:
    """Serve `handlers`, function name -> dotted path, on a free port of this machine; gives the endpoint's URL."""
    pool = Workers([*handlers.values()], ledger_file, workers)
    runner = web.AppRunner(Endpoint(handlers, pool.run).application(), access_log=None, shutdown_timeout=0.5)
    try:
        await pool.start()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
        await pool.close()
