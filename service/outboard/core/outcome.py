"""Knows every way in which one invoke can end, and which of them used up an attempt."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The function returned; `body` is its raw answer, not yet parsed."""

    body: bytes
    request_id: str = ""
    executed_version: str = ""


@dataclass(frozen=True, slots=True)
class FunctionFailed:
    """The function ran and failed, or did not answer within its time: an attempt."""

    error_type: str
    error_message: str
    request_id: str = ""
    executed_version: str = ""
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Throttled:
    """Lambda had no capacity (429): not an attempt. `retry_after` is in seconds, None where Lambda named none."""

    reason: str
    message: str = ""
    retry_after: float | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Anything before the function had the batch: network, service error, permissions, no such function. No attempt.

    `error_type` is AWS's error code, or the transport's name for what went wrong. `in_doubt`: the answer was perhaps
    lost on its way back, and the function may be at work all the same.
    """

    error_type: str
    error_message: str
    retry_after: float | None = None
    request_id: str = ""
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Lambda refused the payload's size (413): not an attempt; the batch is split."""

    message: str = ""
    request_id: str = ""


Outcome = Succeeded | FunctionFailed | Throttled | Unavailable | TooLarge
