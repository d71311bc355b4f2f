"""The servers that tests ask for, and what to say at the end of a run about tests that could not run here."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.servers.availability import NOT_HERE, started
from tests.servers.elasticmq import ElasticMQ, elasticmq
from tests.servers.identity import identity_server
from tests.servers.kafka import Kafka, kafka
from tests.servers.kinesalite import kinesalite
from tests.servers.kinesis_local import Kinesis, kinesis_local
from tests.servers.kinesis_proxy import KinesisProxy, kinesis_proxy
from tests.servers.moto_server import moto_server
from tests.servers.nginx import nginx_sink
from tests.servers.queues import Queues
from tests.servers.scripted_invoke import ScriptedInvoke, scripted_invoke
from tests.servers.streams import Streams
from tests.servers.topics import Topics


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what could not be run, and why: a skip must not pass unseen."""
    reasons: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        said = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if NOT_HERE in said:
            reasons.setdefault(said.partition(NOT_HERE)[2], []).append(report.nodeid)
    for reason, tests in reasons.items():
        terminalreporter.section(f"could not run here: {len(tests)}", sep="=", yellow=True)
        terminalreporter.line(reason)
        for test in tests:
            terminalreporter.line(f"  {test}")


@pytest.fixture(scope="session")
def sqs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElasticMQ]:
    """An SQS for the whole run; take queues from `queues`."""
    with started(elasticmq(tmp_path_factory.mktemp("elasticmq"))) as server:
        yield server


@pytest.fixture(scope="session")
def kinesis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinesis]:
    """A Kinesis for the whole run; take streams from `streams`."""
    with started(kinesis_local(tmp_path_factory.mktemp("kinesis-local"))) as server:
        yield server


@pytest.fixture(scope="session")
def kinesalite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kinesis]:
    """A Kinesis that takes thousands of records a second."""
    with started(kinesalite(tmp_path_factory.mktemp("kinesalite"))) as server:
        yield server


@pytest.fixture(scope="session")
def moto_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of moto's server."""
    with started(moto_server(tmp_path_factory.mktemp("moto"))) as server:
        yield server


@pytest.fixture(scope="session")
def nginx_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An Invoke endpoint that answers at once."""
    with started(nginx_sink(tmp_path_factory.mktemp("nginx"))) as server:
        yield server


@pytest.fixture
async def queues(sqs_server: ElasticMQ) -> AsyncIterator[Queues]:
    """Makes fresh queues, and deletes them after the test."""
    made = Queues(sqs_server.url)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def streams(kinesis_server: Kinesis) -> AsyncIterator[Streams]:
    """Makes fresh streams, and deletes them after the test."""
    made = Streams(kinesis_server.url)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A Kafka for the whole run; take topics from `topics`."""
    with started(kafka(tmp_path_factory.mktemp("kafka"))) as server:
        yield server


@pytest.fixture
async def topics(kafka_server: Kafka) -> AsyncIterator[Topics]:
    """Makes fresh topics."""
    made = Topics(kafka_server.bootstrap)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def proxy(kinesis_server: Kinesis) -> AsyncIterator[KinesisProxy]:
    """Stands before the Kinesis server and spoils what the test says."""
    async with kinesis_proxy(kinesis_server.url) as running:
        yield running


@pytest.fixture
async def identity() -> AsyncIterator[str]:
    """An endpoint that says who is asking."""
    async with identity_server() as url:
        yield url


@pytest.fixture
async def functions() -> AsyncIterator[ScriptedInvoke]:
    """An Invoke endpoint whose functions the test scripts."""
    async with scripted_invoke() as endpoint:
        yield endpoint
