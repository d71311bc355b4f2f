"""A queue, the service and a real function: what was sent is worked off, in the ways that AWS would do it."""

import json
import signal
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Launcher, mapping
from tests.servers.queues import Queues, numbered
from tests.servers.runtime_front import runtime_front
from tests.servers.scripted_invoke import ScriptedInvoke, succeeds

pytestmark = pytest.mark.server

_STANDARD = "tests.servers.handlers.standard.handler"
_FIFO = "tests.servers.handlers.fifo.handler"


def _done(ledger: Path) -> list[dict[str, Any]]:
    """What the functions wrote down, in order."""
    return [json.loads(line) for line in ledger.read_text().splitlines()]


async def test_a_powertools_function_works_off_a_queue(outboard: Launcher, queues: Queues, tmp_path: Path) -> None:
    queue, ledger = await queues.create(visibility=2), tmp_path / "ledger"
    await queue.send([*numbered(range(80)), *numbered(range(80, 100), fail_times=1)])

    async with runtime_front(_STANDARD, tmp_path, runtimes=2, environment={"LEDGER": str(ledger)}) as functions:
        running = await outboard.run([mapping(queue, functions, ScalingConfig={"MaximumConcurrency": 2})])
        await queue.until_empty()
        metrics, shown = await running.metrics(), (await running.mappings())["orders"]
        running.send_signal(signal.SIGTERM)
        code = await running.ended(25)

    succeeded = Counter(line["n"] for line in _done(ledger) if not line["failed"])
    failed = Counter(line["n"] for line in _done(ledger) if line["failed"])
    assert succeeded == Counter(range(100))
    assert failed == Counter(range(80, 100))
    assert metrics.value("outboard_delivered_events_total", mapping="orders") == 100
    assert metrics.value("outboard_deleted_events_total", mapping="orders") == 100
    assert metrics.value("outboard_returned_events_total", mapping="orders") == 20
    assert shown["state"] == "Enabled"
    assert code == 0


async def test_fifo_groups_are_worked_off_in_order_past_failures(
    outboard: Launcher, queues: Queues, tmp_path: Path
) -> None:
    queue, ledger = await queues.create(fifo=True, visibility=2), tmp_path / "ledger"
    for group in "abcd":
        bodies = [*numbered(range(9), group=group), *numbered([9], group=group, fail_times=1)]
        await queue.send([*bodies, *numbered(range(10, 20), group=group)], group=group)

    async with runtime_front(_FIFO, tmp_path, runtimes=3, environment={"LEDGER": str(ledger)}) as functions:
        await outboard.run([mapping(queue, functions)])
        await queue.until_empty(seconds=60)

    order: dict[str, list[int]] = defaultdict(list)
    for line in _done(ledger):
        if not line["failed"]:
            order[line["group"]].append(line["n"])
    assert order == {group: list(range(20)) for group in "abcd"}


async def test_the_function_gets_the_event_that_aws_would_send(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create()
    body = '{"a" : 1,  "text":"h\u00e9 \u2028 \\u0001"}'
    attribute = {"Title": {"DataType": "String", "StringValue": "The Whistler"}}
    await queue.send_entries([{"MessageBody": body, "MessageAttributes": attribute}])

    await outboard.run([mapping(queue, functions.url, FunctionName="orders:live")])
    await functions.until(lambda: len(functions.invokes) == 1)

    invoke = functions.invokes[0]
    record = invoke.records[0]
    assert (invoke.function, invoke.qualifier) == ("orders", "live")
    assert list(record) == [
        "messageId",
        "receiptHandle",
        "body",
        "attributes",
        "messageAttributes",
        "md5OfMessageAttributes",
        "md5OfBody",
        "eventSource",
        "eventSourceARN",
        "awsRegion",
    ]
    assert (record["body"], record["eventSourceARN"], record["awsRegion"]) == (body, queue.arn, "eu-west-1")
    assert record["messageAttributes"] == {
        "Title": {"stringValue": "The Whistler", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
    }


async def test_a_window_gathers_more_than_one_receive_holds(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create()
    await queue.send(numbered(range(35)))

    await outboard.run([
        mapping(queue, functions.url, BatchSize=100, MaximumBatchingWindowInSeconds=2, MaximumConcurrency=1)
    ])  # fmt: skip
    await queue.until_empty()

    assert [len(invoke.records) for invoke in functions.invokes] == [35]


async def test_never_more_invokes_at_once_than_allowed(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue, most = await queues.create(), 0

    def busy(_: object) -> Any:
        nonlocal most
        most = max(most, functions.in_flight())
        return succeeds(delay=0.05)

    functions.script("orders", busy)
    await queue.send(numbered(range(200)))

    await outboard.run([mapping(queue, functions.url, ScalingConfig={"MaximumConcurrency": 3})])
    await queue.until_empty()

    assert most == 3
