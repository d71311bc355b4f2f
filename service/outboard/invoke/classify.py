"""Knows what each answer of the Invoke API means for a batch; a table and the emulator's rules, no I/O."""

import re
from typing import Any

import orjson

from outboard.aws.calls import CallFailed, InvokeReply, TimedOut
from outboard.aws.errors import read_error
from outboard.core.outcome import FunctionFailed, Outcome, Succeeded, Throttled, TooLarge, Unavailable

#: A message longer than this is cut: it ends in logs and on a page.
_SHOWN = 2048

#: How failures to get as far as sending begin: what is configured, and the transport's connections.
_UNSENT = (
    *("BadAwsConfig", "BadCaBundle", "BadEndpoint", "BadProxy", "NoCredentials"),
    *("ClientConnector", "ClientHttpProxy", "ClientProxy", "ConnectTimeout"),
)

#: The emulator answers a function's timeout with this text instead of an error; time and request id may lead it.
_EMULATED_TIMEOUT = re.compile(rb"\"?(?:[^\s\"{\[]+\s+){0,2}Task timed out after ")

#: Not a matter of permission: AWS does not accept the signature.
_BAD_CREDENTIALS = "check the credentials Outboard runs under, or FunctionRoleArn, and this machine's clock"
_REMEDIES_BY_CODE = dict.fromkeys(
    (
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
    _BAD_CREDENTIALS,
)
_REMEDIES = {
    **dict.fromkeys(
        (301, 302, 303, 307, 308), "redirects are not followed; set FunctionEndpointUrl to the final address"
    ),
    403: "grant lambda:InvokeFunction to the identity Outboard runs under, or to FunctionRoleArn",
    404: "create the function, or correct FunctionName, its qualifier and its region",
}


def classify(reply: InvokeReply) -> Outcome:
    """What came of an invoke that was answered."""
    if reply.status == 200:
        return _answered(reply)
    error = read_error(reply.status, reply.headers, reply.body)
    match error.status:
        case 413:
            return TooLarge(_cut(error.message), error.request_id)
        case 429:
            return Throttled(error.reason or error.code, _cut(error.message), error.retry_after, error.request_id)
        case _:
            pass
    said = _cut(error.message) or f"the Invoke API answered with HTTP status {error.status}"
    remedy = _REMEDIES_BY_CODE.get(error.code) or _REMEDIES.get(error.status)
    text = f"{said}; {remedy}" if remedy else said
    return Unavailable(error.code, text, error.retry_after, error.request_id, in_doubt=error.status >= 500)


def classify_failure(failure: CallFailed, timeout: float) -> Outcome:
    """What came of an invoke that was not answered. Without an answer in time the function may have run: an attempt."""
    if isinstance(failure, TimedOut):
        message = f"no answer within InvokeTimeoutSeconds ({timeout:g} s)"
        return FunctionFailed("Timeout", message, timed_out=True)
    unsent = failure.code.startswith(_UNSENT)
    return Unavailable(failure.code, _cut(failure.message), in_doubt=not unsent)


def _answered(reply: InvokeReply) -> Outcome:
    version = reply.headers.get("x-amz-executed-version", "")
    request_id = _request_id(reply)
    if "x-amz-function-error" in reply.headers:
        return _failed(reply.body, request_id, version)
    if not version and _emulated_failure(reply.body):
        return _failed(reply.body, request_id, version)
    return Succeeded(reply.body, request_id, version)


def _emulated_failure(body: bytes) -> bool:
    """The runtime emulator names no version and marks no error; what it answers then has these shapes."""
    stripped = body.strip()
    if not stripped or _EMULATED_TIMEOUT.match(stripped):
        return True
    if b'"errorType"' not in stripped or b'"errorMessage"' not in stripped:
        return False
    return {"errorType", "errorMessage"} <= _object(stripped).keys()


def _failed(body: bytes, request_id: str, version: str) -> FunctionFailed:
    error = _object(body)
    text = body[:_SHOWN].decode("utf-8", "replace").strip()
    message = str(error.get("errorMessage") or text or "the function answered with nothing")
    kind = str(error.get("errorType") or "Unhandled")
    timed_out = "Task timed out after" in message or "Timedout" in kind
    return FunctionFailed(_cut(kind), _cut(message), request_id, version, timed_out)


def _object(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _request_id(reply: InvokeReply) -> str:
    return reply.headers.get("x-amzn-requestid", "")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
