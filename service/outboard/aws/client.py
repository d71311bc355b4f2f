"""Knows how AWS's JSON services and Lambda's Invoke are spoken: signed, sent once, errors typed by their code."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson
from yarl import URL

from outboard import __version__
from outboard.aws.calls import CallFailed, InvokeReply, Refused, Unreachable
from outboard.aws.errors import EXCERPT, read_error
from outboard.aws.identity import Identity
from outboard.aws.refusals import Cure, clock_offset, cure
from outboard.aws.signing import Credentials, Target, sign, target
from outboard.aws.transport import Answer, Transport

_USER_AGENT = f"outboard/{__version__}"

#: A trace comes out of a message; one that cannot be a header must not hold that message up.
_TRACE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?")

#: Told of each call: service, operation, `OK` or the error's code.
Told = Callable[[str, str, str], None]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How one JSON service is spoken: its signing name, the prefix of X-Amz-Target, its version of the protocol."""

    service: str
    prefix: str
    content_type: str


SQS = Protocol("sqs", "AmazonSQS", "application/x-amz-json-1.0")
KINESIS = Protocol("kinesis", "Kinesis_20131202", "application/x-amz-json-1.1")


class Clock:
    """Our clock, corrected by what AWS says the time is."""

    def __init__(self, read: Callable[[], float] = time.time) -> None:
        self.offset = 0.0
        self.read = read

    def now(self) -> float:
        return self.read() + self.offset


class SignedCalls:
    """Signs and sends to one endpoint.

    The only calls ever sent again are those that AWS refused unread: a clock was off, or credentials had expired.
    """

    def __init__(self, endpoint: str, region: str, identity: Identity, transport: Transport, clock: Clock) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._region = region
        self._identity = identity
        self._transport = transport
        self._clock = clock
        self._targets: dict[tuple[str, str], tuple[URL, Target]] = {}

    async def post(self, service: str, path: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        """`path` is percent-encoded and has its query. Raises `Unreachable` or `TimedOut`."""
        url, at = self._target(service, path)
        deadline = asyncio.get_running_loop().time() + timeout
        credentials = await self._credentials(deadline, timeout)
        offset = self._clock.offset
        answer = await self._send(url, sign(at, headers, body, credentials, self._clock.now()), body, deadline)
        if answer.status in (400, 401, 403) and self._cured(answer, credentials, offset):
            credentials = await self._credentials(deadline, timeout)
            answer = await self._send(url, sign(at, headers, body, credentials, self._clock.now()), body, deadline)
        return answer

    async def _credentials(self, deadline: float, timeout: float) -> Credentials:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._identity.credentials()
        except TimeoutError as error:
            message = f"no credentials were to be had within {timeout:g} s; check the way to their source"
            raise Unreachable("NoCredentials", message) from error

    async def _send(self, url: URL, signed: dict[str, str], body: bytes, deadline: float) -> Answer:
        signed["user-agent"] = _USER_AGENT
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise Unreachable("ConnectTimeout", f"{url.origin()}: no time was left to send the call")
        return await self._transport.post(url, signed, body, left)

    def _target(self, service: str, path: str) -> tuple[URL, Target]:
        found = self._targets.get((service, path))
        if found is None:
            whole = self._endpoint + path
            found = URL(whole, encoded=True), target(whole, self._region, service)
            self._targets[service, path] = found
        return found

    def _cured(self, answer: Answer, used: Credentials, offset: float) -> bool:
        """Whether what the call was refused for could be mended, or has been since it was signed."""
        learnt = clock_offset(answer.headers.get("date", ""), self._clock.read())
        error = read_error(answer.status, answer.headers, answer.body)
        match cure(error, offset, learnt):
            case Cure.CREDENTIALS:
                self._identity.forget(used)
                return True
            case Cure.CLOCK if learnt is not None:
                self._clock.offset = learnt
                return True
        return False

    async def close(self) -> None:
        await self._transport.close()


class JsonClient:
    """A `JsonService`."""

    def __init__(self, calls: SignedCalls, protocol: Protocol, told: Told) -> None:
        self._calls = calls
        self._protocol = protocol
        self._told = told

    async def call(self, operation: str, body: Mapping[str, object], *, timeout: float = 10.0) -> dict[str, Any]:
        protocol = self._protocol
        headers = {"content-type": protocol.content_type, "x-amz-target": f"{protocol.prefix}.{operation}"}
        code = "OK"
        try:
            return _result(await self._calls.post(protocol.service, "/", headers, orjson.dumps(body), timeout))
        except CallFailed as failure:
            code = failure.code
            raise
        finally:
            self._told(protocol.service, operation, code)


class LambdaClient:
    """A `LambdaService`."""

    def __init__(self, calls: SignedCalls, told: Told) -> None:
        self._calls = calls
        self._told = told

    async def invoke(
        self,
        function: str,
        payload: bytes,
        *,
        qualifier: str | None = None,
        invocation_type: str = "RequestResponse",
        trace: str | None = None,
        timeout: float = 905.0,
    ) -> InvokeReply:
        headers = {"content-type": "application/json", "x-amz-invocation-type": invocation_type}
        if trace and _TRACE.fullmatch(trace):
            headers["x-amzn-trace-id"] = trace
        try:
            answer = await self._calls.post("lambda", _invocations(function, qualifier), headers, payload, timeout)
        except CallFailed as failure:
            self._told("lambda", "Invoke", failure.code)
            raise
        good = answer.status < 300
        self._told("lambda", "Invoke", "OK" if good else read_error(answer.status, answer.headers, answer.body).code)
        return InvokeReply(answer.status, answer.headers, answer.body)


@lru_cache(maxsize=1024)
def _invocations(function: str, qualifier: str | None) -> str:
    path = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
    return f"{path}?Qualifier={quote(qualifier, safe='')}" if qualifier else path


def _result(answer: Answer) -> dict[str, Any]:
    if answer.status != 200:
        error = read_error(answer.status, answer.headers, answer.body)
        raise Refused(
            error.status,
            error.code,
            _said(answer, error.message),
            request_id=error.request_id,
            retry_after=error.retry_after,
            reason=error.reason,
        )
    try:
        parsed = orjson.loads(answer.body) if answer.body else {}
    except orjson.JSONDecodeError as error:
        raise Unreachable("UnreadableAnswer", f"the answer is not JSON ({error.msg})") from error
    if not isinstance(parsed, dict):
        raise Unreachable("UnreadableAnswer", "the answer is not a JSON object")
    return parsed


def _said(answer: Answer, message: str) -> str:
    if 300 <= answer.status < 400:
        to = answer.headers.get("location", "another address")[:EXCERPT]
        return f"redirected to {to}, which is not followed: correct the endpoint's URL"
    return message or f"the answer was HTTP status {answer.status}, without a word"
