"""Knows how a world runs: load, trouble, interruptions; then the trouble ends, all is drained, and the checker looks at it."""

import asyncio
import contextlib
import functools
import logging
import traceback
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass

import structlog

from outboard.core.ports import Feed
from outboard.sources.sqs.feed import Desk, SqsFeed
from tests.simulation.checker import violations
from tests.simulation.deployment import Deployment, Place
from tests.simulation.history import History, Produced
from tests.simulation.loop import START, Stuck, VirtualTimeLoop
from tests.simulation.plans import Interruption, Load, Plan


@dataclass(slots=True)
class Verdict:
    """What came of a world: promises broken, and its history for people (verbose runs only)."""

    seed: int
    violations: list[str]
    history: History
    seconds: float = 0.0


class World:
    """One run. `sqs_feed` replaces the feed of every SQS poller."""

    def __init__(
        self, plan: Plan, loop: VirtualTimeLoop, history: History, sqs_feed: Callable[[Desk], Feed] = SqsFeed
    ) -> None:
        self.plan = plan
        self.loop = loop
        self.history = history
        self.places = {mapping.name: Place(mapping, loop, plan.seed, history) for mapping in plan.mappings}
        self.deployments = [
            Deployment(plan, self.places, loop, history, number=number, sqs_feed=sqs_feed)
            for number in range(plan.processes)
        ]
        self.stalled = ""
        self._closing = False
        self._outside = loop.outside()

    async def run(self) -> None:
        for deployment in self.deployments:
            deployment.start()
        self._schedule()
        await asyncio.sleep(self.plan.trouble_ends)
        self.history.say(self.loop.time(), "--- the trouble ends")
        self._end_of_trouble()
        await self._drain()
        self._closing = True
        for deployment in self.deployments:
            deployment.stop()
        for deployment in self.deployments:
            await deployment.ended()
        # Whatever must be visible a second after the end has had its second.
        await asyncio.sleep(2.0)

    def _schedule(self) -> None:
        for place in self.places.values():
            for number, load in enumerate(place.plan.load):
                self.loop.call_later(load.at, self._send, place, f"{place.plan.name}-{number}", load)
        for interruption in self.plan.interruptions:
            deployment = self.deployments[interruption.process]
            if interruption.step and deployment.process is not None:
                # Not within the step: whoever becomes ready in it belongs to the process and is in the middle of something.
                act = functools.partial(self.loop.call_soon, self._act, deployment, interruption, context=self._outside)
                deployment.process.at_step = (interruption.step, act)
                self.loop.call_later(0.5, self._restart_when_dead, deployment, interruption)
            else:
                self.loop.call_later(interruption.at, self._interrupt, deployment, interruption)

    def _send(self, place: Place, identifier: str, load: Load) -> None:
        queue = place.queue
        self.history.produced[identifier] = Produced(queue.name, identifier, load.group, load.body, self.loop.time())
        self.history.say(self.loop.time(), "sent", identifier, load.group)
        queue.send(identifier, load.body, load.group)

    def _interrupt(self, deployment: Deployment, interruption: Interruption) -> None:
        self._act(deployment, interruption)
        self._restart_when_dead(deployment, interruption)

    def _act(self, deployment: Deployment, interruption: Interruption) -> None:
        if interruption.kind == "stop":
            deployment.stop()
        else:
            deployment.kill()

    def _restart_when_dead(self, deployment: Deployment, interruption: Interruption) -> None:
        if not deployment.running:
            self.loop.call_later(interruption.restart, self._start_again, deployment)
        elif self.loop.time() < START + self.plan.trouble_ends:
            self.loop.call_later(0.5, self._restart_when_dead, deployment, interruption)

    def _start_again(self, deployment: Deployment) -> None:
        if not deployment.running and not self._closing:
            deployment.start()

    def _end_of_trouble(self) -> None:
        for place in self.places.values():
            place.mend()
        for deployment in self.deployments:
            if deployment.process is not None:
                deployment.process.at_step = None

    async def _drain(self) -> None:
        """Wait until every queue is empty; notes what is left when more time went by than anything can need."""
        deadline = self.loop.time() + max(_longest(place) for place in self.places.values())
        while any(place.queue.messages for place in self.places.values()):
            if self.loop.time() > deadline:
                left = [identifier for place in self.places.values() for identifier in place.queue.messages]
                self.stalled = f"stall: {len(left)} messages are still queued, {left[0]} among them"
                return
            await asyncio.sleep(1.0)
            for deployment in self.deployments:
                self._start_again(deployment)


def _longest(place: Place) -> float:
    plan = place.plan
    again = max(10, plan.visibility) * (2 + plan.redrive) * (1 + 2 * len(plan.behaviour.poison))
    work = len(plan.load) * plan.behaviour.longest
    return 180 + 2 * plan.invoke_timeout + 4 * again + 2 * work + 20 * plan.window


async def _nothing(_world: World) -> None:
    pass


def simulate(
    plan: Plan,
    *,
    verbose: bool = False,
    sqs_feed: Callable[[Desk], Feed] = SqsFeed,
    beside: Callable[[World], Coroutine[None, None, None]] = _nothing,
) -> Verdict:
    """Run a world to its end and check it; `beside` runs at the same time and may look at it and change it."""
    history = History(verbose=verbose)
    loop = VirtualTimeLoop()
    broken: list[str] = []
    with _logs_into(history, loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        world = World(plan, loop, history, sqs_feed)

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(beside(world), name="beside")
                group.create_task(world.run(), name="world")

        try:
            runner.run(main())
        except Stuck as stuck:
            broken.append(f"stuck: {stuck}")
        seconds = loop.time() - START
        history.over = True
        broken += [f"task {name!r} was left running" for name in loop.abandon()]
    broken += [world.stalled] if world.stalled else []
    broken += loop.complaints
    broken += violations(plan, history, world.places)
    return Verdict(plan.seed, broken, history, seconds)


def _root(error: BaseException) -> str:
    """The first cause, and where it was raised."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return f"{error!r} at " + ", ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames)


@contextlib.contextmanager
def _logs_into(history: History, loop: VirtualTimeLoop) -> Iterator[None]:
    """What the service logs belongs to the run: errors always, the rest in a verbose one."""

    def keep(_logger: object, method: str, event: dict[str, object]) -> dict[str, object]:
        error = event.pop("exc_info", None)
        if isinstance(error, BaseException):
            event["error"] = _root(error)
        if method in {"error", "critical"} and not history.over:
            history.errors.append(str(event))
        history.say(loop.time(), f"[{method}]", event)
        raise structlog.DropEvent

    before = structlog.get_config()
    level = logging.DEBUG if history.verbose else logging.ERROR
    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(level))
    try:
        yield
    finally:
        structlog.configure(**before)
