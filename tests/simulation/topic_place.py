"""Knows what stands behind a Kafka mapping: its topic and group, its function, who is cut off from them, what is left."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.simulation.events import data_of
from tests.simulation.functions import SimulatedFunction
from tests.simulation.group import Coordinator
from tests.simulation.history import Caller, History, Produced
from tests.simulation.kafka import SimulatedConsumer
from tests.simulation.loop import START, VirtualTimeLoop
from tests.simulation.network import Faults, Network
from tests.simulation.plans import Load, MappingPlan, Plan, TopicPlan
from tests.simulation.topic import Topic
from tests.simulation.topic_facts import owed


@dataclass(slots=True)
class Way:
    """The faults on the way of one process to the cluster, which may be cut."""

    faults: Faults
    cut: set[str]
    process: str

    def draw(self, rng: random.Random) -> str:
        number = self.process.partition(".")[0]
        return "silent" if number in self.cut else self.faults.draw(rng)


class TopicPlace:
    def __init__(
        self, plan: MappingPlan, source: TopicPlan, loop: VirtualTimeLoop, world: Plan, history: History
    ) -> None:
        self.plan = plan
        self.source = source
        self._loop = loop
        self._history = history
        rng = random.Random(f"topic {world.seed} {plan.name}")
        exists = plan.outage != "missing"
        self.topic = Topic(loop, rng, f"topic-{plan.name}", partitions=source.partitions, exists=exists)
        self.topic.gaps = source.gaps
        self.group = Coordinator(loop, rng, self.topic, history)
        self.function = SimulatedFunction(
            loop, random.Random(f"function {world.seed} {plan.name}"), f"f-{plan.name}", plan.behaviour, history
        )
        self.source_faults = Faults(plan.source_faults, always="refused" if plan.outage == "refused" else "")
        self.lambda_faults = Faults(plan.lambda_faults)
        #: The processes, by their names without the generation, that nothing reaches.
        self.cut: set[str] = set()
        self._unsent: list[tuple[str, Load]] = []
        for number, load in enumerate(plan.load):
            if load.at < 0:
                self._write(f"{plan.name}-{number}", load, START + load.at)

    def consumer(self, caller: Caller, network: Network, page_bytes: int) -> SimulatedConsumer:
        network.faults = Way(self.source_faults, self.cut, caller.process.name)
        return SimulatedConsumer(self.topic, self.group, caller, network, page_bytes=page_bytes)

    def send(self, identifier: str, load: Load) -> None:
        """What was there before the start has been written already."""
        if load.at >= 0:
            self._write(identifier, load, self._loop.time())

    def _write(self, identifier: str, load: Load, at: float) -> None:
        if self.topic.missing:
            self._unsent.append((identifier, load))
            return
        record = self.topic.write(identifier, load.group, data_of(identifier, load.body), at)
        self._history.produced[identifier] = Produced(self.topic.name, identifier, load.group, load.body, at)
        self._history.say(self._loop.time(), "written", identifier, load.group, record.partition, record.offset)

    def events(self) -> Sequence[tuple[float, Callable[[], None]]]:
        source = self.source
        happens: list[tuple[float, str, Callable[[], None]]] = [(at, "grows", self.topic.grow) for at in source.grows]
        happens += [(at, "forgets", self.topic.expire_some) for at in source.expiries]
        happens += [(at, "is divided for no reason", self.group.divide) for at in source.divisions]
        for number, since, until in source.cuts:
            happens.append((since, f"is out of reach of p{number}", partial(self.cut.add, f"p{number}")))
            happens.append((until, f"is in reach of p{number} again", partial(self.cut.discard, f"p{number}")))
        for since, until in source.outages:
            happens.append((since, "is away", partial(setattr, self.source_faults, "always", "refused")))
            happens.append((until, "is back", partial(setattr, self.source_faults, "always", "")))
        return [(at, partial(self._happens, what, act)) for at, what, act in happens]

    def _happens(self, what: str, act: Callable[[], None]) -> None:
        if not self.topic.missing:
            act()
            starts = [f"{log.number}: {log.start}..{log.end}" for log in self.topic.logs]
            self._history.say(self._loop.time(), self.topic.name, what, *starts)

    def mend(self) -> None:
        if self.topic.missing:
            self.topic.create()
            unsent, self._unsent = self._unsent, []
            for identifier, load in unsent:
                self._write(identifier, load, self._loop.time())
        self.cut.clear()
        self.source_faults.stop()
        self.lambda_faults.stop()
        self.function.behaviour.recover()

    def left(self) -> list[str]:
        if not self.group.offsets:
            return [f"the start of {self.topic.name}"]
        return [record.id for record in owed(self.topic, self.source, self.plan.name, self._history)]

    @property
    def longest(self) -> float:
        plan, source = self.plan, self.source
        given_up = (source.record_age or 0) + 40 * (source.retries or 0)
        poisoned = len(plan.behaviour.poison) * (given_up + 60)
        work = len(plan.load) * plan.behaviour.longest
        return 400 + 4 * plan.invoke_timeout + poisoned + 2 * work + 20 * plan.window
