"""Functions that fail again and again: what a limit gives up, how batches are split, and what holds up whom."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.harness import Launcher, Running, until
from tests.e2e.streams import (
    batches,
    data_of,
    fails_at,
    number_of,
    numbers_of,
    out_of_turn,
    poisoned_by,
    stream_mapping,
    worked_off,
)
from tests.servers.kinesis_proxy import Altered, KinesisProxy
from tests.servers.queues import numbered
from tests.servers.scripted_invoke import (
    Answer,
    Invoke,
    Script,
    ScriptedInvoke,
    hangs,
    raises,
    refuses,
    succeeds,
    throttles,
)
from tests.servers.streams import Stream, Streams

pytestmark = pytest.mark.server

_FIRST = "shardId-000000000000"


async def _until_dropped(running: Running, names: Iterable[str]) -> None:
    """Wait until each of these mappings has given something up. Raises TimeoutError."""
    await until(lambda: all(running.logged("events dropped", mapping=name) for name in names), seconds=40)


async def _count(running: Running, name: str, reason: str) -> float:
    return (await running.metrics()).value("outboard_dropped_events_total", mapping=name, reason=reason)


def _at_first(times: int, answer: Answer) -> Script:
    """`answer` so often, then success."""
    return lambda invoke: answer if invoke.number <= times else succeeds()


@dataclass(frozen=True, slots=True)
class _Limited:
    """A mapping with settings that limit something, and a stream of `records` records, of which the last one succeeds.

    Attributes:
        answer: what the function says to every invoke.
        sent: the batches that it gets.
        given_up: the records that are given up, because retries are used up, after so many `invokes`.
    """

    answer: Script
    fields: Mapping[str, object]
    sent: Sequence[Sequence[int]]
    given_up: tuple[int, ...] = ()
    invokes: int = 0
    records: int = 4


_BATCH = [0, 1, 2]
_BISECT = {"BisectBatchOnFunctionError": True, "BatchSize": 100}


def _of_three(attempts: int, answer: Script) -> _Limited:
    """The first batch, of three records, fails whenever it is sent: N retries are N + 1 invokes."""

    def failing(invoke: Invoke) -> Answer:
        return answer(invoke) if numbers_of(invoke) == _BATCH else succeeds()

    sent = [_BATCH] * (attempts + 1) + [[3]]
    return _Limited(failing, {"MaximumRetryAttempts": attempts}, sent, (0, 1, 2), attempts + 1)


_LIMITED = {
    "no-retry": _of_three(0, lambda _: raises("Boom", "scripted")),
    "raising": _of_three(2, lambda _: raises("Boom", "scripted")),
    "reporting-the-first": _of_three(2, lambda invoke: fails_at(invoke, _BATCH)),
    "timing-out": _of_three(1, lambda _: hangs()),
    "nonsense": _of_three(1, lambda _: succeeds(b"{not json")),
    "progress-counts-anew": _Limited(
        lambda invoke: fails_at(invoke, [5]),
        {"MaximumRetryAttempts": 3},
        [[0, 1, 2], [3, 4, 5], *[[5]] * 4, [6]],
        given_up=(5,),
        invokes=4,
        records=7,
    ),
    "throttled-is-no-attempt": _Limited(_at_first(3, throttles()), {"MaximumRetryAttempts": 0}, [*[_BATCH] * 4, [3]]),
    "refused-is-no-attempt": _Limited(
        _at_first(2, refuses(500, "ServiceException")), {"MaximumRetryAttempts": 0}, [*[_BATCH] * 3, [3]]
    ),
    "denied-is-no-attempt": _Limited(
        _at_first(2, refuses(403, "AccessDeniedException")), {"MaximumRetryAttempts": 0}, [*[_BATCH] * 3, [3]]
    ),
    "no-limit": _Limited(_at_first(3, raises()), {"MaximumRetryAttempts": -1}, [*[_BATCH] * 4, [3]]),
    "bisecting": _Limited(
        lambda invoke: poisoned_by(invoke, [2], raises()),
        {**_BISECT, "MaximumRetryAttempts": 1},
        [[0, 1, 2, 3], [0, 1], [2, 3], [2], [2], [3]],
        given_up=(2,),
        invokes=2,
    ),
    "bisecting-where-it-is-told-to": _Limited(
        lambda invoke: fails_at(invoke, [2]),
        {**_BISECT, "MaximumRetryAttempts": 0},
        [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5], [2, 3], [2], [3], [4, 5]],
        given_up=(2,),
        invokes=1,
        records=6,
    ),
    "too-large-for-lambda": _Limited(
        lambda invoke: refuses(413, "RequestTooLargeException") if len(invoke.records) > 1 else succeeds(),
        {"MaximumRetryAttempts": 0, "BatchSize": 100},
        [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3], [2], [3]],
    ),
}


async def test_what_is_sent_how_often_and_what_is_given_up(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    made = dict(zip(_LIMITED, await streams.several(len(_LIMITED)), strict=True))
    for name, row in _LIMITED.items():
        functions.script(name, row.answer)
        await made[name].put(numbered(range(row.records)))

    running = await outboard.run([
        stream_mapping(made[name], functions.url, name=name, **{"BatchSize": 3, "InvokeTimeoutSeconds": 1, **row.fields})
        for name, row in _LIMITED.items()
    ])  # fmt: skip
    await functions.until(
        lambda: all(worked_off(functions.of(name))[row.records - 1] for name, row in _LIMITED.items()), seconds=80
    )
    await _until_dropped(running, [name for name, row in _LIMITED.items() if row.given_up])
    metrics = await running.metrics()

    assert {name: batches(functions.of(name)) for name in _LIMITED} == {
        name: row.sent for name, row in _LIMITED.items()
    }
    for name, row in _LIMITED.items():
        lines = running.logged("events dropped", mapping=name)
        seen = [tuple(line[key] for key in ("events", "reason", "invokes", "positions", "shard")) for line in lines]
        positions = ", ".join(str(made[name].puts[number].sequence) for number in row.given_up)
        expected = (len(row.given_up), "retry_attempts_exhausted", row.invokes, positions, _FIRST)
        assert seen == ([expected] if row.given_up else []), name
        assert metrics.value("outboard_dropped_events_total", mapping=name) == len(row.given_up), name
    assert metrics.value("outboard_batch_bisections_total", mapping="bisecting") == 2
    assert "Boom" in json.dumps(running.logged("events dropped", mapping="raising"))


async def test_between_two_attempts_it_waits_longer_each_time(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create()
    functions.script("orders", _at_first(2, raises()))
    await stream.put(numbered(range(3)))

    await outboard.run([stream_mapping(stream, functions.url)])
    await functions.until(lambda: len(functions.invokes) == 3)

    times = [invoke.started for invoke in functions.invokes]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(wait >= least for wait, least in zip(waits, (0.5, 1.0), strict=True)), waits


async def test_of_a_batch_only_the_head_that_is_too_old_is_given_up(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create()
    await stream.put(numbered(range(6)))

    def age(answer: dict[str, Any]) -> None:
        answer["Records"][0]["ApproximateArrivalTimestamp"] -= 100

    proxy.script("GetRecords", lambda call: Altered(age) if call.number == 1 else None)

    entry = stream_mapping(stream, functions.url, MaximumRecordAgeInSeconds=60, SourceEndpointUrl=proxy.url)
    running = await outboard.run([entry])
    await functions.until(lambda: len(worked_off(functions.invokes)) == 5)

    (line,) = running.logged("events dropped")
    assert batches(functions.invokes) == [[1, 2, 3, 4, 5]]
    assert (line["events"], line["reason"], line["positions"]) == (
        1,
        "record_age_exceeded",
        str(stream.puts[0].sequence),
    )
    assert await _count(running, "orders", "record_age_exceeded") == 1


async def test_a_batch_that_keeps_failing_is_given_up_when_it_is_too_old(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create()
    await stream.put(numbered(range(4)))

    def age(answer: dict[str, Any]) -> None:
        for record in answer["Records"][:3]:
            record["ApproximateArrivalTimestamp"] = time.time() - 56

    proxy.script("GetRecords", Altered(age))
    functions.script("orders", lambda invoke: poisoned_by(invoke, range(3), raises()))

    limits = {"BatchSize": 3, "MaximumRecordAgeInSeconds": 60}
    running = await outboard.run([stream_mapping(stream, functions.url, SourceEndpointUrl=proxy.url, **limits)])
    await functions.until(lambda: worked_off(functions.invokes)[3] == 1)

    (line,) = running.logged("events dropped")
    assert batches(functions.invokes) == [[0, 1, 2]] * line["invokes"] + [[3]]
    assert line["invokes"] > 1
    assert (line["events"], line["reason"]) == (3, "record_age_exceeded")


async def test_a_record_that_no_invoke_can_carry_is_given_up_and_those_around_it_are_not(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke, proxy: KinesisProxy
) -> None:
    stream = await streams.create()
    await stream.put(numbered(range(5)))
    giant = str(stream.puts[2].sequence)

    def swell(answer: dict[str, Any]) -> None:
        for record in answer["Records"]:
            if record["SequenceNumber"] == giant:
                record["Data"] = "QUFB" * 1_600_000

    proxy.script("GetRecords", Altered(swell))
    running = await outboard.run([stream_mapping(stream, functions.url, SourceEndpointUrl=proxy.url)])
    await functions.until(lambda: worked_off(functions.invokes) == Counter([0, 1, 3, 4]))
    await _until_dropped(running, ["orders"])

    (line,) = running.logged("events dropped")
    assert (line["events"], line["reason"], line["positions"]) == (1, "payload_too_large", giant)
    assert await _count(running, "orders", "payload_too_large") == 1


_ROUNDS = 12
_PAUSE = 0.25  #: seconds between two records to each good shard


async def _steadily(stream: Stream, shards: Sequence[Any]) -> None:
    for number in range(_ROUNDS):
        for index, shard in enumerate(shards):
            await stream.put(numbered([100 * (index + 1) + number], at=time.time()), shard=shard)
        await asyncio.sleep(_PAUSE)


async def test_one_poisoned_shard_of_four_holds_up_nobody_else_and_is_plain_to_see(
    outboard: Launcher, streams: Streams, functions: ScriptedInvoke
) -> None:
    stream = await streams.create(4)
    poisoned, *good = await stream.shards()
    functions.script("orders", lambda invoke: poisoned_by(invoke, [1], raises("PoisonError", "cannot be digested")))
    await stream.put(numbered(range(5)), shard=poisoned)

    running = await outboard.run([stream_mapping(stream, functions.url, BatchSize=3)])
    await _steadily(stream, good)
    healthy = {100 * (index + 1) + number for index in range(3) for number in range(_ROUNDS)}
    await functions.until(lambda: set(worked_off(functions.invokes)) == healthy)
    shown = await running.until_state("orders", "blocked")
    metrics = await running.metrics()
    functions.script("orders", succeeds())
    await functions.until(lambda: len(worked_off(functions.invokes)) == len(healthy) + 5, seconds=60)
    after = await running.until_state("orders", "Enabled")

    reason = shown["stateReason"]
    assert all(word in reason for word in (poisoned.identifier, "PoisonError", "cannot be digested", "since"))
    assert str(stream.puts[0].sequence) in reason
    assert shown["lastError"]["type"] == "PoisonError"
    assert metrics.value("outboard_mapping_state", mapping="orders", state="blocked") == 1
    assert [line for line in running.log.splitlines() if "PoisonError" in line and poisoned.identifier in line]
    assert (after["stateReason"], after["lastError"]) == ("", None)
    assert max(_seconds_on_the_way(functions)) < 5
    assert await out_of_turn(stream, functions.invokes) == []


def _seconds_on_the_way(functions: ScriptedInvoke) -> list[float]:
    """From putting a record of a good shard to its invoke."""
    return [
        invoke.started - json.loads(data_of(record))["at"]
        for invoke in functions.invokes
        for record in invoke.records
        if number_of(record) >= 100
    ]
