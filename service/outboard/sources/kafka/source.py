"""Knows how a Kafka mapping runs: connects, joins the group, works off what it is assigned, drains."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from outboard.core import backoff
from outboard.core.ports import Allowance, Lanes, SourceFailed
from outboard.core.price import Price
from outboard.events.kafka import ClusterFacts
from outboard.observe.mapping import MappingObserver, MappingState
from outboard.sources.holdings import Holdings
from outboard.sources.interruption import Interruption
from outboard.sources.kafka.beginning import FirstStart
from outboard.sources.kafka.consumer import Consumer, ConsumerError, FetchLimits
from outboard.sources.kafka.desk import TopicDesk, fetch_limits
from outboard.sources.kafka.errors import UNTRUSTED
from outboard.sources.kafka.feed import PartitionFeed
from outboard.sources.kafka.membership import Membership

#: Seconds between two looks at the way to the cluster, and at most between two for a topic that is not there.
_LOOK_EVERY = 1.0
_TOPIC_EVERY = 10.0

#: Seconds between two looks for other certificates while the brokers' own are not trusted.
_RENEW_EVERY = 10.0

#: Seconds for leaving the group once the time to drain is over.
_LAST_MOMENT = 0.5

#: Partitions that a topic is taken to have until it is known.
_USUAL = 8


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """What a Kafka source needs beside its consumer.

    Attributes:
        arn: the cluster's; None for a self-managed one.
        first: where to start if the group has no offsets, as of now.
        memory: this mapping's part of the bytes that all mappings may hold.
    """

    topic: str
    arn: str | None
    first: FirstStart
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
        self._consumer: Consumer | None = None
        self._member: Membership | None = None
        self._interruption = Interruption()
        self._failures = 0
        self._trouble: ConsumerError | None = None
        self._renew_at = 0.0
        self._now = asyncio.get_running_loop().time

    def stop(self) -> None:
        self._interruption.request()
        if self._member is not None:
            self._member.stop_lanes()

    async def run(self, lanes: Lanes) -> None:
        settings = self._settings
        settings.allowance.give_back(settings.allowance.used)  # what an earlier run that crashed has left behind
        lanes.hold()
        try:
            if await self._interruption.done(self._begin):
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
                consumer=consumer,
                topic=settings.topic,
                journal=member,
                holdings=Holdings(settings.allowance, settings.observer),
                price=Price(),
                observer=settings.observer,
                jitter=settings.jitter,
            )
            member.begin(desk, ClusterFacts(settings.arn, consumer.brokers), settings.first, self._make_feed)
            try:
                while await self._interruption.done(self._wait) and await self._interruption.done(self._look):
                    pass
            except SourceFailed as failure:
                # Said at once: the lanes may take as long as an invoke to end.
                settings.observer.polling_failed(failure.error_type, failure.message)
                await member.drain()
                raise
            await member.drain()

    # Beginning

    async def _begin(self) -> None:
        settings = self._settings
        try:
            limits = fetch_limits(settings.memory, _USUAL)
            partitions = await self._connected(limits)
            fitting = fetch_limits(settings.memory, len(partitions))
            if fitting.partition < limits.partition:
                await self._disconnect()
                await self._connected(fitting)
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
            settings.first.is_over()  # whatever it will hold was written after the mapping began
            missing = (
                f"there is no topic {settings.topic} that we may see; create it, grant Describe, or correct Topics"
            )
            settings.observer.source_failed("UnknownTopic", missing)
            await asyncio.sleep(min(_TOPIC_EVERY, backoff.delay(failures, settings.jitter())))
        return partitions

    async def _disconnect(self) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

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
        await self._tell_trouble()
        try:
            await self._member.take_up()
        except ConsumerError as error:
            if error.fatal:
                raise SourceFailed(error.error_type, error.message) from None
            self._failures += 1
            self._settings.observer.polling_failed(error.error_type, error.message)
        else:
            if self._failures and self._trouble is None:
                self._settings.observer.polled(0, 0, 0.0)
            self._failures = 0

    async def _tell_trouble(self) -> None:
        """What lasts from one look to the next is no hiccup of a rebalance any more."""
        assert self._consumer is not None
        assert self._member is not None
        before, self._trouble = self._trouble, self._consumer.trouble() or self._member.trouble()
        if self._trouble is None:
            if before is not None:
                self._settings.observer.polled(0, 0, 0.0)
            return
        if self._trouble.fatal:
            raise SourceFailed(self._trouble.error_type, self._trouble.message)
        if before is not None:
            self._settings.observer.polling_failed(self._trouble.error_type, self._trouble.message)
        if self._trouble.error_type == UNTRUSTED and self._now() >= self._renew_at:
            self._renew_at = self._now() + _RENEW_EVERY
            with suppress(ConsumerError):  # the trouble is told of already
                await self._consumer.renew()
