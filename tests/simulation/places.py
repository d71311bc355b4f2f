"""Knows what stands behind one mapping: its source, its function, what is wrong with them, and what is left to be done."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from outboard.aws.calls import JsonService
from tests.simulation.events import data_of
from tests.simulation.fates import has_begun, open_entries, unfinished_shards
from tests.simulation.functions import SimulatedFunction
from tests.simulation.history import Caller, History, Produced
from tests.simulation.kinesis import SimulatedKinesis
from tests.simulation.loop import START, VirtualTimeLoop
from tests.simulation.network import Faults, Network
from tests.simulation.plans import Load, MappingPlan, Plan, QueuePlan, StreamPlan, TopicPlan
from tests.simulation.queue import Queue
from tests.simulation.sqs import SimulatedSqs
from tests.simulation.stream import Stream
from tests.simulation.topic_place import TopicPlace

#: Seconds for which a stream is being created, or deleted.
_PHASE = 1.0


class Place(Protocol):
    """One mapping's surroundings."""

    plan: MappingPlan
    function: SimulatedFunction
    source_faults: Faults
    lambda_faults: Faults

    def send(self, identifier: str, load: Load) -> None: ...

    def events(self) -> Sequence[tuple[float, Callable[[], None]]]:
        """What happens to the source by itself, in seconds after the start."""

    def mend(self) -> None:
        """The cause of every trouble goes."""

    def left(self) -> list[str]:
        """What the service has not dealt with yet, as words for people."""

    @property
    def longest(self) -> float:
        """Seconds in which anything that is left can be dealt with."""


class QueuePlace:
    def __init__(
        self, plan: MappingPlan, source: QueuePlan, loop: VirtualTimeLoop, world: Plan, history: History
    ) -> None:
        self.plan = plan
        self.source = source
        self._loop = loop
        self._history = history
        self.queue = Queue(
            loop,
            random.Random(f"queue {world.seed} {plan.name}"),
            f"q-{plan.name}.fifo" if source.fifo else f"q-{plan.name}",
            fifo=source.fifo,
            visibility=source.visibility,
            redrive=source.redrive,
        )
        self.queue.duplicates, self.queue.lenient = source.duplicates, source.lenient
        self.function = _function(plan, loop, world.seed, history)
        self.source_faults = Faults(plan.source_faults)
        self.lambda_faults = Faults(plan.lambda_faults)
        self.entry_faults = source.entry_faults
        self._break(plan.outage)

    def service(self, caller: Caller, network: Network) -> JsonService:
        return SimulatedSqs({self.queue.name: self.queue}, caller, network, lambda: self.entry_faults)

    def send(self, identifier: str, load: Load) -> None:
        now = self._loop.time()
        self._history.produced[identifier] = Produced(self.queue.name, identifier, load.group, load.body, now)
        self._history.say(now, "sent", identifier, load.group)
        self.queue.send(identifier, load.body, load.group)

    def events(self) -> Sequence[tuple[float, Callable[[], None]]]:
        return ()

    def _break(self, outage: str) -> None:
        self.queue.missing = outage == "missing"
        self.queue.forbidden = outage == "forbidden"
        if outage == "refused":
            self.source_faults.always = "refused"

    def mend(self) -> None:
        self._break("")
        self.source_faults.stop()
        self.lambda_faults.stop()
        self.function.behaviour.recover()
        self.entry_faults = self.queue.duplicates = 0.0

    def left(self) -> list[str]:
        return list(self.queue.messages)

    @property
    def longest(self) -> float:
        plan = self.plan
        again = max(10, self.source.visibility) * (2 + self.source.redrive) * (1 + 2 * len(plan.behaviour.poison))
        work = len(plan.load) * plan.behaviour.longest
        return 180 + 2 * plan.invoke_timeout + 4 * again + 2 * work + 20 * plan.window


class StreamPlace:
    """`skew`: seconds by which the clock of who reads the stream is ahead of the stream's."""

    def __init__(
        self, plan: MappingPlan, source: StreamPlan, loop: VirtualTimeLoop, world: Plan, history: History
    ) -> None:
        self.plan = plan
        self.source = source
        self.skew = world.skew
        self._loop = loop
        self._history = history
        rng = random.Random(f"stream {world.seed} {plan.name}")
        exists = plan.outage != "missing"
        self.stream = Stream(loop, rng, f"stream-{plan.name}", shards=source.shards, exists=exists)
        self.stream.forbidden = plan.outage == "forbidden"
        self.stream.empty_pages, self.stream.expiries = source.empty_pages, source.expiries
        self.stream.tells_children, self.stream.listed_at_once = source.tells_children, source.listed_at_once
        self.function = _function(plan, loop, world.seed, history)
        self.source_faults = Faults(plan.source_faults, always="refused" if plan.outage == "refused" else "")
        self.lambda_faults = Faults(plan.lambda_faults)
        self._unsent: list[tuple[str, Load]] = []
        for number, load in enumerate(plan.load):
            if load.at < 0:
                self._put(f"{plan.name}-{number}", load, START + load.at)

    def service(self, caller: Caller, network: Network) -> JsonService:
        return SimulatedKinesis(self.stream, caller, network)

    def send(self, identifier: str, load: Load) -> None:
        """What was there before the start has been put already."""
        if load.at >= 0:
            self._put(identifier, load, self._loop.time())

    def _put(self, identifier: str, load: Load, at: float) -> None:
        if self.stream.missing:
            self._unsent.append((identifier, load))
            return
        entry = self.stream.put(identifier, load.group, data_of(identifier, load.body), at)
        self._history.produced[identifier] = Produced(self.stream.name, identifier, load.group, load.body, at)
        self._history.say(self._loop.time(), "put", identifier, load.group, entry.shard.id, entry.sequence)

    def events(self) -> Sequence[tuple[float, Callable[[], None]]]:
        source, stream = self.source, self.stream
        happens: list[tuple[float, str, Callable[[], None]]] = [
            (at, kind, partial(stream.reshard, kind)) for at, kind in source.reshards
        ]
        happens += [(at, "trim", stream.trim) for at in source.trims]
        events: list[tuple[float, Callable[[], None]]] = []
        if source.deleted is not None:
            deleting, again = source.deleted
            happens += [(deleting, "begins to go", self._begin_to_go), (deleting + _PHASE, "delete", stream.delete)]
            events += [(again, self._create), (again + _PHASE, self._activate)]
        return events + [(at, partial(self._happens, what, act)) for at, what, act in happens]

    def _happens(self, what: str, act: Callable[[], None]) -> None:
        if self.stream.missing:
            return
        act()
        shards = (f"{shard.id}{'' if shard.closed is None else ' closed'}" for shard in self.stream.listed())
        self._history.say(self._loop.time(), self.stream.name, what, ", ".join(shards))

    def _begin_to_go(self) -> None:
        self.stream.status = "DELETING"

    def _create(self) -> None:
        if not self.stream.status:
            self.stream.create()
            self._history.say(self._loop.time(), self.stream.name, "is being created")

    def _activate(self) -> None:
        if self.stream.status != "CREATING":
            return
        self.stream.status = "ACTIVE"
        self._history.say(self._loop.time(), self.stream.name, "is active")
        unsent, self._unsent = self._unsent, []
        for identifier, load in unsent:
            self._put(identifier, load, self._loop.time())

    def mend(self) -> None:
        self._create()
        self._activate()
        self.stream.forbidden = False
        self.stream.expiries = 0.0
        self.source_faults.stop()
        self.lambda_faults.stop()
        self.function.behaviour.recover()

    def left(self) -> list[str]:
        if not has_begun(self, self._history):
            return [f"the start of {self.stream.name}"]
        unread = [entry.id for entry in open_entries(self, self._history)]
        return unread or [f"the end of {shard.id}" for shard in unfinished_shards(self, self._history)]

    @property
    def longest(self) -> float:
        plan, source = self.plan, self.source
        given_up = (source.record_age or 0) + 40 * (source.retries or 0)
        poisoned = len(plan.behaviour.poison) * (given_up + 60)
        work = len(plan.load) * plan.behaviour.longest
        return 300 + 4 * plan.invoke_timeout + poisoned + 2 * work + 20 * plan.window


AnyPlace = QueuePlace | StreamPlace | TopicPlace


def _function(plan: MappingPlan, loop: VirtualTimeLoop, seed: int, history: History) -> SimulatedFunction:
    rng = random.Random(f"function {seed} {plan.name}")
    return SimulatedFunction(loop, rng, f"f-{plan.name}", plan.behaviour, history)


def places_of(plan: Plan, loop: VirtualTimeLoop, history: History) -> dict[str, AnyPlace]:
    """What the mappings of a world have, by their names."""
    places: dict[str, AnyPlace] = {}
    for mapping in plan.mappings:
        match mapping.source:
            case QueuePlan() as queue:
                places[mapping.name] = QueuePlace(mapping, queue, loop, plan, history)
            case StreamPlan() as stream:
                places[mapping.name] = StreamPlace(mapping, stream, loop, plan, history)
            case TopicPlan() as topic:
                places[mapping.name] = TopicPlace(mapping, topic, loop, plan, history)
    return places
