"""Knows the shapes of a signed call, its answer and its failures: the seam at which a simulation takes AWS's place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class CallFailed(Exception):
    """A call to AWS did not succeed; `code` names why, `str()` is for an operator."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Refused(CallFailed):
    """The service answered with an error. `code` is AWS's, without prefix and namespace."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        request_id: str = "",
        retry_after: float | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.reason = reason


class Unreachable(CallFailed):
    """No answer came: the connection was refused, reset or never made, or no credentials were to be had."""


class TimedOut(CallFailed):
    """No answer came in the time allowed; the service may still be at work on the call."""


class JsonService(Protocol):
    """One service that speaks an AWS JSON protocol (SQS, Kinesis, DynamoDB), in one region, under one identity."""

    async def call(self, operation: str, body: Mapping[str, object], *, timeout: float = 10.0) -> dict[str, Any]:
        """Send `operation` with `body`; returns the parsed answer. Never retries. Raises `CallFailed`.

        `timeout` is in seconds, from the start of the call to the last byte of its answer.
        """


@dataclass(frozen=True, slots=True)
class InvokeReply:
    """Lambda's answer to an Invoke that reached it, whatever its status; header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class LambdaService(Protocol):
    """Lambda's Invoke API, or anything that speaks it, in one region, under one identity."""

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
        """One synchronous invoke. Never retries. Raises `Unreachable` or `TimedOut`; statuses are not exceptions.

        `function` is a name or an ARN without qualifier.
        """
