"""The configuration is exchanged a hundred times under load: nothing is lost, and who is not meant is not disturbed."""

import asyncio
import json
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from tests.e2e import streams as stream_facts
from tests.e2e import topics as topic_facts
from tests.e2e.harness import Launcher, Running, mapping, until, worked_off
from tests.servers.queues import Queue, Queues, numbered
from tests.servers.scripted_invoke import Invoke, ScriptedInvoke, succeeds
from tests.servers.streams import Stream, Streams
from tests.servers.topics import Topic, Topics

pytestmark = pytest.mark.server

_RELOADS = 100
_BAD = 0.15  #: the part of reloads that must be refused
_STEADY_PAUSE = 0.05  #: seconds between two messages to the mapping that is never touched
_CALM = 8.0  #: seconds of load before the first reload, to measure against

_FIELDS: Mapping[str, Sequence[Any]] = {
    "BatchSize": (1, 3, 10),
    "MaximumConcurrency": (1, 2, 10),
    "InvokeTimeoutSeconds": (20, 30),
}


@dataclass(slots=True)
class Steady:
    """The mapping that no reload concerns: its load, and how long each message of it took to arrive."""

    queue: Queue
    sent: int = 0
    ended: bool = False

    async def load(self) -> None:
        while not self.ended:
            await self.queue.send([json.dumps({"n": self.sent, "at": time.time()})])
            self.sent += 1
            await asyncio.sleep(_STEADY_PAUSE)


def _latencies(invokes: Sequence[Invoke], since: float, until: float) -> list[float]:
    """Seconds from sending to arrival of what was sent in that time, ascending."""
    bodies = [(invoke.started, json.loads(body)) for invoke in invokes for body in invoke.bodies]
    return sorted(started - body["at"] for started, body in bodies if since <= body["at"] < until)


@dataclass(slots=True)
class Changing:
    """The mappings that come, go and change, and the configuration's file."""

    chance: random.Random
    running: Running
    steady: Mapping[str, object]
    entries: Mapping[str, Mapping[str, object]]
    refused: int = 0
    applied: int = 0
    seen: object = None
    document: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.document = yaml.safe_load(self.running.config.read_text())

    async def reload(self, mappings: Sequence[Mapping[str, object]], *, good: bool) -> None:
        text = yaml.safe_dump({**self.document, "EventSourceMappings": [self.steady, *mappings]}, sort_keys=False)
        self.running.config.write_text(text)
        self.running.send_signal(signal.SIGHUP)
        told = await self._told()
        assert told["successful"] is good, told
        if good:
            self.applied += 1
        else:
            self.refused += 1

    async def _told(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                status, text = await self.running.get("/mappings")
                told = json.loads(text)["lastReload"] if status == 200 else None
                if told is not None and told["at"] != self.seen:
                    self.seen = told["at"]
                    return dict(told)
                await asyncio.sleep(0.02)

    async def at_random(self) -> None:
        kept = [self._changed(entry) for entry in self.entries.values() if self.chance.random() < 0.75]
        if self.chance.random() < _BAD:
            await self.reload([*kept, {"Name": "broken", "BatchSize": 0}], good=False)
        else:
            await self.reload(kept, good=True)

    def _changed(self, entry: Mapping[str, object]) -> Mapping[str, object]:
        if self.chance.random() < 0.4:
            return entry
        name = self.chance.choice(list(_FIELDS))
        return {**entry, name: self.chance.choice(_FIELDS[name])}

    async def whole(self) -> None:
        await self.reload(list(self.entries.values()), good=True)


async def _feed(send: Callable[[range], Any], stopped: asyncio.Event) -> int:
    """Ten records at a time until stopped; returns how many there were."""
    number = 0
    while not stopped.is_set():
        await send(range(number, number + 10))
        number += 10
        await asyncio.sleep(0.4)
    return number


@dataclass(frozen=True, slots=True)
class Sources:
    """What the mappings that change read from."""

    plain: Queue
    fifo: Queue
    stream: Stream
    topic: Topic
    topics: Topics

    def entries(self, functions: str) -> dict[str, Mapping[str, object]]:
        return {
            "plain": mapping(self.plain, functions, name="plain"),
            "fifo": mapping(self.fifo, functions, name="fifo"),
            "stream": stream_facts.stream_mapping(self.stream, functions, name="stream"),
            "topic": topic_facts.topic_mapping(self.topic, functions, name="topic"),
        }

    def feeds(self) -> dict[str, Callable[[range], Any]]:
        def keyed(numbers: range) -> list[tuple[str, str]]:
            return [(str(number % 7), json.dumps({"n": number})) for number in numbers]

        return {
            "plain": lambda numbers: self.plain.send(numbered(numbers)),
            "fifo": lambda numbers: self.fifo.send(numbered(numbers), group="g"),
            "stream": lambda numbers: self.stream.put_keyed(keyed(numbers)),
            "topic": lambda numbers: self.topics.put(self.topic, topic_facts.values(numbers)),
        }


def _done(functions: ScriptedInvoke) -> dict[str, set[int]]:
    return {
        "plain": set(worked_off(functions.of("plain"))),
        "fifo": set(worked_off(functions.of("fifo"))),
        "stream": {number for invoke in functions.of("stream") for number in stream_facts.numbers_of(invoke)},
        "topic": set(topic_facts.done_by(functions.of("topic"))),
    }


@pytest.mark.slow
@pytest.mark.timeout(420)
async def test_a_hundred_reloads_under_load_lose_nothing_and_leave_the_others_alone(
    outboard: Launcher, queues: Queues, streams: Streams, topics: Topics, functions: ScriptedInvoke
) -> None:
    chance = random.Random(11)
    sources = Sources(
        await queues.create(visibility=10),
        await queues.create(fifo=True, visibility=10),
        await streams.create(2),
        await topics.create(2),
        topics,
    )
    steady = Steady(await queues.create())
    functions.script("steady", succeeds())
    for name in ("plain", "fifo", "stream", "topic"):
        functions.script(name, lambda _: succeeds(delay=chance.uniform(0.0, 0.3)))
    entries = sources.entries(functions.url)
    untouched = mapping(steady.queue, functions.url, name="steady")
    running = await outboard.run([untouched, *entries.values()])
    changing = Changing(chance, running, untouched, entries)

    stopped = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(steady.load(), name="steady")
        sent = {
            name: group.create_task(_feed(send, stopped), name=f"load of {name}")
            for name, send in sources.feeds().items()
        }
        began = time.time()
        await asyncio.sleep(_CALM)
        disturbed = time.time()
        for _ in range(_RELOADS):
            await changing.at_random()
        over = time.time()
        await changing.whole()
        stopped.set()
        steady.ended = True
    expected = {name: set(range(task.result())) for name, task in sent.items()}
    await until(lambda: _done(functions) == expected, seconds=120, pause=0.5)
    await steady.queue.until_empty(seconds=20)
    for name in ("steady", *entries):  # a queue that changed while it was idle drains for the rest of its long poll
        await running.until_state(name, "Enabled")
    shown = await running.mappings()
    running.send_signal(signal.SIGTERM)
    assert await running.ended(60) == 0

    assert changing.refused + changing.applied == _RELOADS + 1
    assert changing.refused > 5
    assert {name: each["state"] for name, each in shown.items()} == dict.fromkeys(("steady", *entries), "Enabled")
    _assert_order(functions)
    await _assert_undisturbed(functions, steady, began, disturbed, over)
    assert "Traceback" not in running.log


def _assert_order(functions: ScriptedInvoke) -> None:
    """No record came before an earlier one of its partition or group, and no partition was in two invokes at once."""
    firsts = list(dict.fromkeys(json.loads(body)["n"] for invoke in functions.of("fifo") for body in invoke.bodies))
    assert firsts == sorted(firsts)
    assert topic_facts.out_of_turn(functions.of("topic")) == []
    assert topic_facts.at_once(functions.of("topic")) == 0


async def _assert_undisturbed(
    functions: ScriptedInvoke, steady: Steady, began: float, disturbed: float, over: float
) -> None:
    """All of the untouched mapping's messages, each once, as quickly as without reloads: one that began anew would
    keep some waiting for the rest of a long poll.
    """
    assert worked_off(functions.of("steady")) == dict.fromkeys(range(steady.sent), 1)
    calm = _latencies(functions.of("steady"), began + 1, disturbed)
    meanwhile = _latencies(functions.of("steady"), disturbed, over)
    print(f"untouched mapping: {len(meanwhile)} messages in {over - disturbed:.1f} s of reloads")
    for part in (0.5, 0.99):
        print(f"p{part * 100:g}: {_quantile(calm, part) * 1e3:.1f} ms calm, {_quantile(meanwhile, part) * 1e3:.1f} ms")
    assert _quantile(meanwhile, 0.5) < 2 * _quantile(calm, 0.5) + 0.02
    assert _quantile(meanwhile, 0.99) < 2 * _quantile(calm, 0.99) + 0.75


def _quantile(ascending: Sequence[float], part: float) -> float:
    return ascending[int(len(ascending) * part)]
