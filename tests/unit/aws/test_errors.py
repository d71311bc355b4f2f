"""Every way in which AWS and what stands for it words an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.aws.errors import EXCERPT, ServiceError, read_error, retry_after

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({}, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}', "QueueDoesNotExist"),
        ({"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}, b"", "QueueDoesNotExist"),
        ({}, b'{"__type":"AWS.SimpleQueueService.NonExistentQueue"}', "QueueDoesNotExist"),
        ({"x-amzn-errortype": "ResourceNotFoundException:http://internal/coral/"}, b"{}", "ResourceNotFoundException"),
        ({"x-amzn-errortype": "a.b#ThrottlingException"}, b'{"__type":"Other"}', "ThrottlingException"),
        ({}, b'{"code":"AccessDenied"}', "AccessDenied"),
        (
            {},
            b"<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>",
            "InvalidClientTokenId",
        ),
        ({}, b"<html>Bad gateway</html>", "Http502"),
        ({}, b"", "Http502"),
        ({}, b'{"__type": 7}', "Http502"),
        ({}, b"[1]", "Http502"),
    ],
)
def test_the_code_has_neither_namespace_nor_prefix(headers, body, code):
    assert read_error(502, headers, body).code == code


def test_a_throttle_is_read_whole():
    headers = {"x-amzn-requestid": "r-1", "retry-after": "7", "x-amzn-errortype": "TooManyRequestsException"}
    body = b'{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}'

    assert read_error(429, headers, body) == ServiceError(
        429, "TooManyRequestsException", "Rate Exceeded.", "r-1", 7.0, "ConcurrentInvocationLimitExceeded"
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), ("0.5", 0.5), ("-1", 0.0), ("inf", None), ("nan", None), ("soon", None), ("", None)],
)
def test_retry_after_in_seconds(value, seconds):
    assert retry_after({"retry-after": value}) == seconds


def test_retry_after_as_a_date_counts_from_the_answers_own_date():
    assert retry_after({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT", "date": DATE}) == 30.0


def test_what_is_no_aws_error_is_shown_cut():
    assert read_error(502, {}, b"x" * 100_000).message == "x" * EXCERPT


@given(
    st.integers(300, 599),
    st.dictionaries(st.sampled_from(["x-amzn-errortype", "retry-after", "date"]), st.text()),
    st.binary(),
)
def test_rubbish_never_raises_and_always_has_a_code(status, headers, body):
    assert read_error(status, headers, body).code
