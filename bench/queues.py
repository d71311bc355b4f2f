"""The queues that are worked off, and what works them off: the service and the plain script."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from tests.servers.elasticmq import ACCOUNT, REGION, elasticmq
from tests.servers.processes import Child
from tests.servers.queues import sqs_client

from bench.stage import Stage, finish

_SENDERS = 2
_VISIBILITY_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue on the server."""

    name: str
    url: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"


class Queues:
    """The queue server; queues are made for each measurement and deleted with it."""

    def __init__(self, stage: Stage, source: str, client: Any) -> None:
        self.stage = stage
        self.source = source
        self._client = client

    @contextmanager
    def made(self, count: int = 1) -> Iterator[list[Queue]]:
        """New empty queues, deleted at the end; the endpoint counts anew."""
        attributes = {"VisibilityTimeout": str(_VISIBILITY_SECONDS)}
        names = [f"bench-{uuid4().hex[:12]}" for _ in range(count)]
        made = [
            Queue(name, self._client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]) for name in names
        ]
        self.stage.counter.reset()
        try:
            yield made
        finally:
            for queue in made:
                self._client.delete_queue(QueueUrl=queue.url)

    def fill(self, queue: Queue, count: int) -> None:
        """Put `count` messages into the queue, from several processes at once."""
        shares = [count // _SENDERS + (number < count % _SENDERS) for number in range(_SENDERS)]
        with ExitStack() as stack:
            senders = [stack.enter_context(self.sending(queue, share)) for share in shares if share]
            for sender in senders:
                finish(sender, seconds=120)

    @contextmanager
    def sending(self, queue: Queue, count: int, rate: float = 0) -> Iterator[Child]:
        """A process that sends `count` messages, `rate` a second or, for 0, as fast as it can."""
        arguments = ["-m", "bench.sender", self.source, queue.url, str(count), str(rate)]
        with self.stage.child("sender", arguments) as child:
            yield child


class Subject(Protocol):
    """What is measured."""

    name: str

    def command(self, queues: Queues, made: Sequence[Queue], function: str) -> list[str]:
        """The arguments of Python that work off the queues `made` with `function`."""


class Service:
    """`outboard run`, with nothing tuned."""

    name = "Outboard"

    def command(self, queues: Queues, made: Sequence[Queue], function: str) -> list[str]:
        mappings = [
            {
                "Name": queue.name,
                "EventSourceArn": queue.arn,
                "FunctionName": function,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "SourceEndpointUrl": queues.source,
            }
            for queue in made
        ]
        return queues.stage.service(made[0].name, mappings)


class Script:
    """The plain script."""

    name = "script"

    def command(self, queues: Queues, made: Sequence[Queue], function: str) -> list[str]:
        queue = made[0]
        return ["-m", "bench.script", queue.url, queue.arn, queues.source, function, queues.stage.invoke]


@contextmanager
def queue_server(stage: Stage) -> Iterator[Queues]:
    """Start the queue server; it ends with the block."""
    with elasticmq(stage.folder, heap_mb=512, measured=True) as server, ExitStack() as stack:
        client = sqs_client(server.url)
        stack.callback(client.close)
        yield Queues(stage, server.url, client)
