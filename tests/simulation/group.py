"""Knows a consumer group as its coordinator does: members, generations, who has which partition, and offsets, which last."""

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.simulation.history import Caller, Committed, History
from tests.simulation.loop import VirtualTimeLoop
from tests.simulation.topic import Topic

#: Seconds without a sign of life after which a member is taken for dead, and for which others wait for one to come back.
SESSION = 10.0
REBALANCE = 60.0
#: Seconds for which the coordinator waits for others when an empty group gets its first member, at most.
_FIRST = 3.0
#: Seconds until somebody notices that there are more partitions, at most.
_NOTICED = 5.0

#: What a member is told instead of what it asked for.
UNKNOWN_MEMBER, ILLEGAL_GENERATION, DIVIDED = "UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS"
OKAY = "NONE"


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of joining."""

    member: str
    generation: int
    partitions: frozenset[int]


@dataclass(slots=True)
class _Member:
    caller: Caller
    heard: float
    generation: int = -1
    partitions: frozenset[int] = frozenset()
    #: To whom its part is told; None: it has not come back yet.
    answer: Callable[[Joined | str], None] | None = None


class Coordinator:
    """One group of one topic. Answers come at once, but for those to `join`."""

    def __init__(self, loop: VirtualTimeLoop, rng: random.Random, topic: Topic, history: History) -> None:
        self.offsets: dict[int, int] = {}
        self.generation = 0
        self._loop = loop
        self._rng = rng
        self._topic = topic
        self._history = history
        self._members: dict[str, _Member] = {}
        self._numbers = itertools.count(1)
        self._outside = loop.outside()
        self._dividing: asyncio.TimerHandle | None = None
        topic.grown = lambda: self._later(rng.uniform(0.1, _NOTICED), self.divide)

    def _later(self, delay: float, act: Callable[..., None], *args: object) -> asyncio.TimerHandle:
        return self._loop.call_later(delay, act, *args, context=self._outside)

    @property
    def empty(self) -> bool:
        return not self._members

    # What members ask

    def join(self, member: str, caller: Caller, answer: Callable[[Joined | str], None]) -> None:
        """`member` is "" for one that is new."""
        known = self._members.get(member)
        if member and known is None:
            answer(UNKNOWN_MEMBER)
            return
        if known is None:
            member = f"{caller}#{next(self._numbers)}"
            known = self._members[member] = _Member(caller, self._loop.time())
            self._later(SESSION, self._look_after, member)
        elif self._dividing is None and known.generation == self.generation:
            answer(Joined(member, self.generation, known.partitions))  # the first answer was lost
            return
        first = len(self._members) == 1 and self._dividing is None
        known.answer, known.heard = answer, self._loop.time()
        if first:
            self._dividing = self._later(self._rng.uniform(0.0, _FIRST), self._finish)
            return
        self.divide()
        self._finish_if_complete()

    def heartbeat(self, member: str, generation: int) -> str:
        known = self._members.get(member)
        if known is None:
            return UNKNOWN_MEMBER
        if generation != self.generation:
            return ILLEGAL_GENERATION
        known.heard = self._loop.time()
        return OKAY if self._dividing is None else DIVIDED

    def leave(self, member: str) -> str:
        if member in self._members:
            self._remove(member, "leaves")
        return OKAY

    def commit(
        self,
        member: str,
        generation: int,
        caller: Caller,
        offsets: Mapping[int, int],
        *,
        fenced: bool = True,
        start: bool = False,
    ) -> str:
        """Without a member's name it is taken only while there are no members. `start`: it says where to begin."""
        if fenced and generation < 0 and self._members:
            return UNKNOWN_MEMBER
        if fenced and generation >= 0:
            known = self.heartbeat(member, generation)
            if known not in {OKAY, DIVIDED}:
                return known
        for partition, offset in offsets.items():
            before, self.offsets[partition] = self.offsets.get(partition), offset
            self._history.commits.append(Committed(caller, partition, offset, before, self._loop.time(), start))
        self._history.say(self._loop.time(), caller, "has committed", dict(offsets))
        return OKAY

    # Dividing

    def divide(self) -> None:
        """Everybody is to come back, and hears of it with the next heartbeat."""
        if self._dividing is None and self._members:
            self._dividing = self._later(REBALANCE, self._finish)
            self._history.say(self._loop.time(), self._topic.name, "is being divided anew")

    def _finish_if_complete(self) -> None:
        if self._dividing is not None and all(member.answer is not None for member in self._members.values()):
            self._finish()

    def _finish(self) -> None:
        """Who has not come back is out."""
        if self._dividing is not None:
            self._dividing.cancel()
        self._dividing = None
        for name, member in list(self._members.items()):
            if member.answer is None:
                self._evict(name)
        self.generation += 1
        parts = self._parts()
        for name, member in self._members.items():
            answer, member.answer = member.answer, None
            member.generation, member.partitions, member.heard = self.generation, parts[name], self._loop.time()
            if answer is not None:
                answer(Joined(name, self.generation, member.partitions))
        shown = {name: sorted(partitions) for name, partitions in parts.items()}
        self._history.say(self._loop.time(), self._topic.name, "generation", self.generation, shown)

    def _parts(self) -> dict[str, frozenset[int]]:
        """Even parts; mostly everybody keeps what it had as far as it can."""
        names, left = list(self._members), set(self._topic.partitions)
        if not names:
            return {}
        fewest, more = divmod(len(left), len(names))
        sticky = self._rng.random() < 0.8
        had = {name: self._members[name].partitions if sticky else frozenset() for name in names}
        names.sort(key=lambda name: -len(had[name]))
        parts: dict[str, set[int]] = {}
        for position, name in enumerate(names):
            most = fewest + (position < more)
            parts[name] = set(sorted(had[name] & left)[:most])
            left -= parts[name]
        for position, name in enumerate(names):
            while len(parts[name]) < fewest + (position < more):
                partition = self._rng.choice(sorted(left))
                parts[name].add(partition)
                left.discard(partition)
        return {name: frozenset(partitions) for name, partitions in parts.items()}

    def _look_after(self, name: str) -> None:
        member = self._members.get(name)
        if member is None:
            return
        waited = self._loop.time() - member.heard
        if member.answer is None and waited >= SESSION - 1e-6:
            self._remove(name, "is taken for dead")
        else:
            rest = SESSION if member.answer is not None else SESSION - waited
            self._later(max(rest, 0.001), self._look_after, name)

    def _evict(self, name: str) -> None:
        member = self._members.pop(name)
        self._history.evictions.append((self._loop.time(), member.caller))

    def _remove(self, name: str, why: str) -> None:
        self._history.say(self._loop.time(), name, why)
        if why == "leaves":
            del self._members[name]
        else:
            self._evict(name)
        if not self._members:
            if self._dividing is not None:
                self._dividing.cancel()
            self._dividing = None
            self.generation += 1
        elif self._dividing is None:
            self.divide()
        else:
            self._finish_if_complete()
