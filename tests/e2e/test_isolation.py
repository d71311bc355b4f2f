"""Of twenty mappings four are in trouble, each in its own way: the others keep pace, and the four recover by themselves."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from tests.e2e.harness import Launcher, Running, mapping, worked_off
from tests.servers.elasticmq import ACCOUNT, REGION
from tests.servers.queues import Queue, Queues, numbered
from tests.servers.scripted_invoke import Invoke, ScriptedInvoke, hangs, raises, scripted_invoke, succeeds
from tests.servers.tools import free_port

pytestmark = pytest.mark.server

_GOOD = tuple(f"good-{number}" for number in range(16))
_ROUNDS = 24
_PAUSE = 0.5  #: seconds between two messages to one good mapping
_BAD_MESSAGES = range(30)

#: What each bad mapping must show: a word of its last error, and the metric and label that count it.
_SIGNS = {
    "hangs": (r"timed? ?out", "outboard_invoke_errors_total", "timeout"),
    "raises": (r"ValueError", "outboard_invoke_errors_total", "function_error"),
    "no-queue": (r"does not exist", "outboard_polling_errors_total", "not_found"),
    "no-endpoint": (r"connect", "outboard_invoke_errors_total", "unreachable"),
}


async def _steady_load(queues: Sequence[Queue]) -> None:
    for number in range(_ROUNDS):
        for queue in queues:
            await queue.send([json.dumps({"n": number, "at": time.time()})])
        await asyncio.sleep(_PAUSE)


async def _deepest(queues: Sequence[Queue], load: asyncio.Task[None]) -> int:
    """The most messages that any of `queues` was seen to hold while `load` ran."""
    deepest = 0
    while not load.done():
        for queue in queues:
            deepest = max(deepest, (await queue.depth()).total)
        await asyncio.sleep(0.2)
    return deepest


def _latencies(invokes: Sequence[Invoke]) -> list[float]:
    """Seconds from sending to arrival at the function, ascending."""
    return sorted(invoke.started - json.loads(body)["at"] for invoke in invokes for body in invoke.bodies)


async def _shown(running: Running) -> Mapping[str, str]:
    """The last error of each bad mapping as `/mappings` shows it."""
    mappings = await running.mappings()
    return {name: json.dumps(mappings[name]["lastError"]) for name in _SIGNS}


async def _assert_each_bad_one_says_why(running: Running) -> None:
    shown, metrics = await _shown(running), await running.metrics()
    for name, (word, metric, error) in _SIGNS.items():
        log = [line for line in running.log.splitlines() if json.loads(line).get("mapping") == name]
        assert re.search(word, shown[name], re.IGNORECASE), f"{name}: {shown[name]}"
        assert metrics.value(metric, mapping=name, error=error) > 0
        assert [line for line in log if re.search(word, line, re.IGNORECASE)], f"{name} is not in the log"


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_four_bad_mappings_of_twenty_disturb_nobody_and_recover(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    good = {name: await queues.create() for name in _GOOD}
    bad = {name: await queues.create(visibility=3) for name in ("hangs", "raises", "no-endpoint")}
    absent = f"absent-{free_port()}"
    port = free_port()
    for queue in bad.values():
        await queue.send(numbered(_BAD_MESSAGES))
    for name in _GOOD:
        functions.script(name, succeeds(delay=0.02))
    functions.script("hangs", hangs())
    functions.script("raises", raises("ValueError", "scripted"))
    down = f"http://127.0.0.1:{port}"
    missing = {"EventSourceArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{absent}"}
    running = await outboard.run([
        *[mapping(queue, functions.url, name=name) for name, queue in good.items()],
        mapping(bad["hangs"], functions.url, name="hangs", InvokeTimeoutSeconds=4),
        mapping(bad["raises"], functions.url, name="raises"),
        mapping(bad["raises"], functions.url, name="no-queue", **missing),
        mapping(bad["no-endpoint"], down, name="no-endpoint"),
    ])  # fmt: skip

    async with asyncio.TaskGroup() as group:
        load = group.create_task(_steady_load(list(good.values())), name="load")
        deepest = await _deepest(list(good.values()), load)
    for queue in good.values():
        await queue.until_empty(seconds=5)

    latencies = _latencies([invoke for name in _GOOD for invoke in functions.of(name)])
    assert {name: worked_off(functions.of(name)) for name in _GOOD} == {name: Counter(range(_ROUNDS)) for name in _GOOD}
    assert latencies[int(len(latencies) * 0.99)] < 0.5
    assert deepest <= 5
    await _assert_each_bad_one_says_why(running)

    functions.script("hangs", succeeds())
    functions.script("raises", succeeds())
    came = await queues.create(name=absent)
    await came.send(numbered(_BAD_MESSAGES))
    async with scripted_invoke(port) as late:
        for queue in (*bad.values(), came):
            await queue.until_empty(seconds=90)
        recovered = [*late.of("no-endpoint"), *(each for name in _SIGNS for each in functions.of(name))]
        shown = await running.mappings()

    assert set(worked_off(recovered)) == set(_BAD_MESSAGES)
    assert {name: shown[name]["state"] for name in _SIGNS} == dict.fromkeys(_SIGNS, "Enabled")
    assert {name: shown[name]["lastError"] for name in _SIGNS} == dict.fromkeys(_SIGNS)
