"""The broker and its topics do what the tests that lean on them take for granted."""

import asyncio
import ssl
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from tests.servers.availability import started
from tests.servers.kafka import Kafka, kafka
from tests.servers.queues import numbered
from tests.servers.topics import Topic, Topics

pytestmark = pytest.mark.server


async def _values(topic: Topic, partition: int = 0, **settings: object) -> dict[int, bytes | None]:
    """What is in a partition, by offset, for somebody who takes no record of a transaction that was not committed."""
    settings = {"bootstrap_servers": topic.endpoint, "isolation_level": "read_committed"} | settings
    consumer, place = AIOKafkaConsumer(enable_auto_commit=False, **settings), TopicPartition(topic.name, partition)
    found: dict[int, bytes | None] = {}
    try:
        async with asyncio.timeout(20):
            await consumer.start()
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
            while await consumer.position(place) < end:
                for record in (await consumer.getmany(place, timeout_ms=500)).get(place, ()):
                    found[record.offset] = record.value
    finally:
        await consumer.stop()
    return found


async def test_a_partition_gives_its_records_in_the_order_of_their_offsets(topics: Topics) -> None:
    topic = await topics.create(2)
    written = [text.encode() for text in numbered(range(300))]
    left = await topics.put(topic, written, partition=0)
    await topics.put(topic, [b"x", None], partition=1, key=b"k", headers=[("h", b"1"), ("h", b"")])
    await topics.grow(topic, 3)

    assert left == [(0, offset) for offset in range(300)]
    assert await _values(topic, 0) == dict(enumerate(written))
    assert await _values(topic, 1) == {0: b"x", 1: None}
    assert dict(await topics.ends(topic)) == {0: 300, 1: 2, 2: 0}


async def test_a_transaction_leaves_gaps_and_a_topics_head_can_be_cut_off(topics: Topics) -> None:
    topic = await topics.create()
    await topics.put_in_transaction(topic, [b"a", b"b"], commit=True)
    await topics.put_in_transaction(topic, [b"c"], commit=False)
    await topics.put(topic, [b"d"])
    await topics.delete_before(topic, 0, 1)

    assert await _values(topic) == {1: b"b", 5: b"d"}  # 2 and 4 are the ends of the transactions, 3 was aborted


async def test_a_group_without_members_can_be_given_its_offsets(topics: Topics) -> None:
    topic = await topics.create(2)
    await topics.put(topic, [b"x"] * 10)
    await topics.commit("a-group", topic, {0: 3, 1: 5})

    assert dict(await topics.committed("a-group")) == {0: 3, 1: 5}
    assert dict(await topics.committed("no-such-group")) == {}


async def test_a_broker_lets_in_whoever_trusts_its_authority(kafka_server: Kafka, topics: Topics) -> None:
    topic = await topics.create()
    await topics.put(topic, [b"x"])

    def over_tls(ca: Path) -> dict[str, object]:
        context = ssl.create_default_context(cafile=str(ca))
        return {
            "bootstrap_servers": kafka_server.tls_bootstrap,
            "security_protocol": "SSL",
            "ssl_context": context,
        }

    assert await _values(topic, **over_tls(kafka_server.certificates.ca)) == {0: b"x"}
    with pytest.raises(KafkaConnectionError):
        await _values(topic, **over_tls(kafka_server.certificates.untrusted))


async def test_a_broker_that_was_killed_comes_back_with_what_it_had(tmp_path: Path) -> None:
    with started(kafka(tmp_path)) as broker:
        topics = Topics(broker.bootstrap)
        topic = await topics.create()
        await topics.put(topic, [b"x"])
        await topics.commit("a-group", topic, {0: 1})
        await topics.close()
        broker.kill()
        await asyncio.to_thread(broker.start)
        topics = Topics(broker.bootstrap)
        found, committed = await _values(topic), dict(await topics.committed("a-group"))
        await topics.close()

    assert (found, committed) == ({0: b"x"}, {0: 1})


def test_the_broker_is_a_process_of_its_own(kafka_server: Kafka) -> None:
    assert psutil.Process(kafka_server.pid).name() == "java"
