"""Creates queues, fills them and looks into them, through the SDK and off the event loop."""

import asyncio
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from tests.servers.elasticmq import ACCOUNT, REGION

_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")


def sqs_client(endpoint: str) -> Any:
    """A synchronous SQS client with dummy credentials; close it."""
    return boto3.client(
        "sqs",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="example-secret",
        config=Config(max_pool_connections=32, retries={"total_max_attempts": 1}, proxies={}),
    )


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages can be received now, and how many somebody holds or that are delayed."""

    visible: int
    hidden: int

    @property
    def total(self) -> int:
        return self.visible + self.hidden


class Queue:
    """One queue on a test server."""

    def __init__(self, client: Any, endpoint: str, name: str, url: str) -> None:
        self.endpoint = endpoint
        self.name = name
        self.url = url
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        self._client = client

    async def send(self, bodies: Sequence[str], *, group: str | None = None, batch: int = 10) -> None:
        """Send `bodies` in order; `group` puts them in one message group of a FIFO queue."""
        await self.send_entries([_entry(body, group) for body in bodies], batch=batch)

    async def send_entries(self, entries: Sequence[Mapping[str, Any]], *, batch: int = 10) -> None:
        """Send entries of SendMessageBatch, without their Ids, in order."""
        for start in range(0, len(entries), batch):
            part = [{"Id": str(index), **entry} for index, entry in enumerate(entries[start : start + batch])]
            answer = await asyncio.to_thread(self._client.send_message_batch, QueueUrl=self.url, Entries=part)
            if answer.get("Failed"):
                raise RuntimeError(f"{self.name} refused messages: {answer['Failed']}")

    async def receive(self, limit: int = 10, *, wait: int = 0, visibility: int | None = None) -> list[dict[str, Any]]:
        """One receive, with all attributes; `visibility` in seconds, else the queue's own."""
        extra = {} if visibility is None else {"VisibilityTimeout": visibility}
        answer = await asyncio.to_thread(
            self._client.receive_message,
            QueueUrl=self.url,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["All"],
            **extra,
        )
        return list(answer.get("Messages", []))

    async def depth(self) -> Depth:
        answer = await asyncio.to_thread(
            self._client.get_queue_attributes, QueueUrl=self.url, AttributeNames=list(_COUNTS)
        )
        visible, held, delayed = (int(answer["Attributes"][name]) for name in _COUNTS)
        return Depth(visible, held + delayed)

    async def until_empty(self, *, seconds: float = 30.0) -> None:
        """Wait until neither a visible nor a hidden message is left. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while (await self.depth()).total > 0:  # noqa: ASYNC110 - a queue tells nobody that it is empty
                await asyncio.sleep(0.05)

    async def delete(self) -> None:
        await asyncio.to_thread(self._client.delete_queue, QueueUrl=self.url)


def _entry(body: str, group: str | None) -> dict[str, str]:
    if group is None:
        return {"MessageBody": body}
    return {"MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": uuid.uuid4().hex}


class Queues:
    """Makes queues with names that nobody else has, and deletes them again."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._client = sqs_client(endpoint)
        self._made: list[Queue] = []

    async def create(
        self,
        *,
        fifo: bool = False,
        visibility: int = 30,
        name: str | None = None,
        redrive_to: Queue | None = None,
        attempts: int = 3,
    ) -> Queue:
        """A new queue; `redrive_to` gets what was received `attempts` times."""
        full = (name or f"q-{uuid.uuid4().hex[:12]}") + (".fifo" if fifo else "")
        attributes = {"VisibilityTimeout": str(visibility)} | ({"FifoQueue": "true"} if fifo else {})
        if redrive_to is not None:
            policy = {"deadLetterTargetArn": redrive_to.arn, "maxReceiveCount": attempts}
            attributes["RedrivePolicy"] = json.dumps(policy)
        made = await asyncio.to_thread(self._client.create_queue, QueueName=full, Attributes=attributes)
        queue = Queue(self._client, self.endpoint, full, made["QueueUrl"])
        self._made.append(queue)
        return queue

    async def close(self) -> None:
        for queue in self._made:
            await queue.delete()
        self._client.close()


def numbered(numbers: Iterable[int], **extra: object) -> list[str]:
    """JSON bodies `{"n": number, …}`."""
    return [json.dumps({"n": number, **extra}) for number in numbers]
