"""Connections: proxies, keep-alive, authorities."""

import socket

import aiohttp
import pytest
from yarl import URL

from outboard.aws.calls import Unreachable
from outboard.aws.transport import Answer, Transport
from tests.unit.aws.wire import answer, wire


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def post(url, *, then=None):
    transport = Transport(url, None)
    try:
        got = await transport.post(URL(url + "/a%3Ab", encoded=True), {"host": "h"}, b"x", 5.0)
        if then is not None:
            then(transport)
        return got
    finally:
        await transport.close()


async def test_a_proxy_is_used_and_given_the_whole_url(monkeypatch):
    async with wire(answer(body=b"via")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:secret@"))
        got = await post("http://queue.example")

        assert got == Answer(200, {"content-length": "3"}, b"via")
        assert proxy.requests[0].line == "POST http://queue.example/a%3Ab HTTP/1.1"
        assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")


async def test_no_proxy_is_honoured(monkeypatch):
    async with wire() as server:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")

        assert (await post(server.url)).status == 200


async def test_tcp_keep_alive_is_on():
    seen = []

    def look(transport):
        ((connection, *_),) = transport._session.connector._conns.values()
        sock = connection[0].transport.get_extra_info("socket")
        seen.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))

    async with wire() as server:
        await post(server.url, then=look)

    assert seen == [1, 60]


class FailsOnce:
    """A session whose first call fails as aiohttp's fail where a connection is closed while they are being written."""

    def __init__(self, session, cause):
        self.session = session
        self.cause = cause
        self.calls = 0

    def post(self, *arguments, **named):
        self.calls += 1
        return self if self.calls == 1 else self.session.post(*arguments, **named)

    async def __aenter__(self):
        raise aiohttp.ClientOSError(None, "Can not write request body") from aiohttp.ClientConnectionResetError(
            self.cause
        )

    async def __aexit__(self, *_):
        pass

    async def close(self):
        await self.session.close()


async def fails_once(server, cause):
    transport = Transport(server.url, None)
    transport._session = FailsOnce(transport._open(), cause)
    try:
        return await transport.post(URL(server.url + "/"), {"host": "h"}, b"x", 5.0)
    finally:
        await transport.close()


async def test_a_call_that_was_never_written_is_sent_on_another_connection():
    async with wire() as server:
        assert (await fails_once(server, "Cannot write to closing transport")).status == 200


async def test_a_call_that_may_have_been_written_is_not_sent_again():
    async with wire() as server:
        with pytest.raises(Unreachable):
            await fails_once(server, "Connection lost")

        assert server.requests == []
