"""Which brokers are trusted: handshakes with servers of authorities that are given, or not."""

import asyncio
import base64
import json
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.sources.kafka.consumer import ConsumerError, ConsumerSpec, FetchLimits, Way
from outboard.sources.kafka.member import GroupMember
from outboard.sources.kafka.tls import ssl_context, trust
from tests.unit.aws.certificates import Authority

REMEDY = "write it as PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("other"), "other")


async def shaken(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    async def serve(_, writer):
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        writer.close()


def pem(authority):
    return authority.bundle.read_text()


def refusal(text):
    with pytest.raises(ConsumerError) as caught:
        ssl_context(text)
    assert (caught.value.error_type, caught.value.fatal) == ("BadCertificate", True)
    return str(caught.value)


async def test_brokers_of_the_given_authority_are_trusted(authority):
    await shaken(authority.server(), ssl_context(pem(authority)))


async def test_every_authority_that_is_given_is_trusted(authority, other):
    context = ssl_context(f"# ours\n{pem(authority)}\n# and theirs\n{pem(other)}")

    await shaken(authority.server(), context)
    await shaken(other.server(), context)


async def test_an_authority_that_is_given_later_is_trusted_from_the_next_connection_on(authority, other):
    context = ssl_context(pem(authority))
    trust(context, pem(other))
    trust(context, pem(other))

    await shaken(other.server(), context)
    await shaken(authority.server(), context)
    with pytest.raises(ConsumerError, match="holds no certificate"):
        trust(context, "")


async def test_a_member_trusts_whom_its_certificates_name_by_now(authority, other):
    named, context = [pem(authority)], ssl_context(pem(authority))

    async def way():
        return Way("127.0.0.1:1", context if len(named) == 1 else ssl_context(named[-1]), named[-1])

    spec = ConsumerSpec("m", "u", "trades", "group", "127.0.0.1:1", tls=True, ca="env:CA")
    member = GroupMember(spec, FetchLimits(65_536, 65_536), way)
    await member.renew()  # not started: nothing to renew
    with pytest.raises(ConsumerError):
        await member.start()
    named.append(pem(other))
    with pytest.raises(ssl.SSLCertVerificationError):
        await shaken(other.server(), context)
    await member.renew()

    await shaken(other.server(), context)


async def test_brokers_of_another_authority_are_not(authority, other):
    with pytest.raises(ssl.SSLCertVerificationError):
        await shaken(other.server(), ssl_context(pem(authority)))


async def test_brokers_of_nobody_known_to_the_system_are_not(authority):
    with pytest.raises(ssl.SSLCertVerificationError):
        await shaken(authority.server(), ssl_context(None))


async def test_brokers_of_another_name_are_not(authority):
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        await shaken(authority.server("kafka.example"), ssl_context(pem(authority)))


@pytest.mark.parametrize(
    "spelt",
    [
        lambda text: text.replace("\n", " "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\\n"),
        lambda text: text.replace("CERTIFICATE-----\n", "CERTIFICATE-----").strip(),
        lambda text: json.loads(json.dumps(text)),
    ],
)
async def test_line_breaks_may_have_become_something_else(authority, spelt):
    await shaken(authority.server(), ssl_context(spelt(pem(authority))))


def test_a_users_own_authority_need_not_follow_every_rule(authority):
    flags = ssl_context(pem(authority)).verify_flags

    assert flags & (ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN) == ssl.VERIFY_X509_PARTIAL_CHAIN


def test_the_systems_authorities_are_held_to_what_python_asks_of_them():
    assert ssl_context(None).verify_flags == ssl.create_default_context().verify_flags


@pytest.mark.parametrize("own", [True, False])
def test_names_are_checked_and_certificates_are_asked_for(authority, own):
    context = ssl_context(pem(authority) if own else None)

    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize(
    "text",
    ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----"],
)
def test_a_text_without_a_certificate_says_so(text):
    assert refusal(text) == f"SERVER_ROOT_CA_CERTIFICATE holds no certificate; {REMEDY}"


def test_a_damaged_certificate_says_so(authority):
    assert refusal(pem(authority).replace("M", "*", 1)) == (
        f"SERVER_ROOT_CA_CERTIFICATE holds a certificate that is damaged; {REMEDY}"
    )


def test_what_is_no_certificate_inside_says_so():
    text = "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----"

    assert refusal(text) == f"SERVER_ROOT_CA_CERTIFICATE holds a certificate that cannot be read; {REMEDY}"


def test_an_empty_certificate_does_not_mean_those_of_the_system(authority):
    empty = "-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n"

    assert [refusal(it) for it in (empty, pem(authority) + empty)] == [
        f"SERVER_ROOT_CA_CERTIFICATE holds a certificate that is empty; {REMEDY}"
    ] * 2


def test_a_broken_certificate_behind_a_whole_one_is_not_passed_over(authority):
    body = base64.b64encode(b"0\x84no").decode()
    broken = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"

    assert refusal(pem(authority) + broken) == (
        f"SERVER_ROOT_CA_CERTIFICATE holds a certificate that cannot be read; {REMEDY}"
    )


@given(st.text())
def test_whatever_stands_between_the_lines_it_is_a_sentence(body):
    assert refusal(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----").endswith(REMEDY)
