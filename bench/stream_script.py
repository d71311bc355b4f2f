"""The plain script to compare with on a stream: asyncio and aioboto3, a loop for each shard, get -> invoke -> remember.

`python -m bench.stream_script STREAM_ARN SOURCE_URL FUNCTION INVOKE_URL FOLDER`
"""

import asyncio
import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aioboto3

_BATCH = 100

#: A shard lets itself be read five times a second.
_PAUSE_SECONDS = 0.2


def _record(record: dict[str, Any], shard: str, arn: str, region: str) -> dict[str, Any]:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/script",
        "awsRegion": region,
        "eventSourceARN": arn,
    }


async def _invoke(functions: Any, function: str, records: Sequence[dict[str, Any]]) -> str:
    """Invoke until all are done, from the lowest failed one on; returns the last sequence number."""
    left = records
    while left:
        answer = await functions.invoke(FunctionName=function, Payload=json.dumps({"Records": left}).encode())
        told = json.loads(await answer["Payload"].read())
        if "FunctionError" in answer:
            await asyncio.sleep(1)
            continue
        failed = {each["itemIdentifier"] for each in told["batchItemFailures"]}
        places = [place for place, each in enumerate(left) if each["kinesis"]["sequenceNumber"] in failed]
        left = left[places[0] :] if places else []
    return str(records[-1]["kinesis"]["sequenceNumber"])


def _start(position: Path) -> dict[str, str]:
    if position.exists():
        return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": position.read_text()}
    return {"ShardIteratorType": "TRIM_HORIZON"}


async def _loop(kinesis: Any, functions: Any, arn: str, shard: str, function: str, position: Path) -> None:
    stream, region = arn.rpartition("/")[2], arn.split(":")[3]
    where = _start(position)
    iterator = (await kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **where))["ShardIterator"]
    while iterator:
        page = await kinesis.get_records(ShardIterator=iterator)
        for start in range(0, len(page["Records"]), _BATCH):
            batch = [_record(each, shard, arn, region) for each in page["Records"][start : start + _BATCH]]
            last = await _invoke(functions, function, batch)
            position.write_text(last)  # noqa: ASYNC240 - as one would
        iterator = page.get("NextShardIterator")
        await asyncio.sleep(_PAUSE_SECONDS)


async def _main(arn: str, source: str, function: str, invoke: str, folder: str) -> None:
    session = aioboto3.Session(region_name=arn.split(":")[3])
    async with (
        session.client("kinesis", endpoint_url=source) as kinesis,
        session.client("lambda", endpoint_url=invoke) as functions,
        asyncio.TaskGroup() as group,
    ):
        for shard in (await kinesis.list_shards(StreamName=arn.rpartition("/")[2]))["Shards"]:
            name = shard["ShardId"]
            position = Path(folder, f"{name}.position")
            group.create_task(_loop(kinesis, functions, arn, name, function, position), name=name)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
