"""Knows what a function's worker process does: a call comes in on a line, the answer goes out on a line."""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the handler at the dotted `path`, for the function `name`."""

    path: str
    name: str
    request_id: str
    payload: str

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to: the JSON of the handler's result, or of the exception it raised."""

    body: str
    failed: bool

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Context:
    """As much of Lambda's context object as the handlers may look at."""

    function_name: str
    aws_request_id: str


def answer(handler: Callable[[Any, Any], Any], call: Call) -> Answer:
    """Run one handler as Lambda's Python runtime does."""
    try:
        result = handler(json.loads(call.payload), Context(call.name, call.request_id))
        return Answer(json.dumps(result), failed=False)
    except Exception as error:  # noqa: BLE001 - whatever a user's code raises is an answer
        problem = {
            "errorMessage": str(error),
            "errorType": type(error).__name__,
            "requestId": call.request_id,
            "stackTrace": traceback.format_tb(error.__traceback__),
        }
        return Answer(json.dumps(problem), failed=True)


def handler_at(path: str) -> Callable[[Any, Any], Any]:
    """Import the handler at a dotted path."""
    module, _, name = path.rpartition(".")
    handler: Callable[[Any, Any], Any] = getattr(importlib.import_module(module), name)
    return handler


def main() -> None:
    """Answer the calls on standard input until it closes; the arguments are the handlers to import at once."""
    with os.fdopen(os.dup(1), "wb", buffering=0) as out:
        os.dup2(2, 1)  # what a handler prints must not pass for an answer
        for path in sys.argv[1:]:
            handler_at(path)
        for line in sys.stdin.buffer:
            call = Call(**json.loads(line))
            out.write(answer(handler_at(call.path), call).line())


if __name__ == "__main__":
    main()
