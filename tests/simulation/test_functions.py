"""Simulated functions answer as Lambda does, and their answers are read by rules of their own."""

import random
from collections.abc import Sequence

import orjson
import pytest

from outboard.aws.calls import InvokeReply, TimedOut, Unreachable
from tests.simulation.events import done_of
from tests.simulation.functions import Behaviour, SimulatedFunction, SimulatedLambda
from tests.simulation.history import Attempt, Caller, History, Produced
from tests.simulation.loop import Process, VirtualTimeLoop, run
from tests.simulation.network import Faults, Network

_BATCH = ("a", "b", "c")


def invoked(
    behaviour: Behaviour, *, batch: Sequence[str] = _BATCH, fault: str = "", timeout: float = 60.0, group: str = ""
) -> tuple[InvokeReply | Exception, Attempt]:
    """One invoke of a function that behaves so: its reply, or how it failed, and what the history says."""
    history = History()
    for identifier in batch:
        history.produced[identifier] = Produced("q", identifier, group, "body", 0.0)
    records = [{"messageId": one, "receiptHandle": f"{one}+1", "body": "body"} for one in batch]

    async def main(loop: VirtualTimeLoop) -> InvokeReply | Exception:
        network = Network(loop, random.Random(1), Faults(always=fault), history)
        function = SimulatedFunction(loop, random.Random(2), "f", behaviour, history)
        service = SimulatedLambda({"f": function}, Caller(Process("p"), "m0"), network)
        try:
            return await service.invoke("arn:f", orjson.dumps({"Records": records}), timeout=timeout)
        except (Unreachable, TimedOut) as error:
            return error

    return run(main), history.attempts[0]


def test_success_is_all_done() -> None:
    reply, attempt = invoked(Behaviour())

    assert isinstance(reply, InvokeReply)
    assert (reply.status, reply.headers["x-amz-executed-version"]) == (200, "$LATEST")
    assert (attempt.ran, attempt.outcome, attempt.done) == (True, "done", {"a", "b", "c"})


@pytest.mark.parametrize("emulator", [False, True])
def test_a_function_error_leaves_nothing_done(emulator: bool) -> None:
    reply, attempt = invoked(Behaviour(errors=1.0, emulator=emulator))

    assert isinstance(reply, InvokeReply)
    assert reply.status == 200
    assert ("x-amz-function-error" in reply.headers) is not emulator
    assert (attempt.outcome, attempt.done) == ("error", frozenset())


def test_a_partial_answer_leaves_the_rest_done() -> None:
    reply, attempt = invoked(Behaviour(partial=True, poison={"b"}))

    assert isinstance(reply, InvokeReply)
    assert orjson.loads(reply.body) == {"batchItemFailures": [{"itemIdentifier": "b"}]}
    assert attempt.done == {"a", "c"}


def test_a_fifo_function_reports_all_of_the_group_from_the_first_failure_on() -> None:
    assert invoked(Behaviour(partial=True, fifo=True, poison={"b"}), group="g")[1].done == {"a"}


def test_an_invalid_answer_leaves_nothing_done() -> None:
    assert invoked(Behaviour(partial=True, invalid_answers=1.0))[1].done == frozenset()


def test_a_batch_that_is_too_large_is_refused_unseen() -> None:
    reply, attempt = invoked(Behaviour(refuses_above=2))

    assert isinstance(reply, InvokeReply)
    assert (reply.status, attempt.ran, attempt.done) == (413, False, frozenset())


@pytest.mark.parametrize(("fault", "status"), [("throttled", 429), ("failed", 503)])
def test_lambda_itself_can_refuse(fault: str, status: int) -> None:
    reply, attempt = invoked(Behaviour(), fault=fault)

    assert isinstance(reply, InvokeReply)
    assert (reply.status, attempt.ran) == (status, False)


@pytest.mark.parametrize(
    ("fault", "error", "ran"),
    [("reset", Unreachable, False), ("lost", Unreachable, True), ("silent", TimedOut, False), ("mute", TimedOut, True)],
)
def test_an_answer_that_never_comes_leaves_the_caller_with_nothing_done(
    fault: str, error: type[Exception], ran: bool
) -> None:
    reply, attempt = invoked(Behaviour(), fault=fault)

    assert isinstance(reply, error)
    assert (attempt.ran, attempt.done) == (ran, frozenset())


def test_a_function_that_hangs_outlives_its_callers_patience() -> None:
    reply, attempt = invoked(Behaviour(hangs=1.0, hang_seconds=100.0), timeout=10.0)

    assert isinstance(reply, TimedOut)
    assert (attempt.ran, attempt.run_ended) == (True, None)


@pytest.mark.parametrize(
    ("body", "done"),
    [
        (b"null", _BATCH),
        (b'""', _BATCH),
        (b"", _BATCH),
        (b"{}", _BATCH),
        (b"[]", _BATCH),
        (b'{"batchItemFailures":null}', _BATCH),
        (b'{"batchItemFailures":[{"itemIdentifier":"a"}]}', ["b", "c"]),
        (b'{"batchItemFailures":[{"itemIdentifier":"z"}]}', ()),
        (b'{"batchItemFailures":[{"itemIdentifier":""}]}', ()),
        (b'{"batchItemFailures":[{"id":"a"}]}', ()),
        (b'{"failures":[]}', ()),
        (b"5", ()),
        (b"{", ()),
    ],
)
def test_partial_answers_are_read_as_aws_reads_them(body: bytes, done: Sequence[str]) -> None:
    reply = InvokeReply(200, {"x-amz-executed-version": "1"}, body)

    assert list(done_of(reply, _BATCH, partial=True)) == list(done)


@pytest.mark.parametrize(
    ("body", "done"),
    [
        (b"null", _BATCH),
        (b"", ()),
        (b"Task timed out after 3.00 seconds", ()),
        (b'{"errorType":"E","errorMessage":""}', ()),
    ],
)
def test_the_emulator_says_in_the_body_what_lambda_says_in_headers(body: bytes, done: Sequence[str]) -> None:
    assert list(done_of(InvokeReply(200, {}, body), _BATCH, partial=False)) == list(done)
