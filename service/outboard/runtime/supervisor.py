"""Knows all mappings of a process: runs them side by side, each after those in whose place it comes, drains them."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from outboard.runtime.waiting import Stop


class Member(Protocol):
    """What the supervisor runs: a mapping as one configuration has it."""

    @property
    def name(self) -> str: ...

    @property
    def in_flight(self) -> int:
        """Invokes under way."""

    def stop(self) -> None:
        """Finish the invokes under way, begin none, hand back the rest; before it runs, and once more, too."""

    async def run(self) -> None:
        """Until it is stopped and has drained."""


@dataclass(slots=True, eq=False)
class _Running:
    member: Member
    after: frozenset["_Running"]
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Supervisor:
    """Runs what it is given until `stop`, then waits for all to drain, `drain_timeout` seconds at most. A member that
    is stopped before is let drain as long as it takes.
    """

    def __init__(self, drain_timeout: float) -> None:
        self.drain_timeout = drain_timeout
        self._stop = Stop()
        self._running: dict[Member, _Running] = {}
        self._group: asyncio.TaskGroup | None = None

    def start(self, member: Member, after: Iterable[Member] = ()) -> None:
        """Run it once those before it have drained; before `run`, once that begins."""
        older = frozenset(self._running[it] for it in after if it in self._running)
        started = self._running[member] = _Running(member, older)
        if self._group is not None:
            self._begin(started, self._group)

    def runs(self, member: Member) -> bool:
        """Whether it has not drained yet, or not even begun."""
        return member in self._running

    def stop(self) -> None:
        self._stop.request()

    async def run(self) -> dict[str, int]:
        """Returns the mappings that had not drained in time and were ended, with the invokes each had under way."""
        unfinished: dict[str, int] = {}
        async with asyncio.TaskGroup() as group:
            self._group = group
            for waiting in list(self._running.values()):
                self._begin(waiting, group)
            await self._stop.wait()
            self._group = None
            running = list(self._running.values())
            for each in running:
                each.member.stop()
            tasks = {each.task: each.member for each in running if each.task is not None}
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=self.drain_timeout)
                for task in late:
                    unfinished[tasks[task].name] = unfinished.get(tasks[task].name, 0) + tasks[task].in_flight
                    task.cancel()
        return unfinished

    def _begin(self, running: _Running, group: asyncio.TaskGroup) -> None:
        running.task = group.create_task(self._run(running), name=running.member.name)

    async def _run(self, running: _Running) -> None:
        try:
            for older in running.after:
                await older.drained.wait()
            running.after = frozenset()  # a chain of changes is not kept in memory for ever
            await running.member.run()
        finally:
            running.drained.set()
            del self._running[running.member]
