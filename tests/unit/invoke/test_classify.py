"""What each answer of the Invoke API, and each way of getting none, means for a batch: row by row."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.aws.calls import InvokeReply, TimedOut, Unreachable
from outboard.core.outcome import FunctionFailed, Succeeded, Throttled, TooLarge, Unavailable
from outboard.invoke.classify import classify, classify_failure

FROM_LAMBDA = {"x-amz-executed-version": "7", "x-amzn-requestid": "r-1"}
FAILED = {**FROM_LAMBDA, "x-amz-function-error": "Unhandled"}
ERROR = b'{"errorType":"ValueError","errorMessage":"bad"}'


@pytest.mark.parametrize("body", [b"null", b"", b"{}", b'{"batchItemFailures":[]}', b"not JSON", ERROR])
def test_lambda_says_by_its_header_alone_whether_the_function_failed(body):
    assert classify(InvokeReply(200, FROM_LAMBDA, body)) == Succeeded(body, "r-1", "7")


@pytest.mark.parametrize(
    ("body", "kind", "message", "timed_out"),
    [
        (ERROR, "ValueError", "bad", False),
        (b'{"errorMessage":"2026-01-01T00:00:00Z r-1 Task timed out after 3.00 seconds"}', "Unhandled",
         "2026-01-01T00:00:00Z r-1 Task timed out after 3.00 seconds", True),
        (b'{"errorType":"Sandbox.Timedout","errorMessage":"Error"}', "Sandbox.Timedout", "Error", True),
        (b"", "Unhandled", "the function answered with nothing", False),
        (b"not JSON", "Unhandled", "not JSON", False),
        (b"[1]", "Unhandled", "[1]", False),
        (b'{"errorType":null,"errorMessage":7}', "Unhandled", "7", False),
    ],
)  # fmt: skip
def test_a_failed_function_is_described_whatever_it_left(body, kind, message, timed_out):
    assert classify(InvokeReply(200, FAILED, body)) == FunctionFailed(kind, message, "r-1", "7", timed_out)


@pytest.mark.parametrize("body", [b"null", b"{}", b'{"errorMessage":"alone"}', b'"fine"', b'[{"errorType":1}]'])
def test_what_the_emulator_answers_is_the_functions_own(body):
    assert classify(InvokeReply(200, {}, body)) == Succeeded(body)


@pytest.mark.parametrize(
    ("body", "timed_out"),
    [
        (ERROR, False),
        (b"", False),
        (b" \n", False),
        (b"Task timed out after 3.00 seconds", True),
        (b'"Task timed out after 3.00 seconds"', True),
        (b"2026-01-01T00:00:00Z 1f-2e Task timed out after 3.00 seconds\n", True),
    ],
)
def test_the_emulator_marks_no_failure_so_its_body_tells(body, timed_out):
    outcome = classify(InvokeReply(200, {}, body))

    assert isinstance(outcome, FunctionFailed)
    assert outcome.timed_out is timed_out


def test_a_text_that_only_mentions_a_time_out_is_the_functions_answer():
    body = b'{"log":"Task timed out after 3.00 seconds"}'

    assert classify(InvokeReply(200, {}, body)) == Succeeded(body)


@pytest.mark.parametrize(
    "reason",
    [
        "ConcurrentInvocationLimitExceeded",
        "FunctionInvocationRateLimitExceeded",
        "ReservedFunctionConcurrentInvocationLimitExceeded",
        "ReservedFunctionInvocationRateLimitExceeded",
        "CallerRateLimitExceeded",
        "ConcurrentSnapshotCreateLimitExceeded",
    ],
)
def test_a_throttle_carries_its_reason_and_when_to_come_back(reason):
    body = orjson.dumps({"Reason": reason, "message": "Rate Exceeded."})

    outcome = classify(InvokeReply(429, {"retry-after": "2", "x-amzn-requestid": "r-1"}, body))

    assert outcome == Throttled(reason, "Rate Exceeded.", 2.0, "r-1")


def test_a_throttle_without_a_body_is_one_too():
    assert classify(InvokeReply(429)) == Throttled("Http429")


@pytest.mark.parametrize("code", ["RequestTooLargeException", "SerializedRequestEntityTooLargeException"])
def test_a_413_is_too_large(code):
    reply = InvokeReply(413, {"x-amzn-errortype": code, "x-amzn-requestid": "r-1"}, b'{"message":"too big"}')

    assert classify(reply) == TooLarge("too big", "r-1")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "InvalidParameterValueException"),
        (400, "InvalidRequestContentException"),
        (402, "ServiceQuotaExceededException"),
        (408, "EFSMountTimeoutException"),
        (409, "ResourceConflictException"),
        (409, "SnapStartNotReadyException"),
        (410, "EFSIOException"),
        (415, "UnsupportedMediaTypeException"),
        (500, "ServiceException"),
        (502, "EC2ThrottledException"),
        (502, "ResourceNotReadyException"),
        (503, "ServiceUnavailableException"),
    ],
)
def test_everything_else_is_unavailable_under_its_own_code_and_in_its_own_words(status, code):
    headers = {"x-amzn-errortype": f"{code}:http://x/", "retry-after": "1", "x-amzn-requestid": "r-1"}

    outcome = classify(InvokeReply(status, headers, b'{"Message":"why"}'))

    assert outcome == Unavailable(code, "why", 1.0, "r-1", in_doubt=status >= 500)


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (403, "AccessDeniedException", "lambda:InvokeFunction"),
        (403, "UnrecognizedClientException", "credentials"),
        (403, "ExpiredTokenException", "credentials"),
        (404, "ResourceNotFoundException", "FunctionName"),
        (307, "", "FunctionEndpointUrl"),
    ],
)
def test_what_only_the_user_can_mend_names_the_remedy(status, code, remedy):
    outcome = classify(InvokeReply(status, {"x-amzn-errortype": code}, b""))

    assert isinstance(outcome, Unavailable)
    assert outcome.error_type == (code or "Http307")
    assert remedy in outcome.error_message


@pytest.mark.parametrize("status", [202, 204])
def test_an_answer_that_does_not_say_that_the_function_ran_is_no_success(status):
    assert isinstance(classify(InvokeReply(status)), Unavailable)


def test_an_error_is_cut_to_what_a_log_can_carry():
    outcome = classify(InvokeReply(200, FAILED, orjson.dumps({"errorMessage": "x" * 100_000})))

    assert isinstance(outcome, FunctionFailed)
    assert len(outcome.error_message) == 2048 + len("...")


def test_no_answer_in_time_is_an_attempt():
    outcome = classify_failure(TimedOut("Timeout", "x"), 905.0)

    assert outcome == FunctionFailed("Timeout", "no answer within InvokeTimeoutSeconds (905 s)", timed_out=True)


@pytest.mark.parametrize(
    "code",
    [
        "BadAwsConfig",
        "BadCaBundle",
        "BadEndpoint",
        "BadProxy",
        "ClientConnectorCertificateError",
        "ClientConnectorDNSError",
        "ClientConnectorError",
        "ClientConnectorSSLError",
        "ClientHttpProxyError",
        "ClientProxyConnectionError",
        "ConnectTimeout",
        "NoCredentials",
    ],
)
def test_without_a_connection_nothing_was_sent_and_it_is_no_attempt(code):
    assert classify_failure(Unreachable(code, "why"), 905.0) == Unavailable(code, "why", in_doubt=False)


@pytest.mark.parametrize("code", ["ServerDisconnectedError", "ClientOSError", "ClientPayloadError", "UnreadableAnswer"])
def test_a_connection_that_broke_leaves_in_doubt_whether_the_function_runs(code):
    assert classify_failure(Unreachable(code, "why"), 905.0) == Unavailable(code, "why", in_doubt=True)


@given(
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["x-amz-function-error", "x-amz-executed-version", "retry-after"]), st.text()),
    st.one_of(st.binary(), st.recursive(st.none() | st.integers(0, 9) | st.text(), st.lists).map(orjson.dumps)),
)
def test_no_answer_is_beyond_it(status, headers, body):
    outcome = classify(InvokeReply(status, headers, body))

    assert isinstance(outcome, Succeeded) <= (status == 200)
