"""Knows a consumer as a Kafka source sees it: the calls behind each question, and what goes on in it by itself.

It does as aiokafka does: what cannot be reached is asked again for a while, records are fetched before they are taken,
and heartbeats go on while `revoked` is awaited. Behind it stand a `Topic` and a `Coordinator`.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from outboard.aws.calls import CallFailed
from outboard.sources.kafka.consumer import ConsumerError, Earliest, Group, Latest, Message, NotOurs, Start
from tests.simulation.group import DIVIDED, OKAY, REBALANCE, UNKNOWN_MEMBER, Coordinator, Joined
from tests.simulation.history import Caller, Exchange, Ownership
from tests.simulation.kafka_questions import AGAIN, PATIENCE, Complaint, Questions
from tests.simulation.kafka_reading import Readings
from tests.simulation.network import Answer, Network
from tests.simulation.topic import PartitionLog, Topic

#: Seconds for leaving the group, and between two heartbeats.
_LEAVING = 5.0
_HEARTBEAT = 3.0


class SimulatedConsumer:
    """A `Consumer` for one caller. Not `fenced`, its commits are taken whoever has the partitions: a bug, planted."""

    def __init__(
        self, topic: Topic, group: Coordinator, caller: Caller, network: Network, *, page_bytes: int = 1_048_576
    ) -> None:
        self.brokers = f"{topic.name}.example:9092"
        self.fenced = True
        self._topic = topic
        self._coordinator = group
        self._caller = caller
        self._history = network.history
        self._loop = network.loop
        self._questions = Questions(caller, network)
        self._readings = Readings(topic, self._questions, page_bytes, self._start_task)
        self._member, self._generation = "", -1
        self._assigned: frozenset[int] | None = None
        self._ours = asyncio.Event()
        self._divided = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._owns: Ownership | None = None
        self._sent = itertools.count()
        self._served = -1

    # Questions

    async def start(self) -> None:
        try:
            await self._questions.ask("Metadata", lambda: OKAY, patience=2 * PATIENCE)
        except ConsumerError as error:
            raise ConsumerError(error.error_type, error.message, fatal=True) from None

    async def partitions(self) -> frozenset[int]:
        found: frozenset[int] = await self._questions.ask("Metadata", lambda: self._topic.partitions)
        return found

    async def committed(self, partitions: frozenset[int]) -> Mapping[int, int]:
        known = self._coordinator.offsets
        found: Mapping[int, int] = await self._questions.ask(
            "OffsetFetch", lambda: {number: known[number] for number in sorted(partitions) if number in known}
        )
        return found

    async def offsets(self, partitions: frozenset[int], start: Start) -> Mapping[int, int]:
        logs = {number: self._topic.logs[number] for number in sorted(partitions)}
        found: Mapping[int, int] = await self._questions.ask(
            "ListOffsets", lambda: {number: _offset(log, start) for number, log in logs.items()}
        )
        return found

    async def give_start(self, offsets: Mapping[int, int]) -> None:
        """Of any partition, and once: in this generation or not at all."""
        member, generation = self._member, self._generation
        if self._assigned is None or generation < 0:
            raise NotOurs
        serve = partial(self._coordinator.commit, member, generation, self._caller, offsets, start=True)
        result = await self._questions.try_once("OffsetCommit", serve, self._loop.time() + PATIENCE)
        if result is None:
            raise self._questions.trouble or ConsumerError("KafkaTimeout", "the cluster did not answer")
        if result != OKAY:
            raise NotOurs

    async def commit(self, offsets: Mapping[int, int]) -> None:
        if self._assigned is None or not offsets.keys() <= self._assigned:
            raise NotOurs
        deadline = self._loop.time() + PATIENCE
        while True:
            member, generation = self._member, self._generation
            if generation < 0:
                raise NotOurs  # a broker would take it for the commit of somebody who is no member, if there are none
            # Whoever we are when it is sent, and when it is sent once more.
            serve = self._in_order(
                partial(self._coordinator.commit, member, generation, self._caller, offsets, fenced=self.fenced)
            )
            result = await self._questions.try_once("OffsetCommit", serve, deadline)
            if result == OKAY:
                return
            if result is not None:
                raise NotOurs
            await asyncio.sleep(AGAIN)

    def _in_order(self, serve: Callable[[], str]) -> Callable[[], str]:
        """They go over one connection, which keeps their order: one that comes after a later one was made before it."""
        number = next(self._sent)

        def served() -> str:
            if number < self._served:
                return OKAY
            self._served = number
            return serve()

        return served

    # The group

    def join(self, group: Group) -> None:
        self._start_task(self._be_a_member(group), "member")

    async def _be_a_member(self, group: Group) -> None:
        while True:
            self._ours.clear()
            if self._owns is not None:
                self._owns.asked = self._loop.time()
            await group.revoked()
            if self._beating is not None:
                self._beating.cancel()
            self._disown()
            joined = await self._join_again()
            self._member, self._generation = joined.member, joined.generation
            self._readings.end_all()
            self._assigned = joined.partitions
            self._owns = Ownership(self._caller, joined.partitions, joined.generation, self._loop.time())
            self._history.ownerships.append(self._owns)
            self._divided.clear()
            self._beating = self._start_task(self._beat(), "heartbeats")
            self._ours.set()
            group.assigned(joined.partitions)
            await self._divided.wait()

    async def _join_again(self) -> Joined:
        while True:
            reply: Any = None
            with contextlib.suppress(CallFailed):
                serve = partial(self._serve_join, self._member)
                reply = await self._questions.call("JoinGroup", REBALANCE + 5.0, serve)
            if isinstance(reply, Joined):
                return reply
            if reply == UNKNOWN_MEMBER:
                self._member, self._generation = "", -1
            await asyncio.sleep(AGAIN)

    def _serve_join(self, member: str, _call: Exchange, answer: Answer) -> None:
        self._coordinator.join(member, self._caller, answer)

    async def _beat(self) -> None:
        pause = _HEARTBEAT
        while True:
            await asyncio.sleep(pause)
            serve = partial(self._serve_heartbeat, self._member, self._generation)
            try:
                reply = await self._questions.call("Heartbeat", 10.0, serve)
            except CallFailed:
                pause = AGAIN
                continue
            pause = _HEARTBEAT if reply in {OKAY, DIVIDED} else AGAIN
            if reply == OKAY or isinstance(reply, Complaint):
                continue
            if reply != DIVIDED:
                self._member, self._generation = "", -1
            self._divided.set()
            if reply != DIVIDED:
                return

    def _serve_heartbeat(self, member: str, generation: int, _call: Exchange, answer: Answer) -> None:
        answer(self._coordinator.heartbeat(member, generation))

    def _disown(self) -> None:
        if self._owns is not None:
            self._owns.until = self._loop.time()
            self._owns = None

    async def stop(self) -> None:
        self._questions.stopped = True
        self._readings.end_all()
        for task in self._tasks:
            task.cancel()
        self._disown()
        self._assigned = None
        if self._member:
            member, self._member = self._member, ""
            with contextlib.suppress(CallFailed):
                await self._questions.call(
                    "LeaveGroup", _LEAVING, lambda _call, answer: answer(self._coordinator.leave(member))
                )

    # Reading

    def seek(self, partition: int, offset: int) -> None:
        self._must_be_ours(partition)
        self._readings.begin(partition, offset)

    def pause(self, partition: int) -> None:
        self._must_be_ours(partition)
        self._readings.end(partition)

    def _must_be_ours(self, partition: int) -> None:
        if partition not in (self._assigned or ()):
            raise ConsumerError("IllegalStateError", f"partition {partition} is not assigned")

    async def take(self, partition: int, limit: int, seconds: float) -> Sequence[Message]:
        until = self._loop.time() + seconds
        while True:
            await self._ours.wait()
            records = self._readings.take(partition, limit)
            if records is not None:
                return records
            left = until - self._loop.time()
            if left <= 0:
                return ()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._readings.change(partition)

    async def position(self, partition: int) -> int:
        self._must_be_ours(partition)
        position = self._readings.position(partition)
        if position is None:
            raise ConsumerError("IllegalStateError", f"partition {partition} has no position")
        return position

    def end(self, partition: int) -> int | None:
        return self._readings.ends.get(partition)

    def fetched(self, partition: int) -> float:
        return self._readings.answered.get(partition, 0.0)

    async def renew(self) -> None:
        """There are no certificates."""

    def trouble(self) -> ConsumerError | None:
        return self._questions.trouble

    def _start_task(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = self._loop.create_task(work, name=f"{name} of {self._caller}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _offset(log: PartitionLog, start: Start) -> int:
    match start:
        case Earliest():
            return log.start
        case Latest():
            return log.end
        case _:
            return log.since(start.moment)
