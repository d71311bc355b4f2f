"""An Invoke endpoint that answers as each function's script says, and remembers every invoke."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiohttp import web

from tests.servers.serving import served


class Ending(Enum):
    """What becomes of an answer on its way back."""

    WHOLE = "whole"
    HALF = "half"  #: cut off in the middle
    RESET = "reset"  #: the connection is reset instead
    HANG = "hang"  #: never


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answers, `delay` seconds after the invoke came.

    `done` names the records the function has worked off: all of them (None) or those with the given identifiers.
    """

    status: int = 200
    body: bytes = b'{"batchItemFailures":[]}'
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    ending: Ending = Ending.WHOLE
    done: frozenset[str] | None = None


@dataclass(slots=True)
class Invoke:
    """One invoke; times are epoch seconds, `ended` is None until the answer is on its way (or the caller has gone)."""

    function: str
    qualifier: str | None
    number: int
    payload: bytes
    headers: Mapping[str, str]
    started: float
    ended: float | None = None
    caller_left: bool = False
    answer: Answer | None = None

    @property
    def event(self) -> Any:
        return json.loads(self.payload)

    @property
    def records(self) -> list[dict[str, Any]]:
        return list(self.event["Records"])

    @property
    def bodies(self) -> list[str]:
        return [record["body"] for record in self.records]

    @property
    def message_ids(self) -> list[str]:
        return [record["messageId"] for record in self.records]

    @property
    def worked_off(self) -> list[dict[str, Any]]:
        """The records that the function says to have done by this invoke."""
        if self.answer is None:
            return []
        done = self.answer.done
        return [record for record in self.records if done is None or record["messageId"] in done]


Script = Callable[[Invoke], Answer]
_NOTHING: frozenset[str] = frozenset()


def succeeds(body: bytes = b'{"batchItemFailures":[]}', *, delay: float = 0.0) -> Answer:
    return Answer(body=body, delay=delay)


def reports(invoke: Invoke, failed: Iterable[str], *, delay: float = 0.0) -> Answer:
    """A partial response that lists `failed`; all else is done."""
    listed = list(failed)
    body = json.dumps({"batchItemFailures": [{"itemIdentifier": identifier} for identifier in listed]}).encode()
    return Answer(body=body, delay=delay, done=frozenset(invoke.message_ids) - set(listed))


def raises(error_type: str = "ValueError", message: str = "scripted", *, delay: float = 0.0) -> Answer:
    body = json.dumps({"errorType": error_type, "errorMessage": message}).encode()
    return Answer(body=body, headers={"X-Amz-Function-Error": "Unhandled"}, delay=delay, done=_NOTHING)


def throttles(retry_after: float | None = None) -> Answer:
    headers = {"x-amzn-ErrorType": "TooManyRequestsException"}
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    body = json.dumps({"Reason": "ConcurrentInvocationLimitExceeded", "message": "Rate Exceeded."}).encode()
    return Answer(429, body, headers, done=_NOTHING)


def refuses(status: int, code: str, message: str = "scripted", *, delay: float = 0.0) -> Answer:
    """A service error: nothing ran."""
    body = json.dumps({"Type": "Service", "message": message}).encode()
    return Answer(status, body, {"x-amzn-ErrorType": code}, delay, done=_NOTHING)


def hangs() -> Answer:
    return Answer(ending=Ending.HANG, done=_NOTHING)


def resets(*, worked: bool = False, delay: float = 0.0) -> Answer:
    """The connection breaks; with `worked` the function had done its work, and only its answer is lost."""
    return Answer(ending=Ending.RESET, delay=delay, done=None if worked else _NOTHING)


def breaks_off(*, delay: float = 0.0) -> Answer:
    """The function had done its work; half of its answer arrives."""
    return Answer(ending=Ending.HALF, delay=delay)


class ScriptedInvoke:
    """The endpoint. A function without a script succeeds at once."""

    def __init__(self) -> None:
        self.url = ""
        self.keeps_payloads = True  #: a test with gigabytes of them turns it off, and has then no `event` to look at
        self.invokes: list[Invoke] = []
        self._scripts: dict[str, Script] = {}
        self._counts: dict[str, int] = {}
        self._changed = asyncio.Event()

    def script(self, function: str, script: Script | Answer) -> None:
        """From now on `function` (its bare name) answers with `script`, or as `script` says for each invoke."""
        self._scripts[function] = (lambda _: script) if isinstance(script, Answer) else script

    def of(self, function: str) -> list[Invoke]:
        """The invokes of one function, in order of arrival."""
        return [invoke for invoke in self.invokes if invoke.function == function]

    def in_flight(self, function: str | None = None) -> int:
        return sum(1 for each in self.invokes if each.ended is None and function in (None, each.function))

    async def until(self, condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
        """Wait until `condition` holds, looking after each change. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                try:
                    async with asyncio.timeout(0.1):  # conditions may look at more than this endpoint
                        await self._changed.wait()
                except TimeoutError:
                    continue

    def application(self) -> web.Application:
        app = web.Application(client_max_size=7_000_000)
        app.router.add_post("/2015-03-31/functions/{function}/invocations", self._invoke)
        return app

    async def _invoke(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Amz-Invocation-Type") == "DryRun":
            return web.Response(status=204)
        invoke = await self._arrived(request)
        script = self._scripts.get(invoke.function)
        answer = succeeds() if script is None else script(invoke)
        try:
            await (asyncio.Event().wait() if answer.ending is Ending.HANG else asyncio.sleep(answer.delay))
        except asyncio.CancelledError:
            invoke.caller_left = True
            raise
        finally:
            invoke.ended = time.time()
            self._changed.set()
        invoke.answer = answer
        return await _send(request, answer)

    async def _arrived(self, request: web.Request) -> Invoke:
        payload = await request.read()
        function, qualifier = _named(request.match_info["function"], request.query.get("Qualifier"))
        self._counts[function] = number = self._counts.get(function, 0) + 1
        kept = payload if self.keeps_payloads else b""
        invoke = Invoke(function, qualifier, number, kept, dict(request.headers), time.time())
        self.invokes.append(invoke)
        self._changed.set()
        return invoke


def _named(path: str, qualifier: str | None) -> tuple[str, str | None]:
    """The bare name and the qualifier of a name, a partial or a full ARN."""
    _, _, name = path.rpartition("function:") if "function:" in path else ("", "", path)
    bare, _, suffix = name.partition(":")
    return bare, qualifier or suffix or None


async def _send(request: web.Request, answer: Answer) -> web.StreamResponse:
    headers = {"x-amzn-RequestId": str(uuid.uuid4()), "Content-Type": "application/json", **answer.headers}
    if answer.status == 200:
        headers.setdefault("X-Amz-Executed-Version", "$LATEST")
    if answer.ending is Ending.WHOLE:
        return web.Response(status=answer.status, body=answer.body, headers=headers)
    response = web.StreamResponse(status=answer.status, headers=headers)
    if answer.ending is Ending.HALF:
        response.content_length = len(answer.body)
        await response.prepare(request)
        await response.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response


@asynccontextmanager
async def scripted_invoke(port: int = 0) -> AsyncIterator[ScriptedInvoke]:
    """Run one on the loop of the caller; a given `port` lets it come back where it was."""
    endpoint = ScriptedInvoke()
    async with served(endpoint.application(), port) as endpoint.url:
        yield endpoint
