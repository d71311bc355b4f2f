"""Proxies: as the environment names them, and as the SDK reads it."""

import base64
import time

import pytest
from botocore.utils import get_environ_proxies
from yarl import URL

from outboard.aws.calls import CallFailed, TimedOut, Unreachable
from outboard.aws.transport import Transport
from tests.unit.aws.proxy import proxy
from tests.unit.aws.wire import answer, wire

pytestmark = pytest.mark.usefixtures("keys")

SQS = "sqs.eu-west-1.amazonaws.com"
NOBODY = "http://127.0.0.1:1"
GIVE_A_USER = "give it a user and a password: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
CHECK_IT = "check HTTP_PROXY and HTTPS_PROXY, or name the host in NO_PROXY"
ASKED_FOR_USER = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"


async def failure_of(call) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await call
    return caught.value


async def post(url):
    transport = Transport(url, None)
    try:
        return await transport.post(URL(url + "/"), {"host": "h"}, b"x", 5.0)
    finally:
        await transport.close()


@pytest.fixture
async def aws(authority, monkeypatch):
    """A server that is SQS by its certificate; only a proxy finds it."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    async with wire(tls=authority.server(SQS)) as server:
        yield server


async def test_an_https_endpoint_is_called_through_a_tunnel_that_is_used_again(services, aws, monkeypatch):
    async with proxy(aws.url) as between:
        monkeypatch.setenv("HTTPS_PROXY", between.url)
        sqs = services().sqs("eu-west-1", None, None)
        await sqs.call("ListQueues", {"QueueNamePrefix": "a"})
        await sqs.call("ListQueues", {})

        assert between.lines == [f"CONNECT {SQS}:443 HTTP/1.1"]
        assert "authorization" not in between.asked[0][1]
        assert [(request.line, request.headers["host"]) for request in aws.requests] == [("POST / HTTP/1.1", SQS)] * 2


async def test_an_http_endpoint_is_asked_of_the_proxy_by_its_whole_url(services, monkeypatch):
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:orders"
    async with wire(answer(200, b"null")) as server, proxy(server.url) as between:
        monkeypatch.setenv("HTTP_PROXY", between.url)
        lambda_ = services().lambda_("eu-west-1", "http://functions.example:9001", None)
        reply = await lambda_.invoke(arn, b"{}", qualifier="$LATEST")

        path = f"/2015-03-31/functions/{arn.replace(':', '%3A')}/invocations?Qualifier=%24LATEST"
        assert reply.body == b"null"
        assert between.lines == [f"POST http://functions.example:9001{path} HTTP/1.1"]
        assert server.requests[0].headers["host"] == "functions.example:9001"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize("written", ["{}", "http://{}", "http://{}/", "//{}"])
async def test_a_proxy_may_be_written_as_the_sdk_lets_one_write_it(services, aws, monkeypatch, name, written):
    async with proxy(aws.url) as between:
        monkeypatch.setenv(name, written.format(between.url.removeprefix("http://")))

        assert await services().sqs("eu-west-1", None, None).call("ListQueues", {}) == {}
        assert len(between.asked) == 1


@pytest.mark.parametrize("written", ["me:pa%40ss%3Aw%2Frd", "http://me:pa%40ss%3Aw%2Frd"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_proxys_user_and_password_go_to_the_proxy_alone(services, aws, monkeypatch, scheme, written):
    expected = "Basic " + base64.b64encode(b"me:pa@ss:w/rd").decode()
    async with wire() as plain, proxy(aws.url if scheme == "https" else plain.url) as between:
        monkeypatch.setenv(f"{scheme}_proxy", f"{written}@{between.url.removeprefix('http://')}")
        await services().sqs("eu-west-1", None if scheme == "https" else f"http://{SQS}", None).call("ListQueues", {})

        (request,) = [*aws.requests, *plain.requests]
        assert between.asked[0][1]["proxy-authorization"] == expected
        assert "proxy-authorization" not in request.headers


async def test_a_proxy_is_itself_spoken_to_with_tls_if_its_url_says_so(services, aws, authority, monkeypatch):
    async with proxy(aws.url, authority.server()) as between:
        monkeypatch.setenv("HTTPS_PROXY", between.url)

        assert await services().sqs("eu-west-1", None, None).call("ListQueues", {}) == {}
        assert between.lines == [f"CONNECT {SQS}:443 HTTP/1.1"]


async def test_the_server_behind_a_tunnel_must_be_the_one_that_was_asked_for(services, authority, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    async with wire(tls=authority.server("intruder.example")) as server, proxy(server.url) as between:
        monkeypatch.setenv("HTTPS_PROXY", between.url)
        failure = await failure_of(services().sqs("eu-west-1", None, None).call("ListQueues", {}))

        assert failure.code == "ClientConnectorCertificateError"
        assert f"the certificate of {SQS}:443 is not accepted" in failure.message
        assert server.requests == []


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (
            ASKED_FOR_USER,
            f"407 Proxy Authentication Required; {GIVE_A_USER}",
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
            f"502 Bad Gateway; {CHECK_IT}",
        ),
        (
            b"HTTP/1.1 403\r\ncontent-length: 3\r\n\r\nno!",
            f"403; {CHECK_IT}",
        ),
    ],
)
async def test_a_proxy_that_lets_nothing_through_is_named_with_what_it_said(services, aws, monkeypatch, refusal, said):
    async with proxy(aws.url) as between:
        between.refuses, between.refusal = True, refusal
        monkeypatch.setenv("HTTPS_PROXY", between.url.replace("http://", "http://me:secret@"))
        failure = await failure_of(services().sqs("eu-west-1", None, None).call("ListQueues", {}))

        assert isinstance(failure, Unreachable)
        assert (failure.code, failure.message) == (
            "ClientHttpProxyError",
            f"https://{SQS}: the proxy {between.url} does not let the call through, it answered {said}",
        )


async def test_a_proxy_that_asks_for_a_password_is_no_function_that_answered(services, monkeypatch):
    async with proxy(NOBODY) as between:
        between.refuses, between.refusal = True, ASKED_FOR_USER
        monkeypatch.setenv("HTTP_PROXY", between.url)
        failure = await failure_of(services().lambda_("eu-west-1", "http://f.example", None).invoke("orders", b"{}"))

        assert isinstance(failure, Unreachable)
        assert failure.code == "ClientHttpProxyError"
        assert f"the proxy {between.url} does not let the call through, it answered 407" in failure.message


@pytest.mark.parametrize("endpoint", [None, "http://queue.example"])
async def test_a_proxy_that_is_down_is_named(services, monkeypatch, endpoint):
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://me:secret@127.0.0.1:1")
    failure = await failure_of(services().sqs("eu-west-1", endpoint, None).call("ListQueues", {}))

    assert isinstance(failure, Unreachable)
    assert (failure.code, failure.message) == (
        "ClientProxyConnectionError",
        f"{endpoint or 'https://' + SQS}: the proxy http://127.0.0.1:1 cannot be reached (Connection refused); {CHECK_IT}",
    )


async def test_a_proxy_that_never_answers_is_no_connection_and_not_a_function_without_answer(services, monkeypatch):
    async with proxy(NOBODY) as between:
        between.refuses = True
        monkeypatch.setenv("HTTPS_PROXY", between.url)
        started = time.monotonic()
        failure = await failure_of(services().lambda_("eu-west-1", None, None).invoke("orders", b"{}", timeout=0.3))

        assert time.monotonic() - started < 5.0
        assert not isinstance(failure, TimedOut)
        assert failure.code == "ConnectTimeout"
        assert f"accepted no connection through the proxy {between.url} in 0." in failure.message


async def test_a_proxy_that_hangs_up_is_told_from_a_service_that_does(services, monkeypatch):
    async with proxy(NOBODY) as between:
        between.refuses, between.refusal = True, b""
        monkeypatch.setenv("HTTPS_PROXY", between.url)
        failure = await failure_of(services().sqs("eu-west-1", None, None).call("ListQueues", {}))

        assert isinstance(failure, Unreachable)
        assert (failure.code, failure.message) == (
            "ClientProxyConnectionError",
            f"https://{SQS}: the proxy {between.url} cannot be reached (it hung up); {CHECK_IT}",
        )


async def test_a_proxy_that_speaks_no_http_is_a_sentence(services, monkeypatch):
    async with proxy(NOBODY) as between:
        between.refuses, between.refusal = True, b"SSH-2.0-OpenSSH\r\n\r\n"
        monkeypatch.setenv("HTTPS_PROXY", between.url)
        failure = await failure_of(services().sqs("eu-west-1", None, None).call("ListQueues", {}))

        way = f"https://{SQS} through the proxy {between.url}"
        assert failure.message.startswith(f"{way}: what answered does not speak HTTP (")


@pytest.mark.parametrize("written", ["socks5://me:secret@127.0.0.1:1080", "http://me:secret@:3128", "http://h:secret"])
async def test_what_cannot_be_a_proxy_is_said_without_its_password(services, monkeypatch, written):
    monkeypatch.setenv("HTTPS_PROXY", written)
    with pytest.raises(Unreachable) as caught:
        services().sqs("eu-west-1", None, None)

    assert (caught.value.code, caught.value.message) == (
        "BadProxy",
        "HTTPS_PROXY names no proxy that can be used: write it as http://HOST:PORT",
    )


@pytest.mark.parametrize("written", ["127.0.0.1", "{}", "*", "example.com, 127.0.0.1", ".0.0.1", "0.1"])
async def test_hosts_in_no_proxy_are_called_directly(monkeypatch, written):
    async with wire() as server:
        monkeypatch.setenv("HTTP_PROXY", NOBODY)
        monkeypatch.setenv("NO_PROXY", written.format(server.url.removeprefix("http://")))

        assert (await post(server.url)).status == 200


@pytest.mark.parametrize("written", ["127.0.0.2", "127.0.0.1:1", "localhost", ".127.0.0.1.example"])
async def test_others_are_not(monkeypatch, written):
    async with wire() as server:
        monkeypatch.setenv("HTTP_PROXY", NOBODY)
        monkeypatch.setenv("NO_PROXY", written)

        assert (await failure_of(post(server.url))).code == "ClientProxyConnectionError"


@pytest.mark.parametrize(
    "no_proxy",
    [
        "",
        "*",
        "amazonaws.com",
        ".amazonaws.com",
        "*.amazonaws.com",
        "SQS.eu-west-1.amazonaws.com",
        "queue.local:9324",
        "queue.local:9325",
        ".local",
        "::1,[::1]:9324",
        "10.0.0.0/8, 10.1.2.3",
    ],
)
def test_whether_a_proxy_is_used_is_decided_as_in_the_sdk(monkeypatch, no_proxy):
    monkeypatch.setenv("HTTP_PROXY", "http://plain.example:3128")
    monkeypatch.setenv("HTTPS_PROXY", "http://tls.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    urls = [f"https://{SQS}", "http://queue.local:9324", "http://[::1]:9324", "http://10.1.2.3", "https://local"]

    used = {url: str(Transport(url, None)._proxy or "").rstrip("/") for url in urls}

    assert used == {url: get_environ_proxies(url).get(URL(url).scheme, "") for url in urls}


def test_a_port_in_no_proxy_may_be_the_one_that_goes_without_saying(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", NOBODY)
    monkeypatch.setenv("NO_PROXY", f"{SQS}:443")

    assert Transport(f"https://{SQS}", None)._proxy is None


async def test_a_role_is_assumed_through_the_same_proxy(services, monkeypatch):
    async with wire() as sts, proxy(sts.url) as between:
        sts.default = answer(403, b"<Error><Code>AccessDenied</Code></Error>", content_type="text/xml")
        monkeypatch.setenv("HTTP_PROXY", between.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://sts.example")
        sqs = services().sqs("eu-west-1", "http://queue.example", "arn:aws:iam::123456789012:role/poller")

        assert (await failure_of(sqs.call("ListQueues", {}))).code == "NoCredentials"
        assert between.lines == ["POST http://sts.example/ HTTP/1.1"]
