"""The parts every measurement runs on: the Invoke endpoint and what counts there, and the processes of the bench."""

import http.client
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from tests.servers.processes import Child, answers_ok
from tests.servers.tools import REPOSITORY, clean_environment, free_port


class Stuck(Exception):
    """A process of the bench ended or stood still; the text carries the end of its log."""


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
    """What is running for the whole bench; processes are made for each measurement and ended with it."""

    def __init__(self, folder: Path, invoke_port: int) -> None:
        self.folder = folder
        self.invoke = f"http://127.0.0.1:{invoke_port}"
        self.counter = Counter(invoke_port)
        self._children = 0

    @contextmanager
    def child(self, name: str, arguments: Sequence[str]) -> Iterator[Child]:
        """A Python process of ours; killed at the end. The endpoint tells it who it is."""
        with self.program(name, [sys.executable, *arguments]) as child:
            yield child

    @contextmanager
    def program(self, name: str, command: Sequence[str]) -> Iterator[Child]:
        """The same of any program."""
        self._children += 1
        log = self.folder / f"{self._children:03}-{name}.log"
        environment = clean_environment(AWS_ENDPOINT_URL_STS=self.invoke)
        child = Child(command, log=log, cwd=REPOSITORY, env=environment)
        try:
            yield child
        finally:
            child.kill()  # open long polls need not be waited for

    def service(self, name: str, mappings: Sequence[Mapping[str, object]], **blocks: object) -> list[str]:
        """The arguments of Python that run these mappings; their functions are at the endpoint."""
        document = {
            "Defaults": {"FunctionEndpointUrl": self.invoke},
            "EventSourceMappings": list(mappings),
            "Server": {"Host": "127.0.0.1", "Port": 0},
            **blocks,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document))
        return ["-m", "outboard", "run", str(path)]

    def close(self) -> None:
        self.counter.close()


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Start the endpoint, with its log in `folder`; it ends with the block."""
    port = free_port()
    with ExitStack() as stack:
        made = Stage(folder, port)
        stack.callback(made.close)
        endpoint = stack.enter_context(made.child("endpoint", ["-m", "bench.endpoint", str(port)]))
        endpoint.wait_until(lambda: answers_ok(f"{made.invoke}/counts"), seconds=20)
        yield made


def finish(child: Child, seconds: float) -> None:
    """Wait for a process that ends by itself. Raises Stuck when it failed or takes longer."""
    end = time.monotonic() + seconds
    while child.exit_code is None and time.monotonic() < end:
        time.sleep(0.02)
    if child.exit_code != 0:
        raise Stuck(f"a sender ended with {child.exit_code}:\n{child.tail()}")
