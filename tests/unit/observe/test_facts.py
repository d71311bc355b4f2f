"""Error codes fall into closed classes, and every failed invoke has a name."""

import pytest

from outboard.core.outcome import FunctionFailed, Throttled, TooLarge, Unavailable
from outboard.observe.facts import (
    CommitError,
    ErrorClass,
    Explained,
    InvokeError,
    InvokeOutcome,
    commit_error,
    error_class,
    explain,
)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", ErrorClass.ACCESS_DENIED),
        ("AccessDeniedException", ErrorClass.ACCESS_DENIED),
        ("KMSAccessDeniedException", ErrorClass.ACCESS_DENIED),
        ("InvalidClientTokenId", ErrorClass.ACCESS_DENIED),
        ("ExpiredToken", ErrorClass.ACCESS_DENIED),
        ("SignatureDoesNotMatch", ErrorClass.ACCESS_DENIED),
        ("NoCredentialsError", ErrorClass.ACCESS_DENIED),
        ("AWS.SimpleQueueService.NonExistentQueue", ErrorClass.NOT_FOUND),
        ("QueueDoesNotExist", ErrorClass.NOT_FOUND),
        ("ResourceNotFoundException", ErrorClass.NOT_FOUND),
        ("GroupAuthorizationFailedError", ErrorClass.ACCESS_DENIED),
        ("SaslAuthenticationFailed", ErrorClass.ACCESS_DENIED),
        ("UnknownTopicOrPartitionError", ErrorClass.NOT_FOUND),
        ("ThrottlingException", ErrorClass.THROTTLED),
        ("TooManyRequestsException", ErrorClass.THROTTLED),
        ("OverLimit", ErrorClass.THROTTLED),
        ("ProvisionedThroughputExceededException", ErrorClass.THROTTLED),
        ("RequestThrottled", ErrorClass.THROTTLED),
        ("TimedOut", ErrorClass.TIMEOUT),
        ("TimeoutError", ErrorClass.TIMEOUT),
        ("ServerTimeoutError", ErrorClass.TIMEOUT),
        ("KafkaTimeoutError", ErrorClass.TIMEOUT),
        ("ClientConnectorError", ErrorClass.UNREACHABLE),
        ("KafkaConnectionError", ErrorClass.UNREACHABLE),
        ("NoBrokersAvailable", ErrorClass.UNREACHABLE),
        ("CERTIFICATE_VERIFY_FAILED", ErrorClass.UNREACHABLE),
        ("GroupCoordinatorNotAvailableError", ErrorClass.SERVICE_ERROR),
        ("NotLeaderForPartitionError", ErrorClass.SERVICE_ERROR),
        ("ConnectionResetError", ErrorClass.UNREACHABLE),
        ("ClientConnectorDNSError", ErrorClass.UNREACHABLE),
        ("ServerDisconnectedError", ErrorClass.UNREACHABLE),
        ("ClientConnectorCertificateError", ErrorClass.UNREACHABLE),
        ("Unreachable", ErrorClass.UNREACHABLE),
        ("InternalFailure", ErrorClass.SERVICE_ERROR),
        ("ServiceException", ErrorClass.SERVICE_ERROR),
        ("ServiceUnavailable", ErrorClass.SERVICE_ERROR),
        ("", ErrorClass.OTHER),
        ("InvalidParameterValue", ErrorClass.OTHER),
    ],
)
def test_an_error_code_has_a_class(code: str, kind: ErrorClass) -> None:
    assert error_class(code) is kind


def test_every_class_of_error_is_also_a_reason_for_a_failed_invoke() -> None:
    assert {kind.value for kind in ErrorClass} < {error.value for error in InvokeError}


@pytest.mark.parametrize(
    ("outcome", "explained"),
    [
        (
            FunctionFailed("ValueError", "no"),
            Explained(InvokeOutcome.FUNCTION_ERROR, InvokeError.FUNCTION_ERROR, "ValueError", "no"),
        ),
        (
            FunctionFailed("Sandbox.Timedout", "late", timed_out=True),
            Explained(InvokeOutcome.TIMEOUT, InvokeError.TIMEOUT, "Sandbox.Timedout", "late"),
        ),
        (
            Throttled("ReservedFunctionConcurrentInvocationLimitExceeded", "Rate Exceeded."),
            Explained(
                InvokeOutcome.THROTTLED,
                InvokeError.THROTTLED,
                "ReservedFunctionConcurrentInvocationLimitExceeded",
                "Rate Exceeded.",
            ),
        ),
        (TooLarge("big"), Explained(InvokeOutcome.TOO_LARGE, InvokeError.TOO_LARGE, "RequestTooLarge", "big")),
        (
            Unavailable("ResourceNotFoundException", "gone"),
            Explained(InvokeOutcome.UNAVAILABLE, InvokeError.NOT_FOUND, "ResourceNotFoundException", "gone"),
        ),
    ],
)
def test_a_failed_invoke_is_explained(
    outcome: FunctionFailed | Throttled | TooLarge | Unavailable, explained: Explained
) -> None:
    assert explain(outcome) == explained


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SQLITE_FULL", CommitError.STORAGE_FULL),
        ("ENOSPC", CommitError.STORAGE_FULL),
        ("SQLITE_IOERR_WRITE", CommitError.STORAGE),
        ("SQLITE_READONLY", CommitError.STORAGE),
        ("OSError", CommitError.STORAGE),
        ("OperationalError", CommitError.STORAGE),
        ("ProvisionedThroughputExceededException", CommitError.THROTTLED),
        ("AccessDeniedException", CommitError.ACCESS_DENIED),
        ("NotSaved", CommitError.OTHER),
    ],
)
def test_what_keeps_positions_from_being_saved_has_a_class(code: str, kind: CommitError) -> None:
    assert commit_error(code) is kind


def test_every_class_of_error_can_keep_positions_from_being_saved() -> None:
    assert {kind.value for kind in ErrorClass} <= {kind.value for kind in CommitError}
