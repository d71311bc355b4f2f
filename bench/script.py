"""The plain script to compare with: asyncio and aioboto3, a fixed number of loops, receive -> invoke -> delete."""

import asyncio
import json
import sys
from typing import Any

import aioboto3
from botocore.config import Config

LOOPS = 32
_BATCH = 10


def _record(message: dict[str, Any], arn: str, region: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": region,
    }


async def _loop(sqs: Any, functions: Any, queue: str, arn: str, function: str) -> None:
    region = arn.split(":")[3]
    while True:
        received = await sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=_BATCH, WaitTimeSeconds=20, MessageSystemAttributeNames=["All"]
        )
        messages = received.get("Messages", [])
        if not messages:
            continue
        event = {"Records": [_record(message, arn, region) for message in messages]}
        answer = await functions.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        told = json.loads(await answer["Payload"].read())
        if "FunctionError" in answer:
            continue
        failed = {each["itemIdentifier"] for each in told["batchItemFailures"]}
        done = [message for message in messages if message["MessageId"] not in failed]
        entries = [{"Id": str(index), "ReceiptHandle": each["ReceiptHandle"]} for index, each in enumerate(done)]
        if entries:
            await sqs.delete_message_batch(QueueUrl=queue, Entries=entries)


async def _main(queue: str, arn: str, source: str, function: str, invoke: str) -> None:
    session = aioboto3.Session(region_name=arn.split(":")[3])
    config = Config(max_pool_connections=LOOPS)
    async with (
        session.client("sqs", endpoint_url=source, config=config) as sqs,
        session.client("lambda", endpoint_url=invoke, config=config) as functions,
        asyncio.TaskGroup() as group,
    ):
        for number in range(LOOPS):
            group.create_task(_loop(sqs, functions, queue, arn, function), name=f"loop-{number}")


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
