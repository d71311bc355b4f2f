"""Knows aiokafka: one member of a consumer group, as a Kafka source asks for it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, assert_never

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from outboard.events.kafka import Message
from outboard.sources.kafka import complaints, errors, library
from outboard.sources.kafka.consumer import (
    ConsumerError,
    ConsumerSpec,
    Earliest,
    FetchLimits,
    Group,
    Latest,
    NotOurs,
    OffsetOutOfRange,
    Since,
    Start,
    Way,
)
from outboard.sources.kafka.tls import trust

#: A member that says nothing for so long is taken for dead, and how often it says something; milliseconds.
SESSION_MS = 10_000
_HEARTBEAT_MS = 3_000

#: So long the group waits for a member that still has something to finish, milliseconds; ours takes 20 s at most.
REBALANCE_MS = 60_000

#: aiokafka would leave the group after so long without a read, milliseconds. A function may take long, and a member
#: without a partition never reads; brokers are not told.
_NEVER_MS = 10**15

#: Partitions that were added, and brokers that moved, are seen after so long, milliseconds.
_METADATA_MS = 60_000

#: Seconds that leaving a cluster may take.
_LEAVING = 5.0


class GroupMember:
    """One member, from `start` to `stop`."""

    def __init__(self, spec: ConsumerSpec, fetch: FetchLimits, way: Callable[[], Awaitable[Way]]) -> None:
        """`way` finds out how the cluster is reached, anew for each start; raises `ConsumerError`."""
        self._spec = spec
        self._fetch = fetch
        self._find_way = way
        self._consumer: Any = None  # an AIOKafkaConsumer, from `start` on
        self._said: tuple[float, ConsumerError] | None = None
        self._way: Way | None = None
        self.brokers = spec.brokers

    async def start(self) -> None:
        self._way = way = await self._find_way()
        self.brokers = way.brokers
        complaints.listen()
        # Whatever the library starts inherits this context, and with it who is told of its errors.
        told = complaints.listener.set(self._heard)
        try:
            self._consumer = self._made(way)
            async with asyncio.timeout(2 * errors.PATIENCE):
                await self._consumer.start()
            library.see_refusals(self._consumer)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.stop()
            reason = self._said[1].message if self._said else str(error) or "it took too long"
            code = self._said[1].error_type if self._said else type(error).__name__
            remedy = errors.REMEDIES.get(code, "check the brokers' addresses, Tls and the network")
            message = f"cannot connect to {way.brokers}: {reason}; {remedy}"
            raise ConsumerError(code, message, fatal=True) from None
        finally:
            complaints.listener.reset(told)

    def _made(self, way: Way) -> AIOKafkaConsumer:
        # The library keeps what was assigned on the class: each consumer has its own, or mappings would share it.
        sticky = type("Sticky", (StickyPartitionAssignor,), {})
        return AIOKafkaConsumer(
            bootstrap_servers=way.brokers.split(","),
            client_id=f"outboard-{self._spec.mapping}",
            group_id=self._spec.group,
            security_protocol="SSL" if way.tls else "PLAINTEXT",
            ssl_context=way.tls,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=(sticky,),  # of several the library would join once for each
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            max_poll_interval_ms=_NEVER_MS,
            metadata_max_age_ms=_METADATA_MS,
            max_partition_fetch_bytes=self._fetch.partition,
            fetch_max_bytes=self._fetch.broker,
        )

    async def partitions(self) -> frozenset[int]:
        topic = self._spec.topic
        with errors.translated():
            async with asyncio.timeout(errors.PATIENCE):
                if topic not in await self._consumer.topics():
                    return frozenset()
                await self._consumer.beginning_offsets(
                    [TopicPartition(topic, 0)]
                )  # which learns what the topic is like
            return frozenset(self._consumer.partitions_for_topic(topic) or ())

    def join(self, group: Group) -> None:
        self._consumer.subscribe([self._spec.topic], listener=_Listener(self._consumer, group))

    async def stop(self) -> None:
        if self._consumer is not None:
            await library.close(self._consumer, _LEAVING)

    async def committed(self, partitions: frozenset[int]) -> Mapping[int, int]:
        found: dict[int, int] = {}
        with errors.translated():
            async with asyncio.timeout(errors.PATIENCE):
                for partition in sorted(partitions):
                    offset = await self._consumer.committed(self._tp(partition))
                    if offset is not None:
                        found[partition] = offset
        return found

    async def offsets(self, partitions: frozenset[int], start: Start) -> Mapping[int, int]:
        consumer, tps = self._consumer, [self._tp(partition) for partition in partitions]
        with errors.translated():
            async with asyncio.timeout(errors.PATIENCE):
                match start:
                    case Earliest():
                        found = await consumer.beginning_offsets(tps)
                    case Latest():
                        found = await consumer.end_offsets(tps)
                    case Since(moment):
                        ends = await consumer.end_offsets(tps)  # first: what comes in between must not be passed over
                        moments = await consumer.offsets_for_times(dict.fromkeys(tps, int(moment * 1000)))
                        found = {tp: moments[tp].offset if moments[tp] else ends[tp] for tp in tps}
                    case _:
                        assert_never(start)
        return {tp.partition: offset for tp, offset in found.items()}

    def seek(self, partition: int, offset: int) -> None:
        tp = self._tp(partition)
        with errors.translated():
            self._consumer.seek(tp, offset)
            self._consumer.resume(tp)

    def pause(self, partition: int) -> None:
        tp = self._tp(partition)
        with errors.translated():
            self._consumer.pause(tp)
            library.forget(self._consumer, tp)

    async def take(self, partition: int, limit: int, seconds: float) -> Sequence[Message]:
        tp = self._tp(partition)
        try:
            found = await self._consumer.getmany(tp, timeout_ms=int(seconds * 1000), max_records=limit)
        except OffsetOutOfRangeError as error:
            raise OffsetOutOfRange(partition, next(iter(error.args[0].values()))) from None
        except CorruptRecordException as error:
            message = f"partition {partition} holds a record that fails its check sum: {error}; it is tried again"
            raise ConsumerError("CorruptRecord", message) from None
        except (IllegalStateError, NoOffsetForPartitionError):
            # It went elsewhere while we waited; or the library looked for an offset just before we gave it one.
            return ()
        except (KafkaError, ConsumerStoppedError) as error:
            raise self._failed(error) from None
        except Exception as error:
            # A header's name that is no text, a batch that cannot be unpacked: it is this partition's trouble alone.
            message = f"partition {partition} holds a record that cannot be read: {type(error).__name__}: {error}"
            raise ConsumerError("UnreadableRecord", message) from error
        messages: Sequence[Message] = found.get(tp, ())
        return messages

    async def position(self, partition: int) -> int:
        with errors.translated():
            async with asyncio.timeout(errors.PATIENCE):
                return int(await self._consumer.position(self._tp(partition)))

    def end(self, partition: int) -> int | None:
        with contextlib.suppress(AssertionError):  # it is not ours any more
            end: int | None = self._consumer.highwater(self._tp(partition))
            return end
        return None

    def fetched(self, partition: int) -> float:
        with contextlib.suppress(AssertionError):
            return float(self._consumer.last_poll_timestamp(self._tp(partition)) or 0) / 1000
        return 0.0

    def trouble(self) -> ConsumerError | None:
        if not library.is_fetching(self._consumer):
            return ConsumerError("FetcherEnded", "the consumer has stopped fetching; it starts again", fatal=True)
        try:
            library.raise_what_waits(self._consumer)
        except KafkaError as error:
            return self._failed(error)
        if self._said is None:
            return None
        at, said = self._said
        if time.time() - at > errors.TROUBLE_LASTS or any(
            self.fetched(tp.partition) > at for tp in self._consumer.assignment()
        ):
            self._said = None
            return None
        return said

    async def renew(self) -> None:
        if self._way is None or self._way.tls is None or self._way.ca is None:
            return  # what the system trusts is the system's business
        with errors.translated():
            async with asyncio.timeout(errors.PATIENCE):  # a file may lie on a disk that hangs
                found = await self._find_way()
        if found.ca is not None:
            trust(self._way.tls, found.ca)

    async def commit(self, offsets: Mapping[int, int]) -> None:
        if not library.is_member(self._consumer):
            raise NotOurs
        with errors.translated(errors.NOT_OURS):
            async with asyncio.timeout(errors.PATIENCE):
                await self._consumer.commit({self._tp(partition): offset for partition, offset in offsets.items()})

    async def give_start(self, offsets: Mapping[int, int]) -> None:
        with errors.translated(errors.NOT_OURS):
            async with asyncio.timeout(errors.PATIENCE):
                await library.commit_once(
                    self._consumer, {self._tp(partition): offset for partition, offset in offsets.items()}
                )

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._spec.topic, partition)

    def _heard(self, error_type: str, text: str) -> None:
        now = time.time()
        if self._said is not None and errors.still_says_why(self._said[1], now - self._said[0], error_type):
            return
        self._said = (now, ConsumerError(error_type, text))

    def _failed(self, error: Exception) -> ConsumerError:
        """What ended the library's own tasks ends this consumer; what a broker refused may be granted later."""
        ended = isinstance(error, errors.ENDS) or type(error) is KafkaError
        return ConsumerError(type(error).__name__, str(error) or type(error).__name__, fatal=ended)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the library insists on its own class
    """Passes on what the group is told."""

    def __init__(self, consumer: AIOKafkaConsumer, group: Group) -> None:
        self._consumer = consumer
        self._group = group

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 - always all of them
        await self._group.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._consumer.pause(*assigned)  # nothing is to be fetched from where the library thinks it should be
        self._group.assigned(frozenset(tp.partition for tp in assigned))
