"""A worker answers with the handler's JSON, or with the exception as Lambda's Python runtime shows it."""

import json
from typing import Any

from outboard.demo.worker import Answer, Call, Context, answer, handler_at

CALL = Call("a.b", "process-orders", "request-1", '{"Records": [1, "é"]}')


def test_a_result_is_answered_as_json() -> None:
    assert answer(lambda event, _context: event["Records"], CALL) == Answer('[1, "\\u00e9"]', failed=False)


def test_a_handler_that_returns_nothing_answers_null() -> None:
    assert answer(lambda _event, _context: None, CALL) == Answer("null", failed=False)


def test_the_handler_gets_its_name_and_request_in_the_context() -> None:
    seen: list[Any] = []

    answer(lambda _event, context: seen.append(context), CALL)

    assert seen == [Context("process-orders", "request-1")]


def test_an_exception_is_an_answer_that_failed() -> None:
    def fail(_event: Any, _context: Any) -> None:
        raise ValueError("no address")

    said = answer(fail, CALL)
    problem = json.loads(said.body)

    assert said.failed
    assert (problem["errorType"], problem["errorMessage"], problem["requestId"]) == (
        "ValueError",
        "no address",
        "request-1",
    )
    assert "in fail" in problem["stackTrace"][-1]


def test_a_result_that_is_not_json_is_an_error_of_the_function() -> None:
    said = answer(lambda _event, _context: {1, 2}, CALL)

    assert (said.failed, json.loads(said.body)["errorType"]) == (True, "TypeError")


def test_a_call_and_an_answer_are_one_line_each_whatever_they_hold() -> None:
    lines = [Call("a.b", "f", "r", "line\nbreak\u2028").line(), Answer("line\nbreak", failed=True).line()]

    assert [(line.count(b"\n"), line[-1:]) for line in lines] == [(1, b"\n"), (1, b"\n")]


def test_a_handler_is_found_by_its_dotted_path() -> None:
    assert handler_at("outboard.demo.worker.handler_at") is handler_at
