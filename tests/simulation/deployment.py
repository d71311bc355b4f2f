"""Knows how the real service is put into a simulated world: its connections, its life, its reloads and its death."""

import asyncio
import contextvars
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog

from outboard.app import Outboard, Surroundings
from outboard.aws.calls import JsonService, LambdaService
from outboard.core.ports import Checkpoints, Feed
from outboard.observe.process import ProcessObserver
from outboard.sources.kafka.consumer import Consumer, ConsumerSpec, FetchLimits
from outboard.sources.kafka.feed import PartitionFeed
from outboard.sources.kinesis.feed import ShardFeed
from outboard.sources.sqs.feed import Desk, SqsFeed
from tests.simulation.configurations import ACCOUNT, first_version, version
from tests.simulation.disk import Disk, SimulatedCheckpoints
from tests.simulation.functions import SimulatedLambda
from tests.simulation.history import Caller, History
from tests.simulation.incarnations import Incarnations
from tests.simulation.kafka import SimulatedConsumer
from tests.simulation.lives import Life
from tests.simulation.loop import Process, VirtualTimeLoop
from tests.simulation.network import Faults, Network
from tests.simulation.places import AnyPlace
from tests.simulation.plans import Plan, Reload
from tests.simulation.topic_place import TopicPlace
from tests.simulation.words import at


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the service in whose place a faulty one can be put."""

    sqs_feed: Callable[[Desk], Feed] = SqsFeed
    shard_feed: Callable[..., Feed] = ShardFeed
    checkpoints: Callable[[Checkpoints], Checkpoints] = lambda real: real
    kinesis: Callable[[JsonService], JsonService] = lambda real: real
    partition_feed: Callable[..., Any] = PartitionFeed
    consumer: Callable[[SimulatedConsumer], Consumer] = lambda real: real
    outboard: Callable[..., Outboard] = Outboard


class Connections:
    """The `Connections` of one process: a mapping is known by the host of its endpoints."""

    region = "eu-west-1"

    def __init__(
        self,
        places: Mapping[str, AnyPlace],
        process: Process,
        incarnations: Incarnations,
        loop: VirtualTimeLoop,
        seed: str,
        history: History,
        parts: Parts,
    ) -> None:
        self._places = places
        self._process = process
        self._incarnations = incarnations
        self._loop = loop
        self._seed = seed
        self._history = history
        self._parts = parts
        self._consumers = 0

    def sqs_endpoint(self, region: str, endpoint: str | None) -> str:
        assert endpoint is not None
        return endpoint

    def sqs(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService:
        return self._source(endpoint, "sqs")

    def kinesis(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService:
        return self._parts.kinesis(self._source(endpoint, "kinesis"))

    async def caller_arn(self, region: str, *, beside_aws: bool) -> str | None:
        return f"arn:aws:iam::{ACCOUNT}:role/outboard"

    def _source(self, endpoint: str | None, service: str) -> JsonService:
        place, caller = self._of(endpoint)
        assert not isinstance(place, TopicPlace)
        return place.service(caller, self._network(caller, place.source_faults, service, place.plan.source_latency))

    def consumer(self, spec: ConsumerSpec, limits: FetchLimits) -> Consumer:
        place, caller = self._of(f"http://{spec.mapping}")
        assert isinstance(place, TopicPlace)
        self._consumers += 1
        network = self._network(caller, place.source_faults, f"kafka {self._consumers}", place.plan.source_latency)
        return self._parts.consumer(place.consumer(caller, network, limits.partition))

    def lambda_(self, region: str, endpoint: str | None, role_arn: str | None) -> LambdaService:
        place, caller = self._of(endpoint)
        network = self._network(caller, place.lambda_faults, "lambda", 0.002)
        return SimulatedLambda({place.function.name: place.function}, caller, network)

    async def close(self) -> None:
        """Nothing was opened."""

    def _of(self, endpoint: str | None) -> tuple[AnyPlace, Caller]:
        name = urlsplit(str(endpoint)).hostname or ""
        return self._places[name], Caller(self._process, name, self._incarnations.of(name))

    def _network(self, caller: Caller, faults: Faults, service: str, latency: float) -> Network:
        rng = random.Random(f"{service} {self._seed} {caller}{self._incarnations.number(caller.mapping)}")
        network = Network(self._loop, rng, faults, self._history)
        network.latency = latency
        return network


class Deployment:
    """One process of the service after the other in the same place, as a container platform would restart it."""

    def __init__(
        self,
        plan: Plan,
        places: Mapping[str, AnyPlace],
        loop: VirtualTimeLoop,
        history: History,
        *,
        number: int = 0,
        disk: Disk | None = None,
        parts: Parts | None = None,
    ) -> None:
        self._plan = plan
        self._places = places
        self._loop = loop
        self._history = history
        self._number = number
        self._disk = disk or Disk()
        self._parts = parts or Parts()
        self._generation = 0
        self._newest = self._startable = first = first_version(plan, number)
        configuration = first.loaded.configuration
        self._names = {one.uuid: one.name for one in configuration.event_source_mappings} if configuration else {}
        self._incarnations: Incarnations | None = None
        self._inside: contextvars.Context | None = None
        self.outboard: Outboard | None = None
        self.process: Process | None = None
        self.life: Life | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done() and self.process is not None and self.process.alive

    def start(self) -> Process:
        self._generation += 1
        self.outboard = None
        process = self.process = Process(f"p{self._number}.{self._generation}")
        life = self.life = Life(process, self._loop.time(), drain_seconds=self._plan.drain)
        self._history.lives.append(life)
        self._inside = None
        process.died = lambda: self._died(life)
        self._history.say(self._loop.time(), process.name, "starts")
        self._task = self._loop.spawn(process, self._run(process, life), process.name)
        return process

    def stop(self) -> None:
        """SIGTERM; a process that has only just begun has no handler for it yet and dies of it."""
        if self.outboard is None:
            self.kill()
        elif self.running and self.life is not None and self.life.stop_asked is None:
            self.life.stop_asked = self._loop.time()
            self._history.say(self._loop.time(), self.life.process.name, "is asked to stop")
            self.outboard.stop("SIGTERM")

    def kill(self) -> None:
        if self.process is not None and self.running:
            self._loop.kill(self.process)

    async def ended(self) -> None:
        """Wait until the process has ended by itself, or should long have."""
        if self._task is not None and self.running:
            await asyncio.wait({self._task}, timeout=self._plan.drain + 60.0)

    def configure(self, reload: Reload) -> None:
        """What the process reads from now on, whenever it does."""
        self._newest = version(self._plan, reload, self._number)
        if not self._newest.loaded.fatal:
            self._startable = self._newest
        self._history.say(self._loop.time(), f"p{self._number} has another configuration to read", reload.broken)

    def look(self) -> None:
        """The process, if there is one, reads its configuration anew."""
        if self.running and self._inside is not None:
            self._loop.call_soon(self._reload, context=self._inside)

    def _reload(self) -> None:
        outboard, incarnations, read = self.outboard, self._incarnations, self._newest
        assert outboard is not None
        assert incarnations is not None
        wanted = not (read.broken or outboard.draining)
        before = outboard.config_hash
        taken = outboard.reload(read.loaded)
        name = f"{at(self._loop.time())}: {incarnations.process.name}"
        self._history.say(self._loop.time(), name, "reloads" if taken else "refuses what it reads")
        if taken:
            incarnations.took(read)
        if taken != wanted:
            self._history.misled.append(f"{name} {'took' if taken else 'refused'} what it should not have")
        if outboard.config_hash != (read.loaded.content_hash if wanted else before):
            self._history.misled.append(f"{name} says that {outboard.config_hash} is in force")

    def _died(self, life: Life) -> None:
        life.killed = self._loop.time()
        self._history.say(life.killed, life.process.name, "is killed")

    async def _run(self, process: Process, life: Life) -> None:
        seed = f"{self._plan.seed} {process.name}"
        began = self._startable
        incarnations = self._incarnations = Incarnations(process, began, self._history, self._loop.time)
        metrics: Any = incarnations.metrics
        connections = Connections(self._places, process, incarnations, self._loop, seed, self._history, self._parts)
        checkpoints = self._checkpoints(process, seed)
        surroundings = Surroundings(
            wall=self._wall,
            jitter=random.Random(f"jitter {seed}").random,
            checkpoints=self._parts.checkpoints(checkpoints),
            sqs_feed=self._parts.sqs_feed,
            shard_feed=self._parts.shard_feed,
            consumer=connections.consumer,
            partition_feed=self._parts.partition_feed,
        )
        observer = ProcessObserver(metrics, structlog.get_logger(), self._wall)
        self.outboard = self._parts.outboard(began.loaded, connections, metrics, observer, surroundings)
        self._inside = contextvars.copy_context()
        life.late = sorted(await self.outboard.run())
        checkpoints.end()
        life.ended = self._loop.time()
        life.counts = {str(shown["name"]): _counts(shown) for shown in self.outboard.mappings()}
        self._history.say(life.ended, process.name, "has ended", *life.late)

    def _wall(self) -> float:
        return self._loop.wall_clock() + self._plan.skew

    def _checkpoints(self, process: Process, seed: str) -> SimulatedCheckpoints:
        rng = random.Random(f"disk {seed}")
        return SimulatedCheckpoints(self._disk, process, self._loop, rng, self._history, self._names)


def _counts(shown: Any) -> dict[str, int]:
    return dict(shown["counts"])
