"""Knows how a Kafka mapping runs: connects, sees to it that the group has a start, works off what it is assigned."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from outboard.core import backoff
from outboard.core.ports import Allowance, Lanes, SourceFailed
from outboard.core.price import Price
from outboard.events.kafka import ClusterFacts
from outboard.observe.mapping import MappingObserver, MappingState
from outboard.sources.kafka.consumer import Consumer, ConsumerError, Earliest, FetchLimits, NotOurs, Start
from outboard.sources.kafka.desk import TopicDesk, fetch_limits
from outboard.sources.kafka.feed import PartitionFeed
from outboard.sources.kafka.membership import Membership

#: Seconds between two looks at the way to the cluster, and at most between two for a topic that is not there.
_LOOK_EVERY = 1.0
_TOPIC_EVERY = 10.0

#: Seconds for leaving the group once the time to drain is over.
_LAST_MOMENT = 0.5

#: Partitions that a topic is taken to have until it is known.
_USUAL = 8


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """What a Kafka source needs beside its consumer.

    Attributes:
        arn: the cluster's; None for a self-managed one.
        start: where to start if the group has no offsets, as of now.
        memory: bytes that all mappings together may hold.
    """

    topic: str
    arn: str | None
    start: Start
    allowance: Allowance
    observer: MappingObserver
    jitter: Callable[[], float]
    memory: int


class KafkaSource:
    """The source of one Kafka mapping. `connect` makes a consumer for a run of it; `feed` makes a partition's feed."""

    def __init__(
        self,
        connect: Callable[[FetchLimits], Consumer],
        settings: KafkaSettings,
        feed: Callable[[TopicDesk, int, int], PartitionFeed] = PartitionFeed,
    ) -> None:
        self._connect = connect
        self._settings = settings
        self._make_feed = feed
        self._start = settings.start
        self._consumer: Consumer | None = None
        self._member: Membership | None = None
        self._stopping = False
        self._at_work: asyncio.Timeout | None = None
        self._failures = 0
        self._trouble: ConsumerError | None = None
        self._now = asyncio.get_running_loop().time

    def stop(self) -> None:
        self._stopping = True
        if self._at_work is not None and not self._at_work.expired():
            self._at_work.reschedule(self._now())
        if self._member is not None:
            self._member.stop_lanes()

    async def run(self, lanes: Lanes) -> None:
        settings = self._settings
        settings.allowance.give_back(settings.allowance.used)  # what an earlier run that crashed has left behind
        lanes.hold()
        try:
            if await self._unless_stopped(self._begin):
                settings.observer.state(MappingState.ENABLED, "")
                await self._work(lanes)
        finally:
            try:
                await self._leave()
            finally:
                lanes.go_on()

    async def _leave(self) -> None:
        """Leave the group; where the time to drain is over, only if that is quick."""
        task = asyncio.current_task()
        late = task is not None and task.cancelling() > 0
        if self._consumer is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_MOMENT if late else None):
                    await self._consumer.stop()

    async def _work(self, lanes: Lanes) -> None:
        settings, consumer = self._settings, self._consumer
        assert consumer is not None
        async with asyncio.TaskGroup() as tasks:
            self._member = member = Membership(consumer, lanes, tasks, settings.observer, settings.jitter)
            desk = TopicDesk(
                *(consumer, settings.topic, member, settings.allowance, Price(), settings.observer, settings.jitter)
            )
            member.begin(desk, ClusterFacts(settings.arn, consumer.brokers), self._start, self._make_feed)
            try:
                while await self._unless_stopped(self._wait) and await self._unless_stopped(self._look):
                    pass
            except SourceFailed as failure:
                # Said at once: the lanes may take as long as an invoke to end.
                settings.observer.polling_failed(failure.error_type, failure.message)
                await member.drain()
                raise
            await member.drain()

    async def _unless_stopped(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do it; False: a stop came first, or cut it off."""
        try:
            async with asyncio.timeout(None) as self._at_work:
                if self._stopping:
                    return False
                await work()
        except TimeoutError:
            if not self._stopping:
                raise
        finally:
            self._at_work = None
        return not self._stopping

    # Beginning

    async def _begin(self) -> None:
        settings = self._settings
        try:
            limits = fetch_limits(settings.memory, _USUAL)
            partitions = await self._connected(limits)
            fitting = fetch_limits(settings.memory, len(partitions))
            if fitting.partition < limits.partition:
                await self._disconnect()
                partitions = await self._connected(fitting)
            await self._give_start(partitions)
        except ConsumerError as error:
            raise SourceFailed(error.error_type, error.message) from None
        settings.observer.polled(0, 0, 0.0)

    async def _connected(self, limits: FetchLimits) -> frozenset[int]:
        """Connect; returns the topic's partitions, which may have to be waited for."""
        settings = self._settings
        self._consumer = consumer = self._connect(limits)
        await consumer.start()
        failures = 0
        while not (partitions := await consumer.partitions()):
            failures += 1
            self._start = Earliest()  # whatever it will hold was written after the mapping began
            settings.observer.source_failed(
                "UnknownTopic", f"there is no topic {settings.topic}; create it, or correct Topics"
            )
            await asyncio.sleep(min(_TOPIC_EVERY, backoff.delay(failures, settings.jitter())))
        return partitions

    async def _disconnect(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def _give_start(self, partitions: frozenset[int]) -> None:
        """Where the mapping starts becomes the group's offsets before anybody reads, unless it has some: LATEST is what
        is the latest now, whatever crashes later.
        """
        consumer = self._consumer
        assert consumer is not None
        known = await consumer.committed(partitions)
        unknown = partitions - known.keys()
        if unknown:
            # Beside others that have an offset, these were added later: all of them is new.
            found = await consumer.offsets(unknown, Earliest() if known else self._start)
            with suppress(NotOurs):  # the group has members, and these have seen to it
                await consumer.commit(found)

    # Working

    async def _wait(self) -> None:
        """Until there is something to look at; after a look that failed, until its backoff is over."""
        assert self._member is not None
        if self._failures:
            await asyncio.sleep(backoff.delay(self._failures, self._settings.jitter()))
        else:
            await self._member.attention(_LOOK_EVERY)

    async def _look(self) -> None:
        """Take up what was assigned, and see how the way to the cluster is."""
        assert self._member is not None
        self._tell_trouble()
        try:
            await self._member.take_up()
        except ConsumerError as error:
            if error.fatal:
                raise SourceFailed(error.error_type, error.message) from None
            self._failures += 1
            self._settings.observer.polling_failed(error.error_type, error.message)
        else:
            self._failures = 0

    def _tell_trouble(self) -> None:
        """What lasts from one look to the next is no hiccup of a rebalance any more."""
        assert self._consumer is not None
        before, self._trouble = self._trouble, self._consumer.trouble()
        if self._trouble is not None and self._trouble.fatal:
            raise SourceFailed(self._trouble.error_type, self._trouble.message)
        if before is not None and self._trouble is not None:
            self._settings.observer.polling_failed(self._trouble.error_type, self._trouble.message)
        elif before is not None:
            self._settings.observer.polled(0, 0, 0.0)
