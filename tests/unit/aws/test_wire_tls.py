"""Certificates, bundles and handshakes, with servers of our own."""

import re
import socket
import time
from datetime import timedelta

import pytest

from outboard.aws.calls import CallFailed, Unreachable
from tests.unit.aws.certificates import Authority
from tests.unit.aws.wire import answer, tcp, wire

pytestmark = pytest.mark.usefixtures("keys")

HOUR = timedelta(hours=1)


@pytest.fixture
def config(monkeypatch, tmp_path):
    """Writes the shared config file's default profile."""

    def write(text):
        (tmp_path / "config").write_text(f"[default]\n{text}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    return write


async def failure_of(services, url, timeout=10.0) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await services().sqs("eu-west-1", url, None).call("ListQueues", {}, timeout=timeout)
    return caught.value


async def test_a_server_whose_authority_is_unknown_is_refused_with_the_remedy(services, authority):
    async with wire(tls=authority.server()) as server:
        failure = await failure_of(services, server.url)

        assert isinstance(failure, Unreachable)
        assert failure.code == "ClientConnectorCertificateError"
        peer = server.url.removeprefix("https://")
        assert re.fullmatch(
            rf"{server.url}: the certificate of {peer} is not accepted \([a-z -]+\); "
            r"if it is the right one, name its authority's file in AWS_CA_BUNDLE",
            failure.message,
        )
        assert server.requests == []


@pytest.mark.parametrize("named", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"])
async def test_a_bundle_named_where_the_sdk_looks_for_it_makes_a_server_trusted(
    services, authority, monkeypatch, config, named
):
    if named == "ca_bundle":
        config(f"ca_bundle = {authority.bundle}")
    else:
        monkeypatch.setenv(named, str(authority.bundle))
    async with wire(answer(body=b'{"a":1}'), tls=authority.server()) as server:
        assert await services().sqs("eu-west-1", server.url, None).call("ListQueues", {}) == {"a": 1}


async def test_the_environments_bundle_wins_over_the_config_files_and_that_over_requests(
    services, authority, monkeypatch, config, tmp_path
):
    other = Authority(tmp_path, "other")
    async with wire(tls=authority.server()) as server:
        config(f"ca_bundle = {authority.bundle}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.bundle))
        assert await services().sqs("eu-west-1", server.url, None).call("ListQueues", {}) == {}

        monkeypatch.setenv("AWS_CA_BUNDLE", str(other.bundle))
        assert (await failure_of(services, server.url)).code == "ClientConnectorCertificateError"


@pytest.mark.parametrize(
    ("names", "since", "until", "sentence"),
    [
        (("localhost", "127.0.0.2"), -HOUR, HOUR, r"\(.*mismatch.*\); call it by a name that is in the certificate"),
        (("127.0.0.1",), -2 * HOUR, -HOUR, r"\(certificate has expired\); renew it, or correct this machine's clock"),
        (
            ("127.0.0.1",),
            HOUR,
            2 * HOUR,
            r"\(certificate is not yet valid\); correct this machine's clock, or the certificate",
        ),
    ],
    ids=["another name", "expired", "not yet valid"],
)
async def test_a_certificate_that_does_not_hold_is_refused_and_says_why(
    services, authority, monkeypatch, names, since, until, sentence
):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    async with wire(tls=authority.server(*names, since=since, until=until)) as server:
        failure = await failure_of(services, server.url)

        assert failure.code == "ClientConnectorCertificateError"
        assert re.search(rf"is not accepted {sentence}$", failure.message)
        assert server.requests == []


async def test_a_bundle_that_cannot_be_used_is_named_and_counts_from_when_it_can(
    services, authority, monkeypatch, tmp_path
):
    bundle = tmp_path / "bundle.pem"
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    async with wire(tls=authority.server()) as server:
        sqs = services().sqs("eu-west-1", server.url, None)
        for broken in (lambda: None, lambda: bundle.write_text("no certificate")):
            broken()
            with pytest.raises(Unreachable, match=re.escape(str(bundle))) as caught:
                await sqs.call("ListQueues", {})
            assert caught.value.code == "BadCaBundle"

        bundle.write_text(authority.bundle.read_text())
        assert await sqs.call("ListQueues", {}) == {}


async def test_a_bundle_that_is_rotated_counts_without_a_restart(services, authority, monkeypatch, tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(Authority(tmp_path, "other").bundle.read_text())
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    async with wire(tls=authority.server()) as server:
        sqs = services().sqs("eu-west-1", server.url, None)
        with pytest.raises(Unreachable):
            await sqs.call("ListQueues", {})

        bundle.write_text("no certificate")
        with pytest.raises(Unreachable, match="AWS_CA_BUNDLE"):
            await sqs.call("ListQueues", {})

        bundle.write_text(authority.bundle.read_text())
        with pytest.raises(Unreachable):  # it is read again after this
            await sqs.call("ListQueues", {})
        assert await sqs.call("ListQueues", {}) == {}


async def test_a_server_that_speaks_no_tls_is_told_from_one_that_is_not_trusted(services):
    async def greet(_, writer):
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        await writer.drain()

    async with tcp(greet) as peer:
        failure = await failure_of(services, f"https://{peer}")

        assert isinstance(failure, Unreachable)
        assert re.fullmatch(
            rf"https://{peer}: no TLS with {peer} \([a-z ]+\); check that it speaks https there, and the endpoint's URL",
            failure.message,
        )


async def test_a_tls_server_called_without_tls_is_a_sentence(services, authority):
    async with wire(tls=authority.server()) as server:
        failure = await failure_of(services, server.url.replace("https://", "http://"))

        assert isinstance(failure, Unreachable)
        assert re.search(r"does not speak HTTP|closed before an answer|connection broke", failure.message)
        assert "\n" not in failure.message


async def test_a_handshake_that_hangs_is_no_connection_and_bounded(services):
    async def hang(reader, _):
        await reader.read()

    async with tcp(hang) as peer:
        started = time.monotonic()
        failure = await failure_of(services, f"https://{peer}", timeout=1.0)

        assert time.monotonic() - started < 5.0
        assert isinstance(failure, Unreachable)
        assert failure.code == "ConnectTimeout"
        assert failure.message.startswith(f"https://{peer} accepted no connection in 0.")


async def test_a_handshake_that_breaks_off_is_a_sentence(services):
    async def leave(reader, _):
        await reader.read(1)

    async with tcp(leave) as peer:
        failure = await failure_of(services, f"https://{peer}")

        assert isinstance(failure, Unreachable)
        assert failure.code.startswith("ClientConnector")
        assert failure.message.startswith(f"https://{peer}: no connection to {peer} (")


async def test_a_full_backlog_is_no_connection_and_not_a_call_without_answer(services):
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(("127.0.0.1", port))
        failure = await failure_of(services, f"http://127.0.0.1:{port}", timeout=0.3)

    assert isinstance(failure, Unreachable)
    assert failure.code == "ConnectTimeout"


async def test_tls_connections_are_used_again_unless_the_server_has_closed_them(services, authority, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    async with wire(tls=authority.server()) as server:
        sqs = services().sqs("eu-west-1", server.url, None)
        await sqs.call("ListQueues", {})
        await sqs.call("ListQueues", {})
        server.says_at_once(hangs_up=True)
        await sqs.call("ListQueues", {})

        assert [request.connection for request in server.requests] == [1, 1, 2]


async def test_large_bodies_pass_through_tls(services, authority, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    sent, given = b"u" * 6_291_456, b"d" * 14_000_000
    async with wire(answer(200, given), tls=authority.server()) as server:
        reply = await services().lambda_("eu-west-1", server.url, None).invoke("orders", sent)

        assert reply.body == given
        assert server.requests[0].body == sent
