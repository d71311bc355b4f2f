"""Runs real Lambda functions: the Invoke API in front, the runtime API behind, AWS's own runtime client between."""

import asyncio
import contextlib
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.servers.processes import Child
from tests.servers.serving import served
from tests.servers.tools import REPOSITORY, Address, clean_environment

_RUNTIME = "/2018-06-01/runtime"


@dataclass(frozen=True, slots=True)
class _Invocation:
    arn: str
    payload: bytes
    trace: str
    deadline: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: asyncio.Future[tuple[bytes, bool]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class RuntimeFront:
    """One function's front. Its runtimes ask for work; an invoke waits until one is free, as at reserved concurrency."""

    def __init__(self, timeout: float) -> None:
        self.started = asyncio.Event()
        self._timeout = timeout
        self._waiting: asyncio.Queue[_Invocation] = asyncio.Queue()
        self._running: dict[str, _Invocation] = {}

    def application(self) -> web.Application:
        app = web.Application(client_max_size=7_000_000)
        app.router.add_post("/2015-03-31/functions/{function}/invocations", self._invoke)
        app.router.add_get(f"{_RUNTIME}/invocation/next", self._next)
        app.router.add_post(_RUNTIME + "/invocation/{id}/response", self._respond)
        app.router.add_post(_RUNTIME + "/invocation/{id}/error", self._fail)
        app.router.add_post(f"{_RUNTIME}/init/error", self._accept)
        return app

    async def _invoke(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Amz-Invocation-Type") == "DryRun":
            return web.Response(status=204)
        trace = request.headers.get("X-Amzn-Trace-Id", "")
        payload = await request.read()
        invocation = _Invocation(request.match_info["function"], payload, trace, time.time() + self._timeout)
        self._waiting.put_nowait(invocation)
        headers = {"X-Amz-Executed-Version": "$LATEST", "x-amzn-RequestId": invocation.id}
        try:
            async with asyncio.timeout(self._timeout):
                body, failed = await invocation.answer
        except TimeoutError:
            said = f"{invocation.id} Task timed out after {self._timeout:.2f} seconds"
            body, failed = json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": said}).encode(), True
        finally:
            self._running.pop(invocation.id, None)
        if failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return web.Response(body=body, headers=headers, content_type="application/json")

    async def _next(self, request: web.Request) -> web.Response:
        self.started.set()
        invocation = await self._waiting.get()
        while invocation.answer.done():  # its caller has gone meanwhile
            invocation = await self._waiting.get()
        self._running[invocation.id] = invocation
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
            "Lambda-Runtime-Trace-Id": invocation.trace,
        }
        return web.Response(body=invocation.payload, headers=headers, content_type="application/json")

    async def _respond(self, request: web.Request) -> web.Response:
        return await self._finish(request, failed=False)

    async def _fail(self, request: web.Request) -> web.Response:
        return await self._finish(request, failed=True)

    async def _finish(self, request: web.Request, *, failed: bool) -> web.Response:
        body = await request.read()
        invocation = self._running.pop(request.match_info["id"], None)
        if invocation is not None and not invocation.answer.done():
            invocation.answer.set_result((body, failed))
        return web.Response(status=202)

    async def _accept(self, request: web.Request) -> web.Response:
        return web.Response(status=202)


@asynccontextmanager
async def runtime_front(
    handler: str,
    folder: Path,
    *,
    runtimes: int = 1,
    timeout: float = 60.0,
    environment: dict[str, str] | None = None,
    address: Address | None = None,
) -> AsyncIterator[str]:
    """Serve `handler` (`module.function`) with `runtimes` processes; yields the endpoint to invoke it at, by any name.

    An invoke that takes longer than `timeout` seconds, waiting included, is a function error, as Lambda's own is. With an
    `address` other machines may invoke it too.
    """
    front = RuntimeFront(timeout)
    port, everywhere = (0, False) if address is None else (address.port, True)
    async with served(front.application(), port, everywhere=everywhere) as url:
        with _runtimes(handler, folder, runtimes, url.removeprefix("http://"), environment or {}) as children:
            await _first_call(front, children)
            yield url


@contextmanager
def _runtimes(handler: str, folder: Path, count: int, api: str, extra: dict[str, str]) -> Iterator[list[Child]]:
    env = clean_environment(
        AWS_LAMBDA_RUNTIME_API=api,
        AWS_LAMBDA_FUNCTION_NAME=handler,
        PYTHONPATH=str(REPOSITORY),
        POWERTOOLS_SERVICE_NAME="tests",
        **extra,
    )
    command = [sys.executable, "-m", "awslambdaric", handler]
    with contextlib.ExitStack() as stack:
        children: list[Child] = []
        for number in range(count):
            child = Child(command, log=folder / f"{handler}-{number}.log", env=env)
            stack.callback(child.stop, grace=0.5)
            children.append(child)
        yield children


async def _first_call(front: RuntimeFront, children: list[Child]) -> None:
    """Wait until a runtime asks for work. Raises RuntimeError with a runtime's log if none does."""
    for _ in range(600):
        if front.started.is_set():
            return
        dead = [child for child in children if child.exit_code is not None]
        if dead:
            raise RuntimeError(f"a function's runtime ended with {dead[0].exit_code}:\n{dead[0].tail()}")
        await asyncio.sleep(0.05)
    raise RuntimeError(f"no runtime asked for work in 30 s:\n{children[0].tail()}")
