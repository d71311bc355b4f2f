"""Knows how AWS's JSON services and Lambda's Invoke are spoken: signed, sent once, errors typed by their code."""

import email.utils
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from outboard import __version__
from outboard.aws.calls import CallFailed, InvokeReply, Refused, Unreachable
from outboard.aws.identity import Identity
from outboard.aws.signing import Scope, Unsigned, sign
from outboard.aws.transport import Answer, Transport

_SKEWED = frozenset({"RequestTimeTooSkewed", "InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"})

#: A clock that is off by less is not why a signature was refused.
_WORTH_CORRECTING = 30.0

#: AWS's clock less ours, in seconds, learnt from answers.
_skew = 0.0


@dataclass(frozen=True, slots=True)
class Protocol:
    """How one JSON service is spoken: its signing name, the prefix of X-Amz-Target, the version of AWS's JSON protocol."""

    service: str
    target: str
    content_type: str


SQS = Protocol("sqs", "AmazonSQS", "application/x-amz-json-1.0")
KINESIS = Protocol("kinesis", "Kinesis_20131202", "application/x-amz-json-1.1")
DYNAMODB = Protocol("dynamodb", "DynamoDB_20120810", "application/x-amz-json-1.0")

#: Told of each call: service, operation, `OK` or the error's code.
Told = Callable[[str, str, str], None]


class SignedCalls:
    """Signs and sends. The only calls ever sent again are those that AWS refused unread: for a clock that is off, or
    credentials that have expired."""

    def __init__(self, transport: Transport, identity: Identity, scope: Scope) -> None:
        self._transport = transport
        self._identity = identity
        self._scope = scope

    async def post(self, path: str, query: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        """Raises `Unreachable` or `TimedOut`."""
        answer = await self._send(path, query, headers, body, timeout)
        if answer.status not in (400, 401, 403):
            return answer
        code, _ = error_of(answer)
        if code in _EXPIRED:
            self._identity.forget()
        elif code not in _SKEWED or not _learn_skew(answer):
            return answer
        return await self._send(path, query, headers, body, timeout)

    async def _send(self, path: str, query: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        path = self._transport.base_path + path
        credentials = await self._identity.credentials()
        request = Unsigned("POST", self._transport.host, path, query, headers, body)
        signed = sign(request, self._scope, credentials, time.time() + _skew)
        signed["user-agent"] = f"outboard/{__version__}"
        return await self._transport.post(f"{path}?{query}" if query else path, signed, body, timeout)

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
        headers = {"content-type": protocol.content_type, "x-amz-target": f"{protocol.target}.{operation}"}
        code = "OK"
        try:
            return _result(await self._calls.post("/", "", headers, orjson.dumps(body), timeout))
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
        path = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
        query = f"Qualifier={quote(qualifier, safe='')}" if qualifier else ""
        headers = {"content-type": "application/json", "x-amz-invocation-type": invocation_type}
        if trace:
            headers["x-amzn-trace-id"] = trace
        try:
            answer = await self._calls.post(path, query, headers, payload, timeout)
        except CallFailed as failure:
            self._told("lambda", "Invoke", failure.code)
            raise
        self._told("lambda", "Invoke", "OK" if answer.status < 300 else error_of(answer)[0])
        return InvokeReply(answer.status, answer.headers, answer.body)


def error_of(answer: Answer) -> tuple[str, str]:
    """The code, without namespace, and the message of an answer that is an error."""
    try:
        parsed = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        parsed = None
    body: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    code = answer.headers.get("x-amzn-errortype") or body.get("__type") or body.get("code") or f"Http{answer.status}"
    code = str(code).split(":", 1)[0].rsplit("#", 1)[-1].rsplit(".", 1)[-1]
    message = body.get("message") or body.get("Message") or f"HTTP status {answer.status}"
    return code, str(message)


def _result(answer: Answer) -> dict[str, Any]:
    if answer.status == 200:
        if not answer.body:
            return {}
        try:
            parsed = orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise Unreachable("UnreadableAnswer", f"the answer is not JSON: {error.msg}") from error
        if isinstance(parsed, dict):
            return parsed
        raise Unreachable("UnreadableAnswer", "the answer is not a JSON object")
    code, message = error_of(answer)
    raise Refused(
        answer.status,
        code,
        message,
        request_id=answer.headers.get("x-amzn-requestid", ""),
        retry_after=retry_after(answer.headers),
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the service asked to wait; None where it did not, or not as a number."""
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _learn_skew(answer: Answer) -> bool:
    """Set our clock by AWS's; whether that changes anything."""
    global _skew  # noqa: PLW0603 - the process has one clock
    try:
        theirs = email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return False
    skew = theirs - time.time()
    if abs(skew - _skew) < _WORTH_CORRECTING:
        return False
    _skew = skew
    return True
