"""Sends messages from a process of its own: as many as there are at once, or evenly through time with their send times.

`python -m bench.sender ENDPOINT QUEUE_URL COUNT RATE`; a RATE of 0 is as fast as it goes.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping

import aiohttp

BODY_BYTES = 1024

_CONNECTIONS = 4
_BATCH = 10


async def _post(session: aiohttp.ClientSession, endpoint: str, operation: str, body: Mapping[str, object]) -> None:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{operation}"}
    async with session.post(endpoint, data=json.dumps(body), headers=headers) as answer:
        told = await answer.json(content_type=None)
        if answer.status != 200 or told.get("Failed"):
            raise RuntimeError(f"{operation} was refused with {answer.status}: {told}")


async def _fill(session: aiohttp.ClientSession, endpoint: str, queue: str, count: int) -> None:
    left = iter(range(0, count, _BATCH))

    async def send() -> None:
        for start in left:
            entries = [{"Id": str(n), "MessageBody": _body({"n": n})} for n in range(start, min(start + _BATCH, count))]
            await _post(session, endpoint, "SendMessageBatch", {"QueueUrl": queue, "Entries": entries})

    async with asyncio.TaskGroup() as group:
        for number in range(_CONNECTIONS):
            group.create_task(send(), name=f"send-{number}")


async def _pace(session: aiohttp.ClientSession, endpoint: str, queue: str, count: int, rate: float) -> None:
    begun = time.monotonic()

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(begun + number / rate - time.monotonic())
            body = {"QueueUrl": queue, "MessageBody": _body({"sent": round(time.time(), 6)})}
            group.create_task(_post(session, endpoint, "SendMessage", body), name=f"send-{number}")


def _body(fields: Mapping[str, object]) -> str:
    bare = json.dumps({**fields, "filler": ""})
    return bare[:-2] + "x" * (BODY_BYTES - len(bare)) + bare[-2:]


async def _main(endpoint: str, queue: str, count: int, rate: float) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        if rate:
            await _pace(session, endpoint, queue, count, rate)
        else:
            await _fill(session, endpoint, queue, count)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
