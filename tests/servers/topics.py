"""Creates Kafka topics, fills them, cuts their heads off and looks at what groups have committed."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; `endpoint` is its broker's HOST:PORT."""

    name: str
    endpoint: str


class Topics:
    """The topics of one test."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._admin: AIOKafkaAdminClient | None = None
        self._producer: AIOKafkaProducer | None = None

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.stop()
        if self._admin is not None:
            await self._admin.close()

    async def _administrator(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await self._admin.start()
        return self._admin

    async def create(
        self, partitions: int = 1, *, name: str | None = None, settings: Mapping[str, str] | None = None
    ) -> Topic:
        topic = name or f"orders-{uuid.uuid4().hex[:8]}"
        admin = await self._administrator()
        await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=dict(settings or {}))])
        return Topic(topic, self.bootstrap)

    async def grow(self, topic: Topic, partitions: int) -> None:
        """Give it so many partitions."""
        await (await self._administrator()).create_partitions({topic.name: NewPartitions(partitions)})

    async def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        """Delete the partition's records before `offset`, as retention does."""
        admin = await self._administrator()
        await admin.delete_records({TopicPartition(topic.name, partition): RecordsToDelete(before_offset=offset)})

    async def put(
        self,
        topic: Topic,
        values: Iterable[bytes | None],
        *,
        partition: int | None = None,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
    ) -> list[tuple[int, int]]:
        """Write records; without `partition` they are dealt out in turn. Returns where each stands."""
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self.bootstrap, linger_ms=5, max_request_size=10_000_000
            )
            await self._producer.start()
        count = len(await self._producer.partitions_for(topic.name))
        sent = [
            await self._producer.send(
                topic.name,
                value,
                key,
                partition=number % count if partition is None else partition,
                headers=list(headers),
                timestamp_ms=timestamp_ms,
            )
            for number, value in enumerate(values)
        ]
        done = [await future for future in sent]
        return [(each.partition, each.offset) for each in done]

    async def put_in_transaction(
        self, topic: Topic, values: Iterable[bytes], *, commit: bool, partition: int = 0
    ) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=uuid.uuid4().hex)
        await producer.start()
        try:
            await producer.begin_transaction()
            for value in values:
                await producer.send_and_wait(topic.name, value, partition=partition)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        finally:
            await producer.stop()

    async def commit(self, group: str, topic: Topic, offsets: Mapping[int, int]) -> None:
        """Give a group that has no members its offsets."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic.name, partition) for partition in offsets])
            await consumer.commit({TopicPartition(topic.name, it): offset for it, offset in offsets.items()})
        finally:
            await consumer.stop()

    async def committed(self, group: str) -> Mapping[int, int]:
        """What the group has committed, by partition."""
        found = await (await self._administrator()).list_consumer_group_offsets(group)
        return {tp.partition: meta.offset for tp, meta in found.items()}

    async def ends(self, topic: Topic) -> Mapping[int, int]:
        """The offset behind each partition's last record."""
        consumer = AIOKafkaConsumer(topic.name, bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            tps = [TopicPartition(topic.name, it) for it in consumer.partitions_for_topic(topic.name) or ()]
            return {tp.partition: end for tp, end in (await consumer.end_offsets(tps)).items()}
        finally:
            await consumer.stop()
