"""Runs the real command with a configuration of the test's own, looks at it from outside, and audits what came of it."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import psutil
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.processes import Child
from tests.servers.scripted_invoke import Invoke
from tests.servers.tools import clean_environment, free_port

_COMMAND = (sys.executable, "-m", "outboard")


class Origin(Protocol):
    """A queue or a stream on a test server."""

    @property
    def arn(self) -> str: ...

    @property
    def endpoint(self) -> str: ...


def mapping(source: Origin, functions: str, *, name: str = "orders", **fields: object) -> dict[str, object]:
    """One entry of EventSourceMappings: from `source` to the function called `name` at the Invoke endpoint `functions`,
    with partial responses; `fields` are added or take precedence."""
    return {
        "Name": name,
        "EventSourceArn": source.arn,
        "FunctionName": name,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "SourceEndpointUrl": source.endpoint,
        "FunctionEndpointUrl": functions,
        **fields,
    }


class Metrics:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of all series of `name` that carry `labels`. Raises KeyError where there is none."""
        found = [s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items()]
        if not found:
            raise KeyError(f"{name} {labels}")
        return float(sum(found))


class Running:
    """One `outboard run`."""

    def __init__(self, config: Path, port: int, child: Child) -> None:
        self.config = config
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process = psutil.Process(child.pid)
        self._child = child

    @property
    def log(self) -> str:
        """All that it has written, standard error included."""
        return self._child.log.read_text(errors="replace")

    @property
    def exit_code(self) -> int | None:
        return self._child.exit_code

    def send_signal(self, number: int) -> None:
        self._child.send_signal(number)

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self._child.kill()

    async def ended(self, seconds: float) -> int:
        """Wait for its end; returns the exit code. Raises TimeoutError."""
        await until(lambda: self.exit_code is not None, seconds=seconds, pause=0.005)
        code = self.exit_code
        assert code is not None
        return code

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page; status 0 while nobody answers."""
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self.url + path) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""

    async def mappings(self) -> dict[str, dict[str, Any]]:
        """What `/mappings` shows, by name."""
        status, text = await self.get("/mappings")
        assert status == 200, f"/mappings answered {status}"
        return {each["name"]: each for each in json.loads(text)["mappings"]}

    async def until_state(self, name: str, state: str, *, seconds: float = 30.0) -> dict[str, Any]:
        """Wait until a mapping is in `state`; returns what `/mappings` shows of it then. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while (shown := (await self.mappings())[name])["state"] != state:  # noqa: ASYNC110 - a page tells nobody
                await asyncio.sleep(0.05)
        return shown

    def logged(self, event: str, *, mapping: str = "orders") -> list[dict[str, Any]]:
        """The log's lines of one event of one mapping."""
        lines = [json.loads(line) for line in self.log.splitlines() if event in line]
        return [line for line in lines if line["event"] == event and line.get("mapping") == mapping]

    async def until_counted(self, metric: str, least: float, *, mapping: str = "orders", seconds: float = 30.0) -> None:
        """Wait until a mapping's `metric` is at least so much. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while (await self.metrics()).value(metric, mapping=mapping) < least:  # noqa: ASYNC110 - a page tells nobody
                await asyncio.sleep(0.05)

    async def metrics(self) -> Metrics:
        status, text = await self.get("/metrics")
        assert status == 200, f"/metrics answered {status}"
        return Metrics(text)

    async def until_ready(self, *, seconds: float = 30.0) -> None:
        """Wait until `/readyz` is 200. Raises AssertionError with its log when it ends or takes longer."""
        end = time.monotonic() + seconds
        while (await self.get("/readyz"))[0] != 200:
            assert self.exit_code is None, f"outboard ended with {self.exit_code}:\n{self.log}"
            assert time.monotonic() < end, f"outboard was not ready after {seconds:g} s:\n{self.log}"
            await asyncio.sleep(0.02)


class Launcher:
    """Starts the command in a folder of its own, and ends all it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}  #: of the processes it starts from now on, beside the usual one
        self._children: list[Child] = []

    def configure(self, mappings: Sequence[Mapping[str, object]], **blocks: object) -> tuple[Path, int]:
        """Write a configuration with a free status port; `blocks` are further top-level ones."""
        port = free_port()
        document = {
            "EventSourceMappings": list(mappings),
            "Server": {"Host": "127.0.0.1", "Port": port},
            "Logging": {"Level": "info", "Format": "json"},
            **blocks,
        }
        path = self.folder / f"outboard-{port}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path, port

    def launch(self, config: Path, port: int) -> Running:
        """Run `outboard run CONFIG` without waiting for anything."""
        log = self.folder / f"outboard-{len(self._children)}.log"
        env = clean_environment(**self.environment)
        child = Child([*_COMMAND, "run", str(config)], log=log, env=env, cwd=self.folder)
        self._children.append(child)
        return Running(config, port, child)

    async def run(self, mappings: Sequence[Mapping[str, object]], **blocks: object) -> Running:
        """Configure, launch, wait until ready."""
        running = self.launch(*self.configure(mappings, **blocks))
        await running.until_ready()
        return running

    async def again(self, previous: Running) -> Running:
        """Run the configuration of one that has ended, once more."""
        running = self.launch(previous.config, previous.port)
        await running.until_ready()
        return running

    def close(self) -> None:
        """End all that still runs; their logs are shown where the test failed."""
        for child in self._children:
            if child.exit_code is None:
                child.kill()
            print(f"--- {child.log.name}, exit code {child.exit_code}\n{child.tail(6000)}")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


async def finish(*arguments: str, folder: Path, seconds: float = 20.0) -> Finished:
    """Run `outboard ARGUMENTS` in `folder` to its end. Raises TimeoutError, having killed it."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        *arguments,
        cwd=folder,
        env=clean_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())


async def until(condition: Callable[[], bool], *, seconds: float = 20.0, pause: float = 0.05) -> None:
    """Wait until `condition` holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions look at other processes
            await asyncio.sleep(pause)


@dataclass(frozen=True, slots=True)
class Audit:
    """What became of numbered messages: those never worked off, and those worked off more than once."""

    produced: int
    lost: tuple[int, ...]
    again: Mapping[int, int]

    @property
    def processed(self) -> int:
        return self.produced - len(self.lost)


def worked_off(invokes: Iterable[Invoke]) -> Counter[int]:
    """How often each number was worked off, by what the functions themselves say."""
    return Counter(json.loads(record["body"])["n"] for invoke in invokes for record in invoke.worked_off)


def audit(numbers: Iterable[int], done: Mapping[int, int]) -> Audit:
    """Compare what was sent with what was worked off."""
    produced = sorted(set(numbers))
    lost = tuple(number for number in produced if not done.get(number))
    return Audit(len(produced), lost, {number: count for number, count in done.items() if count > 1})
