"""Every form of a function's answer, end to end: what is deleted from the queue, and what comes again."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from tests.e2e.harness import Launcher, mapping
from tests.servers.queues import Queue, Queues, numbered
from tests.servers.scripted_invoke import Answer, Invoke, Script, ScriptedInvoke, raises, succeeds

pytestmark = pytest.mark.server

NONE: tuple[int, ...] = ()
ALL = (0, 1, 2)


def _says(text: str) -> Script:
    """The same body, whatever was sent."""
    return lambda _: succeeds(text.encode())


def _lists(*identifiers: object) -> Script:
    """Items with these identifiers; a number stands for the message of that number."""

    def answer(invoke: Invoke) -> Answer:
        ids = {json.loads(record["body"])["n"]: record["messageId"] for record in invoke.records}
        named = [ids[each] if isinstance(each, int) else each for each in identifiers]
        return succeeds(json.dumps({"batchItemFailures": [{"itemIdentifier": each} for each in named]}).encode())

    return answer


def _with_wrong_key(invoke: Invoke) -> Answer:
    return succeeds(json.dumps({"batchItemFailures": [{"itemId": invoke.message_ids[0]}]}).encode())


#: What the function answers to a batch of three messages, and which of them come again.
REPORTING: Sequence[tuple[str, Script, tuple[int, ...]]] = (
    ("null", _says("null"), NONE),
    ("an empty string", _says('""'), NONE),
    ("an empty body", _says(""), NONE),
    ("an empty object", _says("{}"), NONE),
    ("an empty list", _says("[]"), NONE),
    ("no failures", _says('{"batchItemFailures":[]}'), NONE),
    ("failures null", _says('{"batchItemFailures":null}'), NONE),
    ("other keys only", _says('{"statusCode":200}'), NONE),
    ("one listed", _lists(1), (1,)),
    ("two listed", _lists(2, 0), (0, 2)),
    ("one listed twice", _lists(1, 1), (1,)),
    ("all listed", _lists(0, 1, 2), ALL),
    ("an unknown id", _lists("6f0c1b8e-0000-4000-8000-000000000000"), ALL),
    ("a known and an unknown id", _lists(1, "6f0c1b8e-0000-4000-8000-000000000000"), ALL),
    ("an empty id", _lists(""), ALL),
    ("a null id", _lists(None), ALL),
    ("a numeric id", _says('{"batchItemFailures":[{"itemIdentifier":123}]}'), ALL),
    ("a wrong key", _with_wrong_key, ALL),
    ("an unrelated key", _says('{"batchItemFailures":[{"foo":"x"}]}'), ALL),
    ("an unrelated key, null", _says('{"batchItemFailures":[{"foo":null}]}'), ALL),
    ("items that are strings", _says('{"batchItemFailures":["x"]}'), ALL),
    ("items that are null", _says('{"batchItemFailures":[null]}'), ALL),
    ("failures not a list", _says('{"batchItemFailures":"x"}'), ALL),
    ("a bare string", _says('"done"'), ALL),
    ("a number", _says("5"), ALL),
    ("true", _says("true"), ALL),
    ("a list", _says('["x"]'), ALL),
    ("not JSON", _says("{not json"), ALL),
    ("an exception", lambda _: raises(), ALL),
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
    queue: Queue
    answer: Script
    again: tuple[int, ...]


def _first_time(answer: Script) -> Callable[[Invoke], Answer]:
    """Answer a full batch as scripted; whatever comes after it succeeds."""
    return lambda invoke: answer(invoke) if invoke.number == 1 else succeeds()


def _came_again(invokes: Sequence[Invoke]) -> tuple[int, ...]:
    return tuple(sorted(json.loads(body)["n"] for invoke in invokes[1:] for body in invoke.bodies))


@pytest.mark.parametrize(
    ("rows", "types"), [(REPORTING, ["ReportBatchItemFailures"]), (NOT_REPORTING, [])], ids=["reporting", "not"]
)
async def test_each_answer_settles_and_returns_what_it_should(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke, rows: Sequence[tuple[str, Script, tuple[int, ...]]], types: list[str]
) -> None:  # fmt: skip
    table = [
        _Row(name, f"row-{index}", await queues.create(visibility=1), answer, again)
        for index, (name, answer, again) in enumerate(rows)
    ]
    for row in table:
        functions.script(row.function, _first_time(row.answer))
        await row.queue.send(numbered(ALL))

    await outboard.run([
        mapping(row.queue, functions.url, name=row.function, FunctionResponseTypes=types, MaximumConcurrency=1)
        for row in table
    ])  # fmt: skip
    async with asyncio.TaskGroup() as group:
        for row in table:
            group.create_task(row.queue.until_empty(), name=row.name)

    assert [len(functions.of(row.function)[0].records) for row in table] == [3] * len(table)
    assert {row.name: _came_again(functions.of(row.function)) for row in table} == {
        row.name: row.again for row in table
    }


async def test_a_listed_fifo_message_and_all_after_it_come_again_in_order(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create(fifo=True, visibility=1)
    functions.script("orders", _first_time(_lists(2, 3)))
    await queue.send(numbered(range(4)), group="g")

    await outboard.run([mapping(queue, functions.url)])
    await queue.until_empty()

    seen = [[json.loads(body)["n"] for body in invoke.bodies] for invoke in functions.invokes]
    assert seen == [[0, 1, 2, 3], [2, 3]]


async def test_a_message_that_keeps_failing_goes_to_the_queues_own_dead_letter_queue(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    dead = await queues.create()
    queue = await queues.create(visibility=1, redrive_to=dead, attempts=2)
    functions.script("orders", raises())
    await queue.send(["poison"])

    await outboard.run([mapping(queue, functions.url)])
    await functions.until(lambda: len(functions.invokes) == 2)
    await queue.until_empty()
    letters = await dead.receive(wait=2)

    assert [letter["Body"] for letter in letters] == ["poison"]
    assert {record["messageId"] for invoke in functions.invokes for record in invoke.records} == {
        letters[0]["MessageId"]
    }
    counts = [record["attributes"]["ApproximateReceiveCount"] for each in functions.invokes for record in each.records]
    assert counts == ["1", "2"]
