"""Queues, streams and topics in one process, seven of twenty-two in trouble: the others keep pace, and all recover."""

import asyncio
import base64
import json
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from tests.e2e import streams as stream_facts
from tests.e2e import topics as topic_facts
from tests.e2e.harness import Launcher, Running, mapping, until
from tests.servers.elasticmq import ACCOUNT, REGION
from tests.servers.queues import Queues
from tests.servers.scripted_invoke import Invoke, ScriptedInvoke, hangs, raises, scripted_invoke, succeeds
from tests.servers.streams import Streams
from tests.servers.tools import free_port
from tests.servers.topics import Topic, Topics

pytestmark = pytest.mark.server

_OF_EACH_KIND = 5
_ROUNDS = 24
_PAUSE = 0.5  #: seconds between two records to one good mapping
_BAD_RECORDS = range(20)

#: Seconds from sending to arrival, in 99 of 100: an idle shard is looked at once a second.
_PACE = {"queue": 0.5, "stream": 1.8, "topic": 0.6}

#: What each bad mapping must show: a word of its last error, and the metric and label that count it.
_SIGNS = {
    "queue-hangs": (r"timed? ?out", "outboard_invoke_errors_total", "timeout"),
    "topic-hangs": (r"timed? ?out", "outboard_invoke_errors_total", "timeout"),
    "stream-raises": (r"ValueError", "outboard_invoke_errors_total", "function_error"),
    "queue-absent": (r"does not exist", "outboard_polling_errors_total", "not_found"),
    "stream-absent": (r"does not exist", "outboard_polling_errors_total", "not_found"),
    "topic-absent": (r"there is no topic", "outboard_polling_errors_total", "not_found"),
    "no-endpoint": (r"connect", "outboard_invoke_errors_total", "unreachable"),
}

Send = Callable[[list[str]], Awaitable[object]]


@dataclass(slots=True)
class Sources:
    """What there is to read from: how to send to each mapping's source, and the mappings' entries."""

    queues: Queues
    streams: Streams
    topics: Topics
    functions: str
    sends: dict[str, Send] = field(default_factory=dict)
    entries: list[Mapping[str, object]] = field(default_factory=list)

    async def queue(self, name: str, functions: str | None = None, **fields: object) -> None:
        queue = await self.queues.create(visibility=3)
        self.sends[name] = queue.send
        self.entries.append(mapping(queue, functions or self.functions, name=name, **fields))

    async def stream(self, name: str, *, exists: bool = True) -> None:
        stream = await self.streams.create() if exists else self.streams.planned()

        async def send(bodies: list[str]) -> None:
            if name not in created:
                created.add(name)
                await stream.create()
            await stream.put(bodies)

        created = {name} if exists else set()
        self.sends[name] = send
        self.entries.append(stream_facts.stream_mapping(stream, self.functions, name=name))

    async def topic(self, name: str, *, exists: bool = True, **fields: object) -> None:
        topic = await self.topics.create() if exists else Topic(f"absent-{free_port()}", self.topics.bootstrap)

        async def send(bodies: list[str]) -> None:
            if name not in created:
                created.add(name)
                await self.topics.create(name=topic.name)
            await self.topics.put(topic, [body.encode() for body in bodies])

        created = {name} if exists else set()
        self.sends[name] = send
        entry = topic_facts.topic_mapping(topic, self.functions, name=name, MaximumBatchingWindowInSeconds=0, **fields)
        self.entries.append(entry)

    async def absent_queue(self, name: str) -> None:
        await self.queue(name)
        absent = f"absent-{free_port()}"
        self.entries[-1] = {**self.entries[-1], "EventSourceArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{absent}"}

        async def send(bodies: list[str]) -> None:
            await (await self.queues.create(name=absent)).send(bodies)

        self.sends[name] = send


def _bodies(invoke: Invoke) -> Iterator[dict[str, float]]:
    """What was sent, whatever the kind of source."""
    event = invoke.event
    records = event.get("records", {"": event.get("Records")})
    for record in (each for part in records.values() for each in part):
        match record:
            case {"body": body}:
                yield json.loads(body)
            case {"kinesis": {"data": data}} | {"value": data}:
                yield json.loads(base64.b64decode(data))


def _latencies(invokes: list[Invoke]) -> list[float]:
    return sorted(invoke.started - body["at"] for invoke in invokes for body in _bodies(invoke))


def _numbers(invokes: list[Invoke]) -> Counter[int]:
    return Counter(int(body["n"]) for invoke in invokes for body in _bodies(invoke))


async def _steady_load(sources: Sources, good: list[str]) -> None:
    for number in range(_ROUNDS):
        for name in good:
            await sources.sends[name]([json.dumps({"n": number, "at": time.time()})])
        await asyncio.sleep(_PAUSE)


async def _assert_each_bad_one_says_why(running: Running) -> None:
    shown, metrics = await running.mappings(), await running.metrics()
    for name, (word, metric, error) in _SIGNS.items():
        last = json.dumps(shown[name]["lastError"])
        log = [line for line in running.log.splitlines() if json.loads(line).get("mapping") == name]
        assert re.search(word, last, re.IGNORECASE), f"{name}: {last}"
        assert metrics.value(metric, mapping=name, error=error) > 0, name
        assert [line for line in log if re.search(word, line, re.IGNORECASE)], f"{name} is not in the log"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_seven_bad_mappings_of_three_kinds_disturb_nobody_and_recover(
    outboard: Launcher, queues: Queues, streams: Streams, topics: Topics, functions: ScriptedInvoke
) -> None:
    sources, port = Sources(queues, streams, topics, functions.url), free_port()
    for number in range(_OF_EACH_KIND):
        await sources.queue(f"queue-{number}")
        await sources.stream(f"stream-{number}")
        await sources.topic(f"topic-{number}")
    good = list(sources.sends)
    await sources.queue("queue-hangs", InvokeTimeoutSeconds=4)
    await sources.topic("topic-hangs", InvokeTimeoutSeconds=4)
    await sources.stream("stream-raises")
    await sources.queue("no-endpoint", f"http://127.0.0.1:{port}")
    bad = [json.dumps({"n": number, "at": time.time()}) for number in _BAD_RECORDS]
    for name in sources.sends.keys() - set(good):
        await sources.sends[name](bad)
    await sources.absent_queue("queue-absent")
    await sources.stream("stream-absent", exists=False)
    await sources.topic("topic-absent", exists=False)
    for name in good:
        functions.script(name, succeeds(delay=0.02))
    for name in ("queue-hangs", "topic-hangs"):
        functions.script(name, hangs())
    functions.script("stream-raises", raises("ValueError", "scripted"))

    running = await outboard.run(sources.entries)
    await _all_at_work(sources, functions, good)
    await _steady_load(sources, good)
    await until(lambda: all(len(_numbers(functions.of(name))) == _ROUNDS + 1 for name in good), seconds=5)
    for kind, pace in _PACE.items():
        mine = [invoke for name in good if name.startswith(kind) for invoke in functions.of(name)]
        latencies = [each for each in _latencies(mine) if each < 1000]
        p99 = latencies[int(len(latencies) * 0.99)]
        print(f"{kind}: p50 {latencies[len(latencies) // 2] * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms")
        assert p99 < pace, kind
    await _assert_each_bad_one_says_why(running)

    for name in ("queue-hangs", "topic-hangs", "stream-raises"):
        functions.script(name, succeeds())
    for name in ("queue-absent", "stream-absent", "topic-absent"):
        await sources.sends[name](bad)
    async with scripted_invoke(port) as late:

        def recovered() -> bool:
            done = {name: functions.of(name) if name != "no-endpoint" else late.of(name) for name in _SIGNS}
            return all(set(_numbers(invokes)) == set(_BAD_RECORDS) for invokes in done.values())

        await until(recovered, seconds=120)
        for name in _SIGNS:
            await running.until_state(name, "Enabled", seconds=90)
        shown = await running.mappings()
    assert {name: shown[name]["lastError"] for name in _SIGNS} == dict.fromkeys(_SIGNS)


async def _all_at_work(sources: Sources, functions: ScriptedInvoke, good: list[str]) -> None:
    """Each good mapping has delivered one record, numbered -1, which nobody measures: all have joined and begun."""
    for name in good:
        await sources.sends[name]([json.dumps({"n": -1, "at": 0.0})])
    await until(lambda: all(functions.of(name) for name in good), seconds=60)
