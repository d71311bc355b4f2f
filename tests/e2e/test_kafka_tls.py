"""Brokers behind TLS, of a CA of the user's own: whom to trust, what is said of others, and a CA that is replaced."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Launcher, Running
from tests.e2e.topics import done_by, topic_mapping, values
from tests.servers.kafka import Kafka, kafka
from tests.servers.scripted_invoke import ScriptedInvoke
from tests.servers.topics import Topic, Topics

pytestmark = pytest.mark.server

#: Seconds within which a CA that was written anew counts: ten seconds, and a try.
RENEWED = 45.0


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One whose certificates may be replaced."""
    with kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture
async def inside(broker: Kafka) -> AsyncIterator[Topics]:
    """Who writes has no need of TLS."""
    topics = Topics(broker.bootstrap)
    yield topics
    await topics.close()


def put_in_place(text: str, file: Path) -> None:
    """As a kubelet or a careful script does it: there is no moment at which half of it can be read."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def behind_tls(topic: Topic, broker: Kafka, ca: Path, functions: str) -> dict[str, object]:
    return topic_mapping(
        topic,
        functions,
        SelfManagedEventSource={"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [broker.tls_bootstrap]}},
        SourceAccessConfigurations=[{"Type": "SERVER_ROOT_CA_CERTIFICATE", "URI": f"file://{ca}"}],
    )


async def said(running: Running) -> str:
    """Wait until the page gives the certificate as the reason why nothing is read."""
    async with asyncio.timeout(RENEWED):
        while "CERTIFICATE_VERIFY_FAILED" not in (  # noqa: ASYNC110 - a page tells nobody
            reason := (await running.mappings())["orders"]["stateReason"]
        ):
            await asyncio.sleep(0.05)
    return str(reason)


async def test_a_ca_that_did_not_sign_is_said_and_the_right_one_taken_whenever_it_comes(
    outboard: Launcher, broker: Kafka, inside: Topics, functions: ScriptedInvoke, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    put_in_place(broker.certificates.untrusted.read_text(), ca)
    topic = await inside.create(2)
    await inside.put(topic, values(range(100)))
    running = await outboard.run([behind_tls(topic, broker, ca, functions.url)])
    reason = await said(running)

    assert "SERVER_ROOT_CA_CERTIFICATE" in reason
    assert functions.invokes == []
    put_in_place(broker.certificates.ca.read_text(), ca)
    await running.until_counted("outboard_committed_events_total", 100, seconds=RENEWED)
    assert functions.invokes[0].event["bootstrapServers"] == broker.tls_bootstrap

    # Now the brokers get certificates of another CA while all is well, and whoever looks after the file is late.
    broker.kill()
    broker.certify_anew()
    broker.start()
    await inside.put(topic, values(range(100, 200)))
    await said(running)
    put_in_place(broker.certificates.ca.read_text(), ca)
    await running.until_counted("outboard_committed_events_total", 200, seconds=RENEWED)
    await running.until_state("orders", "Enabled")

    assert sorted(done_by(functions.invokes)) == list(range(200))
    assert "Traceback" not in running.log
