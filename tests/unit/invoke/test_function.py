"""How a mapping's function is called, on a Lambda that notes its calls."""

import pytest

from outboard.aws.calls import CallFailed, InvokeReply, TimedOut, Unreachable
from outboard.core.outcome import FunctionFailed, Succeeded, Unavailable
from outboard.invoke.function import LambdaFunction


class NotingLambda:
    def __init__(self, answer: InvokeReply | CallFailed) -> None:
        self._answer = answer
        self.calls: list[tuple] = []

    async def invoke(self, function, payload, **options) -> InvokeReply:
        self.calls.append((function, payload, options))
        if isinstance(self._answer, CallFailed):
            raise self._answer
        return self._answer


async def test_one_invoke_is_one_call_with_the_mappings_settings():
    service = NotingLambda(InvokeReply(200, {"x-amz-executed-version": "7"}, b"null"))

    outcome = await LambdaFunction(service, "orders", "live", 30.0).invoke(b"{}", "Root=1")

    assert outcome == Succeeded(b"null", "", "7")
    assert service.calls == [("orders", b"{}", {"qualifier": "live", "trace": "Root=1", "timeout": 30.0})]


async def test_failures_are_outcomes():
    late = LambdaFunction(NotingLambda(TimedOut("Timeout", "x")), "orders", None, 30.0)
    gone = LambdaFunction(NotingLambda(Unreachable("ClientConnectorError", "why")), "orders", None, 30.0)
    broken = LambdaFunction(NotingLambda(Unreachable("ServerDisconnectedError", "why")), "orders", None, 30.0)

    assert await late.invoke(b"{}", None) == FunctionFailed(
        "Timeout", "no answer within InvokeTimeoutSeconds (30 s)", timed_out=True
    )
    assert await gone.invoke(b"{}", None) == Unavailable("ClientConnectorError", "why")
    assert await broken.invoke(b"{}", None) == Unavailable("ServerDisconnectedError", "why", in_doubt=True)


async def test_a_dry_run_that_is_allowed_has_nothing_to_say():
    service = NotingLambda(InvokeReply(204))

    assert await LambdaFunction(service, "orders", None, 905.0).dry_run() is None
    assert service.calls == [("orders", b"{}", {"qualifier": None, "invocation_type": "DryRun", "timeout": 30.0})]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            InvokeReply(404, {"x-amzn-errortype": "ResourceNotFoundException"}, b'{"Message":"no such function"}'),
            (
                "the dry run was refused with ResourceNotFoundException: no such function; create the function, or correct "
                "FunctionName, its qualifier and its region"
            ),
        ),
        (
            InvokeReply(429, {}, b'{"Reason":"CallerRateLimitExceeded"}'),
            "the dry run was throttled (CallerRateLimitExceeded); try again",
        ),
        (InvokeReply(200, {}, b"null"), "the endpoint does not know dry runs: it answered as if the function had run"),
        (Unreachable("ConnectionRefused", "http://h:1 refused"), "http://h:1 refused"),
    ],
)
async def test_a_dry_run_says_in_a_sentence_what_is_wrong(answer, sentence):
    assert await LambdaFunction(NotingLambda(answer), "orders", None, 905.0).dry_run() == sentence
