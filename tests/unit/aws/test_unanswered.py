"""The sentences that no server of ours can provoke; the others are in the tests of the wire."""

import errno
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from outboard.aws.unanswered import no_connection, unreachable

KEY = ConnectionKey("sqs.example", 443, True, True, None, None, None)
IPV6 = KEY._replace(host="fd00::1")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name or service not known")),
            "the name sqs.example cannot be resolved (Name or service not known)",
        ),
        (
            aiohttp.ClientConnectorError(IPV6, OSError(errno.EHOSTUNREACH, "Connect call failed ('fd00::1', 443)")),
            "no connection to [fd00::1]:443 (No route to host)",
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError("Multiple exceptions: one, other")),
            "no connection to sqs.example:443 (Multiple exceptions: one, other)",
        ),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError(1, "odd")),
            "the certificate of sqs.example:443 is not accepted (odd)",
        ),
        (
            aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "odd")),
            "no TLS with sqs.example:443 (odd); check that it speaks https there, and the endpoint's URL",
        ),
        (aiohttp.ClientOSError(errno.EPIPE, "Broken pipe"), "the connection broke (Broken pipe)"),
        (aiohttp.ClientOSError(None, "Can not write request body for URL"), "the connection broke (it was closed)"),
        (
            aiohttp.ClientResponseError(None, (), status=400, message=""),
            "what answered does not speak HTTP ()",
        ),
        (ValueError("Newline in a header"), "Newline in a header"),
        (ValueError(), "ValueError"),
    ],
)
def test_a_failure_is_said_in_the_systems_words(error, sentence):
    failure = unreachable(error, "https://sqs.example", None)

    assert (failure.code, failure.message) == (type(error).__name__, f"https://sqs.example: {sentence}")


def test_a_call_through_a_proxy_says_so():
    failure = unreachable(aiohttp.ServerDisconnectedError(), "https://sqs.example", "http://p:3128")

    assert failure.message == (
        "https://sqs.example through the proxy http://p:3128: the connection was closed before an answer came"
    )


def test_no_connection_says_how_long_it_was_waited_for():
    assert no_connection(5.004, "https://h", None).message == "https://h accepted no connection in 5 s"
