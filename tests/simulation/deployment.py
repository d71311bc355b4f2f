"""Knows how the real service is put into a simulated world: its configuration, its connections, its life and death."""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import structlog

from outboard.app import Outboard, Surroundings
from outboard.aws.calls import JsonService, LambdaService
from outboard.config.loading import Loaded, parse
from outboard.core.ports import Feed
from outboard.observe.metrics import Metrics
from outboard.observe.process import ProcessObserver
from outboard.sources.sqs.feed import Desk, SqsFeed
from tests.simulation.functions import SimulatedFunction, SimulatedLambda
from tests.simulation.history import Caller, History, Life
from tests.simulation.loop import Process, VirtualTimeLoop
from tests.simulation.network import Faults, Network
from tests.simulation.plans import MappingPlan, Plan
from tests.simulation.queue import Queue
from tests.simulation.sqs import SimulatedSqs

ACCOUNT = "123456789012"


class Place:
    """What stands behind one mapping: its queue, its function, and the network to both."""

    def __init__(self, plan: MappingPlan, loop: VirtualTimeLoop, seed: int, history: History) -> None:
        self.plan = plan
        self.queue = Queue(
            loop,
            random.Random(f"queue {seed} {plan.name}"),
            queue_name(plan),
            fifo=plan.fifo,
            visibility=plan.visibility,
            redrive=plan.redrive,
        )
        self.queue.duplicates, self.queue.lenient = plan.duplicates, plan.lenient
        rng = random.Random(f"function {seed} {plan.name}")
        self.function = SimulatedFunction(loop, rng, f"f-{plan.name}", plan.behaviour, history)
        self.sqs_faults = Faults(plan.sqs_faults)
        self.lambda_faults = Faults(plan.lambda_faults)
        self.entry_faults = plan.entry_faults
        self._break(plan.outage)

    def _break(self, outage: str) -> None:
        self.queue.missing = outage == "missing"
        self.queue.forbidden = outage == "forbidden"
        if outage == "refused":
            self.sqs_faults.always = "refused"

    def mend(self) -> None:
        """The cause of every trouble goes."""
        self._break("")
        self.sqs_faults.stop()
        self.lambda_faults.stop()
        self.function.behaviour.recover()
        self.entry_faults = self.queue.duplicates = 0.0


class Connections:
    """The `Connections` of one process: a mapping is known by the host of its endpoints."""

    region = "eu-west-1"

    def __init__(
        self, places: dict[str, Place], process: Process, loop: VirtualTimeLoop, seed: str, history: History
    ) -> None:
        self._places = places
        self._process = process
        self._loop = loop
        self._seed = seed
        self._history = history

    def sqs_endpoint(self, region: str, endpoint: str | None) -> str:
        assert endpoint is not None
        return endpoint

    def sqs(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService:
        place, caller = self._of(endpoint)
        network = self._network(caller, place.sqs_faults, "sqs", place.plan.sqs_latency)
        return SimulatedSqs({place.queue.name: place.queue}, caller, network, lambda: place.entry_faults)

    def lambda_(self, region: str, endpoint: str | None, role_arn: str | None) -> LambdaService:
        place, caller = self._of(endpoint)
        network = self._network(caller, place.lambda_faults, "lambda", 0.002)
        return SimulatedLambda({place.function.name: place.function}, caller, network)

    async def close(self) -> None:
        """Nothing was opened."""

    def _of(self, endpoint: str | None) -> tuple[Place, Caller]:
        name = urlsplit(str(endpoint)).hostname or ""
        return self._places[name], Caller(self._process, name)

    def _network(self, caller: Caller, faults: Faults, service: str, latency: float) -> Network:
        rng = random.Random(f"{service} {self._seed} {caller}")
        network = Network(self._loop, rng, faults, self._history)
        network.latency = latency
        return network


class Deployment:
    """One process of the service after the other in the same place, as a container platform would restart it."""

    def __init__(
        self,
        plan: Plan,
        places: dict[str, Place],
        loop: VirtualTimeLoop,
        history: History,
        *,
        number: int = 0,
        sqs_feed: Callable[[Desk], Feed] = SqsFeed,
    ) -> None:
        self._plan = plan
        self._places = places
        self._loop = loop
        self._history = history
        self._number = number
        self._sqs_feed = sqs_feed
        self._generation = 0
        self._loaded = configuration(plan)
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

    def _died(self, life: Life) -> None:
        life.killed = self._loop.time()
        self._history.say(life.killed, life.process.name, "is killed")

    async def _run(self, process: Process, life: Life) -> None:
        seed = f"{self._plan.seed} {process.name}"
        jitter = random.Random(f"jitter {seed}")
        metrics = Metrics()
        connections = Connections(self._places, process, self._loop, seed, self._history)
        surroundings = Surroundings(self._loop.wall_clock, jitter.random, self._sqs_feed)
        observer = ProcessObserver(metrics, structlog.get_logger(), self._loop.wall_clock)
        self.outboard = Outboard(self._loaded, connections, metrics, observer, surroundings)
        life.late = sorted(await self.outboard.run())
        life.ended = self._loop.time()
        life.counts = {str(shown["name"]): _counts(shown) for shown in self.outboard.mappings()}
        self._history.say(life.ended, process.name, "has ended", *life.late)


def _counts(shown: Any) -> dict[str, int]:
    return dict(shown["counts"])


def queue_name(plan: MappingPlan) -> str:
    return f"q-{plan.name}.fifo" if plan.fifo else f"q-{plan.name}"


def configuration(plan: Plan) -> Loaded:
    """The plan's mappings as a user would write them; refuses a plan that the service would."""
    document = {
        "Installation": "simulation",
        "Limits": {"MaximumBufferedBytes": plan.buffered_bytes},
        "Shutdown": {"DrainTimeoutSeconds": plan.drain},
        "EventSourceMappings": [_mapping(mapping) for mapping in plan.mappings],
    }
    loaded = parse({"simulation.json": json.dumps(document)})
    assert not loaded.problems, [str(problem) for problem in loaded.problems]
    return loaded


def _mapping(plan: MappingPlan) -> dict[str, object]:
    fields: dict[str, object] = {
        "Name": plan.name,
        "EventSourceArn": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{queue_name(plan)}",
        "FunctionName": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f-{plan.name}",
        "BatchSize": plan.batch_size,
        "InvokeTimeoutSeconds": plan.invoke_timeout,
        "SourceEndpointUrl": f"http://{plan.name}",
        "FunctionEndpointUrl": f"http://{plan.name}",
    }
    if plan.window:
        fields["MaximumBatchingWindowInSeconds"] = plan.window
    if plan.concurrency is not None:
        fields["MaximumConcurrency"] = plan.concurrency
    if plan.behaviour.partial:
        fields["FunctionResponseTypes"] = ["ReportBatchItemFailures"]
    return fields
