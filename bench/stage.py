"""The parts a measurement runs on: queue server, Invoke endpoint, senders, what is measured; all are ended."""

import http.client
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import yaml
from tests.servers.elasticmq import ACCOUNT, REGION, elasticmq
from tests.servers.processes import Child, answers_ok
from tests.servers.queues import sqs_client
from tests.servers.tools import REPOSITORY, clean_environment, free_port

_SENDERS = 2
_VISIBILITY_SECONDS = 120


class Stuck(Exception):
    """A process of the bench ended or stood still; the text carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue on the server."""

    name: str
    url: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"


class Counter:
    """Asks the Invoke endpoint what it has seen."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def counts(self) -> dict[str, Any]:
        return self._get("/counts")

    def reset(self) -> None:
        self._get("/reset")

    def close(self) -> None:
        self._connection.close()

    def _get(self, path: str) -> dict[str, Any]:
        self._connection.request("GET", path)
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return answer


class Stage:
    """What is running for the whole bench; queues and processes are made for each measurement and ended with it."""

    def __init__(self, folder: Path, source: str, invoke_port: int) -> None:
        self.folder = folder
        self.source = source
        self.invoke = f"http://127.0.0.1:{invoke_port}"
        self.counter = Counter(invoke_port)
        self._client = sqs_client(source)
        self._children = 0

    @contextmanager
    def queues(self, count: int = 1) -> Iterator[list[Queue]]:
        """New empty queues, deleted at the end; the endpoint counts anew."""
        attributes = {"VisibilityTimeout": str(_VISIBILITY_SECONDS)}
        names = [f"bench-{uuid4().hex[:12]}" for _ in range(count)]
        made = [
            Queue(name, self._client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]) for name in names
        ]
        self.counter.reset()
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
                _finish(sender, seconds=120)

    @contextmanager
    def sending(self, queue: Queue, count: int, rate: float = 0) -> Iterator[Child]:
        """A process that sends `count` messages, `rate` a second or, for 0, as fast as it can."""
        arguments = ["-m", "bench.sender", self.source, queue.url, str(count), str(rate)]
        with self.child("sender", arguments) as child:
            yield child

    @contextmanager
    def child(self, name: str, arguments: Sequence[str]) -> Iterator[Child]:
        """A Python process of ours; killed at the end."""
        self._children += 1
        log = self.folder / f"{self._children:03}-{name}.log"
        child = Child([sys.executable, *arguments], log=log, cwd=REPOSITORY, env=clean_environment())
        try:
            yield child
        finally:
            child.kill()  # what it holds is deleted with its queue, and open long polls need not be waited for

    def close(self) -> None:
        self.counter.close()
        self._client.close()


class Subject(Protocol):
    """What is measured."""

    name: str

    def command(self, stage: Stage, queues: Sequence[Queue], function: str) -> list[str]:
        """The arguments of Python that work off `queues` with `function`."""


class Service:
    """`outboard run`, with nothing tuned."""

    name = "Outboard"

    def command(self, stage: Stage, queues: Sequence[Queue], function: str) -> list[str]:
        mappings = [
            {
                "Name": queue.name,
                "EventSourceArn": queue.arn,
                "FunctionName": function,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "SourceEndpointUrl": stage.source,
                "FunctionEndpointUrl": stage.invoke,
            }
            for queue in queues
        ]
        path = stage.folder / f"{queues[0].name}.yaml"
        server = {"Host": "127.0.0.1", "Port": free_port()}
        path.write_text(yaml.safe_dump({"EventSourceMappings": mappings, "Server": server}))
        return ["-m", "outboard", "run", str(path)]


class Script:
    """The plain script."""

    name = "script"

    def command(self, stage: Stage, queues: Sequence[Queue], function: str) -> list[str]:
        queue = queues[0]
        return ["-m", "bench.script", queue.url, queue.arn, stage.source, function, stage.invoke]


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Start the servers in `folder`; all of them end with the block."""
    port = free_port()
    with ExitStack() as stack:
        server = stack.enter_context(elasticmq(folder, heap_mb=512, measured=True))
        made = Stage(folder, server.url, port)
        stack.callback(made.close)
        endpoint = stack.enter_context(made.child("endpoint", ["-m", "bench.endpoint", str(port)]))
        endpoint.wait_until(lambda: answers_ok(f"{made.invoke}/counts"), seconds=20)
        yield made


def _finish(child: Child, seconds: float) -> None:
    """Wait for a process that ends by itself. Raises Stuck when it failed or takes longer."""
    end = time.monotonic() + seconds
    while child.exit_code is None and time.monotonic() < end:
        time.sleep(0.02)
    if child.exit_code != 0:
        raise Stuck(f"a sender ended with {child.exit_code}:\n{child.tail()}")
