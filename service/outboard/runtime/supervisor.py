"""Knows all mappings of a process: starts them side by side, drains them together within one bound."""

import asyncio
from collections.abc import Sequence

from outboard.runtime.mapping import MappingRun
from outboard.runtime.waiting import Stop


class Supervisor:
    """Runs every mapping until `stop`, then waits for them to drain, `drain_timeout` seconds at most."""

    def __init__(self, mappings: Sequence[MappingRun], drain_timeout: float) -> None:
        self._mappings = mappings
        self._drain_timeout = drain_timeout
        self._stop = Stop()

    def stop(self) -> None:
        self._stop.request()

    async def run(self) -> list[str]:
        """Returns the names of the mappings that had not drained in time; their tasks have been cancelled."""
        unfinished: list[str] = []
        async with asyncio.TaskGroup() as group:
            tasks = {group.create_task(mapping.run(), name=mapping.name) for mapping in self._mappings}
            await self._stop.wait()
            for mapping in self._mappings:
                mapping.stop()
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=self._drain_timeout)
                for task in late:
                    unfinished.append(task.get_name())
                    task.cancel()
        return sorted(unfinished)
