"""The plain script to compare with on a topic: aiokafka and aioboto3, a task a partition, take -> invoke -> commit.

`python -m bench.topic_script BOOTSTRAP TOPIC GROUP FUNCTION INVOKE_URL BATCH`
"""

import asyncio
import base64
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import aioboto3
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition


def _encoded(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _record(record: ConsumerRecord) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "timestampType": "LOG_APPEND_TIME" if record.timestamp_type else "CREATE_TIME",
        "key": _encoded(record.key),
        "value": _encoded(record.value),
        "headers": [{name: [byte - 256 if byte > 127 else byte for byte in value]} for name, value in record.headers],
    }


async def _invoke(functions: Any, function: str, bootstrap: str, records: Sequence[ConsumerRecord]) -> None:
    """Invoke until all are done, each time with those that failed."""
    place, left = f"{records[0].topic}-{records[0].partition}", records
    while left:
        event = {
            "eventSource": "SelfManagedKafka",
            "bootstrapServers": bootstrap,
            "records": {place: [_record(each) for each in left]},
        }
        answer = await functions.invoke(FunctionName=function, Payload=orjson.dumps(event))
        told = orjson.loads(await answer["Payload"].read())
        if "FunctionError" in answer:
            await asyncio.sleep(1)
            continue
        failed = {each["itemIdentifier"]["offset"] for each in told["batchItemFailures"]}
        left = [each for each in left if each.offset in failed]


async def _loop(
    consumer: AIOKafkaConsumer,
    place: TopicPartition,
    batch: int,
    invoke: Callable[[Sequence[ConsumerRecord]], Awaitable[None]],
) -> None:
    while True:
        found = await consumer.getmany(place, timeout_ms=1000, max_records=batch)
        if records := found.get(place):
            await invoke(records)
            await consumer.commit({place: records[-1].offset + 1})


async def _main(bootstrap: str, topic: str, group: str, function: str, invoke: str, batch: str) -> None:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    session = aioboto3.Session(region_name="eu-west-1")
    async with consumer, session.client("lambda", endpoint_url=invoke) as functions, asyncio.TaskGroup() as tasks:
        send = partial(_invoke, functions, function, bootstrap)
        for place in consumer.assignment():  # until the group is divided anew, as one would
            tasks.create_task(_loop(consumer, place, int(batch), send), name=f"partition-{place.partition}")


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
