"""The servers that tests ask for, and what to say at the end of a run about tests that could not run here."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest

from tests.servers.elasticmq import ElasticMQ, elasticmq
from tests.servers.moto_server import moto_server
from tests.servers.nginx import nginx_sink
from tests.servers.queues import Queues
from tests.servers.scripted_invoke import ScriptedInvoke, scripted_invoke
from tests.servers.tools import ToolMissing

_T = TypeVar("_T")
_NOT_HERE = "not possible on this machine: "


def _started(server: AbstractContextManager[_T]) -> Iterator[_T]:
    """Yield what `server` yields. Where its tool is missing, skip; in CI, where every test must run, fail."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(server)
        except ToolMissing as missing:
            if os.environ.get("CI") == "true":
                pytest.fail(f"CI lacks a tool: {missing}", pytrace=False)
            pytest.skip(f"{_NOT_HERE}{missing}")
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what could not be run, and why: a skip must not pass unseen."""
    reasons: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        said = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if _NOT_HERE in said:
            reasons.setdefault(said.partition(_NOT_HERE)[2], []).append(report.nodeid)
    for reason, tests in reasons.items():
        terminalreporter.section(f"could not run here: {len(tests)}", sep="=", yellow=True)
        terminalreporter.line(reason)
        for test in tests:
            terminalreporter.line(f"  {test}")


@pytest.fixture(scope="session")
def sqs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElasticMQ]:
    """An SQS for the whole run; take queues from `queues`."""
    yield from _started(elasticmq(tmp_path_factory.mktemp("elasticmq")))


@pytest.fixture(scope="session")
def moto_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of moto's server."""
    yield from _started(moto_server(tmp_path_factory.mktemp("moto")))


@pytest.fixture(scope="session")
def nginx_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An Invoke endpoint that answers at once."""
    yield from _started(nginx_sink(tmp_path_factory.mktemp("nginx")))


@pytest.fixture
async def queues(sqs_server: ElasticMQ) -> AsyncIterator[Queues]:
    """Makes fresh queues, and deletes them after the test."""
    made = Queues(sqs_server.url)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def functions() -> AsyncIterator[ScriptedInvoke]:
    """An Invoke endpoint whose functions the test scripts."""
    async with scripted_invoke() as endpoint:
        yield endpoint
