"""Knows which messages a workload is made of and when each is due, and remembers what was accepted."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from outboard.demo.world import Message, Nature, Source, Workload

#: Seconds between two rounds of sending.
TICK = 0.25
#: No round sends more than this, so that a machine that fell behind catches up gently.
LARGEST_ROUND = 100


def message(workload: Workload, number: int) -> Message:
    """The workload's message of this number, which counts from 1."""
    nature = _nature(workload, number)
    identifier = f"{workload.name.removesuffix('.fifo')}-{number:06d}"
    key = f"customer-{number % workload.keys}" if workload.keys else ""
    body = {
        "id": identifier,
        "customer": key or f"customer-{number % 97}",
        "total": round(5 + number * 7.31 % 120, 2),
        "address": None if nature is Nature.POISON else f"{1 + number % 240} Harbour Street",
        "carrier": "unsteady" if nature is Nature.FLAKY else "steady",
    }
    return Message(identifier, number, key, nature, json.dumps(body))


def _nature(workload: Workload, number: int) -> Nature:
    if workload.poison_every and number % workload.poison_every == 0:
        return Nature.POISON
    if workload.flaky_every and number % workload.flaky_every == 0:
        return Nature.FLAKY
    return Nature.SOUND


def due(elapsed: float, rate: float, sent: int) -> int:
    """How many messages to send now, `elapsed` seconds after the start, to have kept `rate` a second."""
    return max(0, min(int(elapsed * rate) - sent, LARGEST_ROUND))


@dataclass(slots=True)
class Load:
    """Sends at `rate` messages a second, all workloads together, and keeps what the sources accepted, in order."""

    rate: float
    produced: dict[str, list[Message]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(len(messages) for messages in self.produced.values())

    async def run(self, sources: Sequence[Source], stop: asyncio.Event, clock: Callable[[], float]) -> None:
        """Send to every source until `stop`."""
        pairs = [(source, workload) for source in sources for workload in source.workloads]
        shares = sum(workload.share for _, workload in pairs)
        async with asyncio.TaskGroup() as group:
            for source, workload in pairs:
                sending = self._send(source, workload, self.rate * workload.share / shares, stop, clock)
                group.create_task(sending, name=f"load of {workload.name}")

    async def _send(
        self, source: Source, workload: Workload, rate: float, stop: asyncio.Event, clock: Callable[[], float]
    ) -> None:
        accepted = self.produced.setdefault(workload.name, [])
        start = clock()
        while not stop.is_set():
            first = len(accepted) + 1
            count = due(clock() - start, rate, len(accepted))
            messages = [message(workload, number) for number in range(first, first + count)]
            if messages:
                await source.send(workload, messages)
                accepted += messages
            await pause(stop, TICK)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait for `seconds`, or until `stop`."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
