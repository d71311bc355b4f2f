"""Knows how AWS's services word an error in status, headers and body, and reads every variant into one shape."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

#: What is kept of an answer that is not an AWS error, for an operator to recognise who answered.
EXCERPT = 200

_REQUEST_IDS = ("x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id")
_QUERY_PREFIX = "AWS.SimpleQueueService."
#: SQS's older query protocol had its own names; its JSON protocol and its documentation use these.
_RENAMED = {"NonExistentQueue": "QueueDoesNotExist"}
_XML_CODE = re.compile(r"<Code>\s*([A-Za-z0-9._]+)\s*</Code>")
_XML_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")


@dataclass(frozen=True, slots=True)
class ServiceError:
    """An error answer. `code` has no namespace and no prefix; `retry_after` is in seconds."""

    status: int
    code: str
    message: str
    request_id: str
    retry_after: float | None
    reason: str


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> ServiceError:
    """Read an answer whose status is an error. `headers` are looked up in lower case; nothing here raises."""
    document = _document(body)
    text = "" if document else body[: 64 * 1024].decode("utf-8", "replace").strip()
    code = _code(headers, document, text) or f"Http{status}"
    return ServiceError(
        status=status,
        code=code,
        message=_message(document, text),
        request_id=next((headers[name] for name in _REQUEST_IDS if name in headers), ""),
        retry_after=retry_after(headers),
        reason=_string(document.get("Reason")),
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After asks for; a date counts from the answer's own Date, so that no clock is needed."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        at, sent = epoch(value), epoch(headers.get("date", ""))
        return None if at is None or sent is None else max(0.0, at - sent)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def epoch(date: str) -> float | None:
    """An HTTP date in epoch seconds; None for what is not one."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _code(headers: Mapping[str, str], document: Mapping[str, Any], text: str) -> str:
    found = _XML_CODE.search(text)
    for named in (
        headers.get("x-amzn-errortype"),
        document.get("__type"),
        document.get("code"),
        document.get("Code"),
        headers.get("x-amzn-query-error"),
        found and found[1],
    ):
        code = _bare(named) if isinstance(named, str) else ""
        if code:
            return code
    return ""


def _bare(named: str) -> str:
    """`com.amazonaws.sqs#QueueDoesNotExist`, `X:http://…`, `AWS.SimpleQueueService.X;Sender` all say X."""
    name = named.partition(":")[0].partition(";")[0].rpartition("#")[2].strip()
    name = name.removeprefix(_QUERY_PREFIX)
    return _RENAMED.get(name, name)


def _message(document: Mapping[str, Any], text: str) -> str:
    for key in ("message", "Message", "errorMessage"):
        if message := _string(document.get(key)):
            return message
    found = _XML_MESSAGE.search(text)
    return found[1] if found else text[:EXCERPT]


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
