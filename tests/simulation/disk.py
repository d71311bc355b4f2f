"""Knows a disk that outlives processes, and how a process gets positions onto it: in their order, together, a moment later."""

import asyncio
import contextvars
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.simulation.history import History, Saved
from tests.simulation.loop import Process, VirtualTimeLoop

#: The longest that what was given waits for more, and for its process to hear that it is durable; seconds.
_GROUP, _TELL = 0.2, 0.02
#: Between two tries while the disk is full.
_AGAIN = 0.5


@dataclass(slots=True)
class Disk:
    """Positions by mapping and stream, then by shard. While it is `full`, nothing can be written."""

    rows: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    full: bool = False

    def write(self, saves: Sequence[Saved], now: float) -> None:
        for saved in saves:
            self.rows.setdefault((saved.mapping, saved.stream), {})[saved.shard] = saved.position
            saved.durable = now


class SimulatedCheckpoints:
    """The `Checkpoints` of one process, made in it; what is not on the disk when it is killed never will be."""

    def __init__(
        self,
        disk: Disk,
        process: Process,
        loop: VirtualTimeLoop,
        rng: random.Random,
        history: History,
        names: Mapping[str, str],
    ) -> None:
        """`names` of the mappings, by their UUIDs: the disk and the history know them by these."""
        self._disk = disk
        self._process = process
        self._loop = loop
        self._rng = rng
        self._history = history
        self._names = names
        self._inside = contextvars.copy_context()
        self._given: list[Saved] = []
        self._told = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._committing = self._over = False

    def end(self) -> None:
        """The process has ended by itself: what is not on the disk by now never will be."""
        self._over = True

    async def load(self, mapping: str, stream: str) -> Mapping[str, str]:
        await asyncio.sleep(self._rng.uniform(0.0, _TELL))
        name = self._names[mapping]
        pending = {
            one.shard: one.position
            for one in self._given
            if one.durable is None and (one.mapping, one.stream) == (name, stream)
        }
        return {**self._disk.rows.get((name, stream), {}), **pending}

    def save(self, mapping: str, stream: str, positions: Mapping[str, str]) -> None:
        now = self._loop.time()
        for shard, position in positions.items():
            saved = Saved(self._process, self._names[mapping], stream, shard, position, now)
            self._given.append(saved)
            self._history.saves.append(saved)
            self._history.say(now, self._process.name, "saves", saved.mapping, shard or stream, position)
        self._commit_soon(self._rng.uniform(0.0, _GROUP))

    def is_saved(self, mapping: str, stream: str) -> bool:
        name = self._names[mapping]
        return not any((given.mapping, given.stream) == (name, stream) for given in self._given)

    async def saved(self) -> None:
        if self._told < len(self._given):
            durable: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append((len(self._given), durable))
            await durable

    def _commit_soon(self, delay: float) -> None:
        if not self._committing:
            self._committing = True
            self._loop.call_later(delay, self._commit, context=self._inside)

    def _commit(self) -> None:
        self._committing = False
        if self._over:
            return
        if self._disk.full:
            self._commit_soon(_AGAIN)
            return
        new = [one for one in self._given[self._told :] if one.durable is None]
        self._disk.write(new, self._loop.time())
        self._history.say(self._loop.time(), self._process.name, "has", len(new), "positions more on the disk")
        count = len(self._given)
        self._loop.call_later(self._rng.uniform(0.0, _TELL), self._tell, count, context=self._inside)

    def _tell(self, count: int) -> None:
        self._told = max(self._told, count)
        for waits_for, durable in self._waiting:
            if waits_for <= self._told and not durable.done():
                durable.set_result(None)
        self._waiting = [(waits_for, durable) for waits_for, durable in self._waiting if not durable.done()]
