"""Every form of a function's answer to a stream's batch, end to end: what is done by it, and what comes again."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.harness import Launcher
from tests.e2e.streams import batches, number_of, numbers_of, sequence_of, stream_mapping
from tests.servers.kinesis_proxy import Altered, KinesisProxy
from tests.servers.queues import numbered
from tests.servers.scripted_invoke import (
    Answer,
    Invoke,
    Script,
    ScriptedInvoke,
    raises,
    refuses,
    resets,
    succeeds,
    throttles,
)
from tests.servers.streams import Stream, Streams

pytestmark = pytest.mark.server

NONE: tuple[int, ...] = ()
ALL = (0, 1, 2)


def _says(text: str) -> Script:
    """The same body, whatever was sent."""
    return lambda _: succeeds(text.encode())


def _lists(*identifiers: object) -> Script:
    """Items with these identifiers; a number below 100 stands for the record of that number."""

    def answer(invoke: Invoke) -> Answer:
        ids = {number_of(record): sequence_of(record) for record in invoke.records}
        named = [ids.get(each, each) if isinstance(each, int) else each for each in identifiers]
        return succeeds(json.dumps({"batchItemFailures": [{"itemIdentifier": each} for each in named]}).encode())

    return answer


def _with_wrong_key(invoke: Invoke) -> Answer:
    return succeeds(json.dumps({"batchItemFailures": [{"itemId": sequence_of(invoke.records[0])}]}).encode())


def _as_a_number(invoke: Invoke) -> Answer:
    return succeeds(b'{"batchItemFailures":[{"itemIdentifier":%s}]}' % sequence_of(invoke.records[1]).encode())


_NOBODY = "49600000000000000000000000000000000000000000000000000000"

#: What the function answers to a batch of three records, and which of them come again.
REPORTING: Sequence[tuple[str, Script, tuple[int, ...]]] = (
    ("null", _says("null"), NONE),
    ("an empty string", _says('""'), NONE),
    ("an empty body", _says(""), NONE),
    ("an empty object", _says("{}"), NONE),
    ("an empty list", _says("[]"), NONE),
    ("no failures", _says('{"batchItemFailures":[]}'), NONE),
    ("failures null", _says('{"batchItemFailures":null}'), NONE),
    ("other keys only", _says('{"statusCode":200}'), NONE),
    ("the last one listed", _lists(2), (2,)),
    ("one listed", _lists(1), (1, 2)),
    ("two listed, the lowest last", _lists(2, 1), (1, 2)),
    ("one listed twice", _lists(1, 1), (1, 2)),
    ("the first listed", _lists(0), ALL),
    ("an unknown id", _lists(_NOBODY), ALL),
    ("a known and an unknown id", _lists(1, _NOBODY), ALL),
    ("an empty id", _lists(""), ALL),
    ("a null id", _lists(None), ALL),
    ("a numeric id that is in no batch", _lists(123), ALL),
    ("a sequence number that is no string", _as_a_number, ALL),
    ("a wrong key", _with_wrong_key, ALL),
    ("an unrelated key", _says('{"batchItemFailures":[{"foo":"x"}]}'), ALL),
    ("an unrelated key, null", _says('{"batchItemFailures":[{"foo":null}]}'), ALL),
    ("items that are strings", _says('{"batchItemFailures":["x"]}'), ALL),
    ("items that are null", _says('{"batchItemFailures":[null]}'), ALL),
    ("failures not a list", _says('{"batchItemFailures":"x"}'), ALL),
    ("a bare string", _says('"done"'), ALL),
    ("a number", _says("5"), ALL),
    ("a list", _says('["x"]'), ALL),
    ("not JSON", _says("{not json"), ALL),
    ("an exception", lambda _: raises(), ALL),
    ("a throttle", lambda _: throttles(), ALL),
    ("a service error", lambda _: refuses(500, "ServiceException"), ALL),
    ("a lost answer", lambda _: resets(worked=True), ALL),
)

#: The same without ReportBatchItemFailures: the body is of no interest.
NOT_REPORTING: Sequence[tuple[str, Script, tuple[int, ...]]] = (
    ("one listed", _lists(1), NONE),
    ("an unknown id", _lists("nobody"), NONE),
    ("not JSON", _says("{not json"), NONE),
    ("an empty body", _says(""), NONE),
    ("an exception", lambda _: raises(), ALL),
)


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    function: str
    stream: Stream
    answer: Script
    again: tuple[int, ...]


def _first_time(answer: Script) -> Callable[[Invoke], Answer]:
    """Answer the first invoke as scripted; whatever comes after it succeeds."""
    return lambda invoke: answer(invoke) if invoke.number == 1 else succeeds()


@pytest.mark.parametrize(
    ("rows", "types"), [(REPORTING, ["ReportBatchItemFailures"]), (NOT_REPORTING, [])], ids=["reporting", "not"]
)
async def test_each_answer_settles_what_it_should_and_the_rest_comes_again(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, rows: Sequence[tuple[str, Script, tuple[int, ...]]], types: list[str]
) -> None:  # fmt: skip
    table = [
        _Row(name, f"row-{index}", stream, answer, again)
        for index, (stream, (name, answer, again)) in enumerate(
            zip(await streams.several(len(rows)), rows, strict=True)
        )
    ]
    for row in table:
        functions.script(row.function, _first_time(row.answer))
        await row.stream.put(numbered(range(4)))

    await outboard.run([
        stream_mapping(row.stream, functions.url, name=row.function, FunctionResponseTypes=types, BatchSize=3)
        for row in table
    ])  # fmt: skip
    await functions.until(lambda: all(_has_ended(functions, row) for row in table), seconds=60)

    seen = {row.name: batches(functions.of(row.function)) for row in table}
    assert seen == {row.name: [list(ALL), *([list(row.again)] if row.again else []), [3]] for row in table}


def _has_ended(functions: ScriptedInvoke, row: _Row) -> bool:
    """Whether the record behind the batch was sent, which is when all of the batch is done."""
    invokes = functions.of(row.function)
    return bool(invokes) and numbers_of(invokes[-1]) == [3]


async def test_sequence_numbers_are_compared_as_numbers(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create()
    await stream.put(numbered(range(5)))

    def shorten(answer: dict[str, Any]) -> None:
        for record, number in zip(answer["Records"], range(8, 13), strict=False):
            record["SequenceNumber"] = str(number)

    proxy.script("GetRecords", Altered(shorten))
    functions.script(
        "orders", _first_time(_says('{"batchItemFailures":[{"itemIdentifier":"10"},{"itemIdentifier":"9"}]}'))
    )
    await outboard.run([stream_mapping(stream, functions.url, SourceEndpointUrl=proxy.url)])
    await functions.until(lambda: len(functions.invokes) == 2)

    assert batches(functions.invokes) == [[0, 1, 2, 3, 4], [1, 2, 3, 4]]
