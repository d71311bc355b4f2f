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

    async def run(self) -> dict[str, int]:
        """Returns the mappings that had not drained in time and were ended, with the invokes each had under way."""
        unfinished: dict[str, int] = {}
        async with asyncio.TaskGroup() as group:
            tasks = {group.create_task(mapping.run(), name=mapping.name): mapping for mapping in self._mappings}
            await self._stop.wait()
            for mapping in self._mappings:
                mapping.stop()
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=self._drain_timeout)
                for task in late:
                    unfinished[tasks[task].name] = tasks[task].in_flight
                    task.cancel()
        return unfinished
