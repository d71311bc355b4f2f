"""Knows the demo's SQS: queues with their dead-letter queues, the mappings that poll them, and what is in them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from outboard.demo.clients import client, failures
from outboard.demo.parts import PartError
from outboard.demo.world import ACCOUNT, REGION, Message, Workload

#: Seconds after which a failed message comes back. Short, so that a poison message meets its end while one watches.
VISIBILITY_TIMEOUT = 3
#: What SQS takes in one SendMessageBatch.
LARGEST_SEND = 10


def _arn(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"


def _mapping(queue: str, function: str, **fields: object) -> dict[str, object]:
    return {"EventSourceArn": _arn(queue), "FunctionName": function} | fields


_PARTIAL = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}

ORDERS = Workload(
    "orders",
    share=0.4,
    poison_every=40,
    flaky_every=12,
    mapping=_mapping("orders", "process-orders", BatchSize=10, **_PARTIAL, ScalingConfig={"MaximumConcurrency": 4}),
)
PAYMENTS = Workload(
    "payments.fifo",
    share=0.2,
    flaky_every=25,
    keys=12,  # shares no factor with `flaky_every`: each customer meets a failure now and then, none over and over
    mapping=_mapping(
        "payments.fifo", "process-payments", BatchSize=10, **_PARTIAL, ScalingConfig={"MaximumConcurrency": 4}
    ),
)
CLICKS = Workload(
    "clicks",
    share=0.2,
    mapping=_mapping("clicks", "count-clicks", BatchSize=100, MaximumBatchingWindowInSeconds=1),
)

#: Function name -> the handler that it runs.
FUNCTIONS = {
    "process-orders": "outboard.demo.handlers.process_orders",
    "process-payments": "outboard.demo.handlers.process_payments",
    "count-clicks": "outboard.demo.handlers.count_clicks",
}


def dead_letter_queue(queue: str) -> str:
    """The name of a queue's dead-letter queue; that of a FIFO queue is FIFO."""
    stem, dot, suffix = queue.partition(".")
    return f"{stem}-dead{dot}{suffix}"


def entry(message: Message) -> dict[str, str]:
    """A message as SendMessageBatch wants it."""
    fifo = {"MessageGroupId": message.key, "MessageDeduplicationId": message.identifier} if message.key else {}
    return {"Id": str(message.number), "MessageBody": message.body} | fifo


class Queues:
    """The demo's queues, behind an SQS client. A `Source`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._urls: dict[str, str] = {}

    @property
    def workloads(self) -> Sequence[Workload]:
        return (ORDERS, PAYMENTS, CLICKS)

    async def create(self) -> None:
        for workload in self.workloads:
            # A payment behind a failed one is received again with it, though nothing is wrong with it: more tries.
            redrive = {
                "deadLetterTargetArn": _arn(dead_letter_queue(workload.name)),
                "maxReceiveCount": 10 if workload.keys else 3,
            }
            await self._create(dead_letter_queue(workload.name), workload, {})
            await self._create(workload.name, workload, {"RedrivePolicy": json.dumps(redrive)})

    async def _create(self, queue: str, workload: Workload, attributes: dict[str, str]) -> None:
        fifo = {"FifoQueue": "true"} if workload.keys else {}
        attributes = {"VisibilityTimeout": str(VISIBILITY_TIMEOUT)} | fifo | attributes
        with failures("create", f"queue {queue}"):
            self._urls[queue] = (await self._client.create_queue(QueueName=queue, Attributes=attributes))["QueueUrl"]

    async def send(self, workload: Workload, messages: Sequence[Message]) -> None:
        for first in range(0, len(messages), LARGEST_SEND):
            entries = [entry(message) for message in messages[first : first + LARGEST_SEND]]
            with failures("send to", f"queue {workload.name}"):
                answer = await self._client.send_message_batch(QueueUrl=self._urls[workload.name], Entries=entries)
            if answer.get("Failed"):
                raise PartError(f"The SQS server refused messages to {workload.name}: {answer['Failed']}")

    async def backlog(self, workload: Workload) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        with failures("look at", f"queue {workload.name}"):
            url = self._urls[workload.name]
            answer = await self._client.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    async def given_up(self, workload: Workload) -> list[str]:
        return await self._empty(dead_letter_queue(workload.name))

    async def left(self, workload: Workload) -> list[str]:
        """Waits a visibility timeout if some are in flight, so that those show themselves too."""
        found = await self._empty(workload.name)
        if await self.backlog(workload):
            await asyncio.sleep(VISIBILITY_TIMEOUT)
            found += await self._empty(workload.name)
        return found

    async def _empty(self, queue: str) -> list[str]:
        found = []
        url = self._urls[queue]
        with failures("read", f"queue {queue}"):
            while messages := (await self._client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)).get(
                "Messages"
            ):
                found += [json.loads(message["Body"])["id"] for message in messages]
                handles = [
                    {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                    for place, message in enumerate(messages)
                ]
                await self._client.delete_message_batch(QueueUrl=url, Entries=handles)
        return found


@contextlib.asynccontextmanager
async def connected(url: str, access_key: str, secret: str) -> AsyncIterator[Queues]:
    """The queues behind `url`, not yet created."""
    async with client("sqs", url, access_key, secret) as made:
        yield Queues(made)
