"""Knows the words in which the service speaks of itself: a mapping's states and the closed lists of what can happen."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import assert_never

from outboard.core.outcome import FunctionFailed, Throttled, TooLarge, Unavailable


class MappingState(StrEnum):
    """AWS's states where AWS has one. `FAILED` and `BLOCKED` are ours: AWS shows both as Enabled."""

    CREATING = "Creating"
    ENABLED = "Enabled"
    DISABLING = "Disabling"
    DISABLED = "Disabled"
    UPDATING = "Updating"
    DELETING = "Deleting"
    FAILED = "Failed"
    BLOCKED = "blocked"


class PollResult(StrEnum):
    """How one read from a source ended."""

    RECORDS = "records"
    EMPTY = "empty"
    ERROR = "error"


class InvokeOutcome(StrEnum):
    """How one invoke ended, the function's answer included."""

    SUCCESS = "success"
    PARTIAL_FAILURE = "partial_failure"
    INVALID_RESPONSE = "invalid_response"
    FUNCTION_ERROR = "function_error"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"


class ErrorClass(StrEnum):
    """What kind of error a service's code, or a transport's, stands for: closed, so that it can be a label."""

    ACCESS_DENIED = "access_denied"
    NOT_FOUND = "not_found"
    THROTTLED = "throttled"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    SERVICE_ERROR = "service_error"
    OTHER = "other"


class InvokeError(StrEnum):
    """Why an invoke failed: the function's own ways first, then those of `ErrorClass`."""

    FUNCTION_ERROR = "function_error"
    INVALID_RESPONSE = "invalid_response"
    TOO_LARGE = "too_large"
    ACCESS_DENIED = "access_denied"
    NOT_FOUND = "not_found"
    THROTTLED = "throttled"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    SERVICE_ERROR = "service_error"
    OTHER = "other"


#: Looked for in a code in this order, lower case and without punctuation; the first that is found names its class.
_SIGNS: tuple[tuple[ErrorClass, tuple[str, ...]], ...] = (
    (
        ErrorClass.THROTTLED,
        ("throttl", "toomanyrequests", "requestlimit", "slowdown", "limitexceeded", "overlimit", "exceeded"),
    ),
    (ErrorClass.TIMEOUT, ("timeout", "timedout")),
    (
        ErrorClass.ACCESS_DENIED,
        (
            "accessdenied",
            "denied",
            "notauthorized",
            "unauthorized",
            "forbidden",
            "token",
            "signature",
            "credential",
            "authfail",
            "authorizationfail",
            "authenticationfail",
            "sasl",
            "optin",
        ),
    ),
    (ErrorClass.NOT_FOUND, ("notfound", "nonexistent", "doesnotexist", "nosuch", "unknowntopic")),
    (
        ErrorClass.UNREACHABLE,
        (
            *("connect", "unreachable", "dns", "resolve", "ssl", "tls", "certificate", "reset", "socket", "oserror"),
            *("nobrokers", "notready"),
        ),
    ),
    (
        ErrorClass.SERVICE_ERROR,
        (
            *("internal", "service", "unavailable", "server", "failure", "gateway"),
            *("notavailable", "loadinprogress", "notleader", "notcoordinator", "notenoughreplicas"),
        ),
    ),
)


def _letters(code: str) -> str:
    return "".join(filter(str.isalnum, code)).lower()


@lru_cache(maxsize=512)
def error_class(code: str) -> ErrorClass:
    """The class of an error code, whether AWS's (`AccessDeniedException`) or a transport's (`ConnectionResetError`)."""
    letters = _letters(code)
    for kind, signs in _SIGNS:
        if any(sign in letters for sign in signs):
            return kind
    return ErrorClass.OTHER


class CommitError(StrEnum):
    """Why positions could not be saved: the file's own ways first, then those of `ErrorClass`."""

    STORAGE_FULL = "storage_full"
    STORAGE = "storage"
    ACCESS_DENIED = "access_denied"
    NOT_FOUND = "not_found"
    THROTTLED = "throttled"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    SERVICE_ERROR = "service_error"
    OTHER = "other"


#: How SQLite and the operating system name what is wrong with a file, lower case and without punctuation.
_FULL = ("full", "enospc", "nospace", "edquot", "quota")
_STORAGE = ("sqlite", "oserror", "ioerr", "disk", "readonly", "permissionerror", "operationalerror", "databaseerror")


def commit_error(code: str) -> CommitError:
    """The class of an error that kept positions from being saved, whether a file's (`SQLITE_FULL`) or AWS's."""
    letters = _letters(code)
    if any(sign in letters for sign in _FULL):
        return CommitError.STORAGE_FULL
    if any(sign in letters for sign in _STORAGE):
        return CommitError.STORAGE
    return CommitError(error_class(code).value)


class PositionReset(StrEnum):
    """Why a position was of no more use: the shard or partition is read from its beginning, or none of it is left."""

    UNKNOWN_SEQUENCE_NUMBER = "unknown_sequence_number"
    SHARD_EXPIRED = "shard_expired"
    RECORDS_EXPIRED = "records_expired"
    OFFSET_OUT_OF_RANGE = "offset_out_of_range"


class LastResult(StrEnum):
    """How the newest invoke ended, in AWS's words for `LastProcessingResult`."""

    NOTHING_YET = "No records processed"
    OK = "OK"
    PROBLEM = "PROBLEM: Function call failed"


#: What a lane is called where its source has a name for it.
_LANE_WORDS = {"kinesis": "shard", "dynamodb": "shard", "kafka": "partition"}


@dataclass(frozen=True, slots=True)
class MappingFacts:
    """What does not change while a mapping lives; shown as labels of `outboard_mapping_info`.

    `source_type` is one of `catalogue.SOURCE_TYPES`; `source_arn` is empty for a source that has no ARN.
    """

    name: str
    uuid: str
    source_type: str
    function_arn: str = ""
    source_arn: str = ""
    batch_size: int = 0

    @property
    def lane_word(self) -> str:
        """What a lane of the source is called, in log lines too."""
        return _LANE_WORDS.get(self.source_type, "lane")


def enumerated(kind: type[StrEnum]) -> Sequence[str]:
    """The values of a closed list, in the order in which it is written."""
    return tuple(member.value for member in kind)


@dataclass(frozen=True, slots=True)
class Explained:
    """A failed invoke in the words of metrics, `ended` and `error`, and of logs."""

    ended: InvokeOutcome
    error: InvokeError
    error_type: str
    message: str


def explain(outcome: FunctionFailed | Throttled | Unavailable | TooLarge) -> Explained:
    """What a failed invoke is called."""
    match outcome:
        case FunctionFailed(timed_out=True):
            return Explained(InvokeOutcome.TIMEOUT, InvokeError.TIMEOUT, outcome.error_type, outcome.error_message)
        case FunctionFailed():
            return Explained(
                InvokeOutcome.FUNCTION_ERROR, InvokeError.FUNCTION_ERROR, outcome.error_type, outcome.error_message
            )
        case Throttled():
            return Explained(InvokeOutcome.THROTTLED, InvokeError.THROTTLED, outcome.reason, outcome.message)
        case TooLarge():
            return Explained(InvokeOutcome.TOO_LARGE, InvokeError.TOO_LARGE, "RequestTooLarge", outcome.message)
        case Unavailable():
            error = InvokeError(error_class(outcome.error_type).value)
            return Explained(InvokeOutcome.UNAVAILABLE, error, outcome.error_type, outcome.error_message)
    assert_never(outcome)
