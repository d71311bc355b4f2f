"""Knows how a world runs: load, trouble, interruptions; then the trouble ends, all is drained, and the checker looks at it."""

import asyncio
import contextlib
import functools
import logging
import traceback
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from tests.simulation.checker import violations
from tests.simulation.deployment import Deployment, Parts
from tests.simulation.disk import Disk
from tests.simulation.history import Dropped, History
from tests.simulation.loop import START, Stuck, VirtualTimeLoop, running_process
from tests.simulation.places import places_of
from tests.simulation.plans import Interruption, Plan, Reload


@dataclass(slots=True)
class Verdict:
    """What came of a world: promises broken, and its history for people (verbose runs only)."""

    seed: int
    violations: list[str]
    history: History
    seconds: float = 0.0


class World:
    """One run. `parts` may put faulty parts into the place of the service's own."""

    def __init__(self, plan: Plan, loop: VirtualTimeLoop, history: History, parts: Parts | None = None) -> None:
        self.plan = plan
        self.loop = loop
        self.history = history
        self.places = places_of(plan, loop, history)
        self.disk = Disk()
        self.deployments = [
            Deployment(plan, self.places, loop, history, number=number, disk=self.disk, parts=parts)
            for number in range(plan.processes)
        ]
        self.stalled = ""
        self._closing = False
        self._outside = loop.outside()

    async def run(self) -> None:
        for number, deployment in enumerate(self.deployments):
            if number in self.plan.joins:
                self.loop.call_later(self.plan.joins[number], self._start_again, deployment)
            else:
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
                self.loop.call_later(load.at, place.send, f"{place.plan.name}-{number}", load)
            for at, act in place.events():
                self.loop.call_later(at, act)
        if self.plan.disk_full is not None:
            for at, full in zip(self.plan.disk_full, (True, False), strict=True):
                self.loop.call_later(at, self._fill_disk, full)
        for reload in self.plan.reloads:
            self.loop.call_later(reload.at, self._reload, reload)
        for interruption in self.plan.interruptions:
            deployment = self.deployments[interruption.process]
            if interruption.step and deployment.process is not None:
                # Not within the step: whoever becomes ready in it belongs to the process and is in the middle of something.
                act = functools.partial(self.loop.call_soon, self._act, deployment, interruption, context=self._outside)
                deployment.process.at_step = (interruption.step, act)
                self.loop.call_later(0.5, self._restart_when_dead, deployment, interruption)
            else:
                self.loop.call_later(interruption.at, self._interrupt, deployment, interruption)

    def _reload(self, reload: Reload) -> None:
        for deployment, after in zip(self.deployments, reload.noticed, strict=True):
            deployment.configure(reload)
            self.loop.call_later(after, deployment.look)

    def _fill_disk(self, full: bool) -> None:
        self.disk.full = full
        self.history.say(self.loop.time(), "the disk is full" if full else "the disk has room again")

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
        self.disk.full = False
        for place in self.places.values():
            place.mend()
        for deployment in self.deployments:
            if deployment.process is not None:
                deployment.process.at_step = None

    async def _drain(self) -> None:
        """Wait until every source is dealt with; notes what is left when more time went by than anything can need."""
        deadline = self.loop.time() + max(place.longest for place in self.places.values())
        while any(place.left() for place in self.places.values()):
            if self.loop.time() > deadline:
                left = [one for place in self.places.values() for one in place.left()]
                self.stalled = f"stall: {len(left)} are still left to do, {left[0]} among them"
                return
            await asyncio.sleep(1.0)
            for deployment in self.deployments:
                self._start_again(deployment)


async def _nothing(_world: World) -> None:
    pass


def simulate(
    plan: Plan,
    *,
    verbose: bool = False,
    parts: Parts | None = None,
    beside: Callable[[World], Coroutine[None, None, None]] = _nothing,
) -> Verdict:
    """Run a world to its end and check it; `beside` runs at the same time and may look at it and change it."""
    history = History(verbose=verbose)
    loop = VirtualTimeLoop()
    broken: list[str] = []
    with _logs_into(history, loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        world = World(plan, loop, history, parts)

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


def _dropped(event: Mapping[str, Any], loop: VirtualTimeLoop, history: History) -> Dropped:
    """A line of the service's log; what it fails to say is empty here, and found missing."""
    return Dropped(
        process=running_process(),
        mapping=str(event["mapping"]),
        lane=str(event.get("shard", event.get("partition", event.get("lane", "")))),
        reason=str(event["reason"]),
        positions=str(event["positions"]),
        events=int(event["events"]),
        invokes=int(event["invokes"]),
        at=loop.time(),
        incarnation=history.newest(running_process(), str(event["mapping"])),
    )


@contextlib.contextmanager
def _logs_into(history: History, loop: VirtualTimeLoop) -> Iterator[None]:
    """What the service logs belongs to the run: errors always, the rest in a verbose one."""

    def keep(_logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
        error = event.pop("exc_info", None)
        if isinstance(error, BaseException):
            event["error"] = _root(error)
        if method in {"error", "critical"} and not history.over:
            history.errors.append(str(event))
            if event.get("event") == "events dropped":
                history.dropped.append(_dropped(event, loop, history))
        history.say(loop.time(), f"[{method}]", event)
        raise structlog.DropEvent

    before = structlog.get_config()
    level = logging.DEBUG if history.verbose else logging.ERROR
    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(level))
    try:
        yield
    finally:
        structlog.configure(**before)
