"""Knows how bytes get to an endpoint and back: a connection pool, proxies, certificates; it never sends twice."""

import asyncio
import contextlib
import io
import select
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.connector import Connection
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict
from yarl import URL

from outboard.aws.calls import TimedOut, Unreachable
from outboard.aws.unanswered import PROXY_ASKS_WHO, no_connection, unknown_to_proxy, unreachable

#: NAT gateways and load balancers drop idle connections after 350 s, servers often after 60.
_KEEP_ALIVE = 55.0

#: Seconds for one address to accept a connection, and for all that comes before sending: names, proxies, TLS.
_CONNECT = 5.0
_CONNECT_IN_ALL = 10.0

#: Of a call's time, what may go by before it is sent: one that was never sent must not count as unanswered.
_SHARE_TO_CONNECT = 0.9

_ENOUGH_TIME = aiohttp.ClientTimeout(connect=_CONNECT_IN_ALL, sock_connect=_CONNECT, ceil_threshold=_CONNECT_IN_ALL)

#: TCP probes a silent connection, so that nothing on the way forgets it during an invoke of minutes.
_PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}

#: A longer body is handed over as a file: aiohttp then writes it piece by piece, and the loop goes on turning.
_IN_ONE_PIECE = 2**20

#: No answer of the services called here is larger: 10 MB of Kinesis records are 14 MB in base64.
_LARGEST_ANSWER = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever its status; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Connections to one origin, as many as there are calls: a long poll never keeps a short call waiting."""

    def __init__(self, endpoint: str, ca_bundle: str | None) -> None:
        """Raises `Unreachable` where the environment names a proxy that cannot be one."""
        self._origin = str(URL(endpoint).origin())
        self._proxy = _proxy_for(URL(endpoint))
        self._shown_proxy = str(self._proxy.origin()) if self._proxy else None
        self._ca_bundle = ca_bundle
        self._session: aiohttp.ClientSession | None = None
        self._trusted: ssl.SSLContext | None = None  # what came of the bundle

    async def post(self, url: URL, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        """Send once. Raises `Unreachable` or `TimedOut`."""
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(timeout):
                answer = await self._exchange(url, headers, body, timeout)
        except aiohttp.ConnectionTimeoutError as error:
            seconds = asyncio.get_running_loop().time() - started
            raise no_connection(seconds, self._origin, self._shown_proxy) from error
        except TimeoutError as error:
            raise TimedOut("Timeout", f"{self._origin} did not answer within {timeout:.4g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, aiohttp.ClientConnectorCertificateError):
                self._read_bundle_again()
            raise unreachable(error, self._origin, self._shown_proxy) from error
        if self._shown_proxy and answer.status == PROXY_ASKS_WHO:
            raise unknown_to_proxy(self._origin, self._shown_proxy)
        return answer

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _exchange(self, url: URL, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        try:
            return await self._send(url, headers, body, timeout)
        except aiohttp.ClientOSError as error:
            if not _never_left(error):
                raise
            return await self._send(url, headers, body, timeout)

    async def _send(self, url: URL, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        session = self._session or self._open()
        async with session.post(
            url,
            data=body if len(body) <= _IN_ONE_PIECE else io.BytesIO(body),
            headers=headers,
            proxy=self._proxy,
            allow_redirects=False,
            timeout=_limits(timeout),
        ) as answer:
            lower = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, lower, await self._read(answer))

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        """The whole body, if it is of a size that one of our calls can have."""
        if answer.content_length is not None and answer.content_length <= _LARGEST_ANSWER:
            return await answer.read()
        chunks, size = [], 0
        async for chunk in answer.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > _LARGEST_ANSWER:
                raise Unreachable("AnswerTooLarge", f"{self._origin}: the answer exceeds {_LARGEST_ANSWER} bytes")
        return b"".join(chunks)

    def _open(self) -> aiohttp.ClientSession:
        try:
            context = ssl.create_default_context(cafile=self._ca_bundle) if self._ca_bundle else True
        except OSError as error:  # SSLError is one too
            named = "AWS_CA_BUNDLE, ca_bundle or REQUESTS_CA_BUNDLE"
            message = f"the CA bundle {self._ca_bundle} cannot be used ({error}); correct it, or {named} that names it"
            raise Unreachable("BadCaBundle", message) from error
        self._trusted = context if isinstance(context, ssl.SSLContext) else None
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                limit=0, keepalive_timeout=_KEEP_ALIVE, ttl_dns_cache=30, ssl=context, socket_factory=_probed_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_Request,
            auto_decompress=False,
        )
        return self._session

    def _read_bundle_again(self) -> None:
        """The bundle may have been rotated: from the next connection on, what it holds now is trusted too."""
        if self._trusted is not None:
            with contextlib.suppress(OSError):
                self._trusted.load_verify_locations(self._ca_bundle)


def _limits(timeout: float) -> aiohttp.ClientTimeout:
    connect = timeout * _SHARE_TO_CONNECT
    if connect >= _CONNECT_IN_ALL:
        return _ENOUGH_TIME
    return aiohttp.ClientTimeout(connect=connect, sock_connect=_CONNECT, ceil_threshold=_CONNECT_IN_ALL)


class _Request(aiohttp.ClientRequest):
    """Has no headers but ours. To leave aiohttp's own out, `skip_auto_headers` copies them all, for each call."""

    def update_headers(self, headers: LooseHeaders | None) -> None:
        self.headers = CIMultiDict(headers or ())
        self.headers.setdefault("Host", self.url.host_port_subcomponent or "")

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        pass


class _Connector(aiohttp.TCPConnector):
    """Uses no connection again on which the server has hung up or spoken unasked: that would be no answer to our call.

    aiohttp knows only what the loop has read, and a busy loop has not read what came since its last turn.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._ears: WeakKeyDictionary[asyncio.BaseProtocol, select.poll] = WeakKeyDictionary()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        while True:
            connection = await self._connected(req, traces, timeout)
            protocol = connection.protocol
            assert protocol is not None
            ear = self._ears.get(protocol)
            if ear is None:  # never used
                self._ears[protocol] = _ear(connection.transport)
                return connection
            if not protocol.should_close and not ear.poll(0):
                return connection
            connection.close()

    async def _connected(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        try:
            return await super().connect(req, traces, timeout)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            # It was to open a tunnel; without this it would look as if the service itself had been called.
            raise aiohttp.ClientProxyConnectionError(req.connection_key, OSError("it hung up")) from error


def _ear(transport: asyncio.BaseTransport | None) -> select.poll:
    """Hears whether there is anything to be read: a byte, an end, an error."""
    ear = select.poll()
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is not None:
        ear.register(found.fileno(), select.POLLIN)
    return ear


def _never_left(error: aiohttp.ClientOSError) -> bool:
    """Whether the connection was found closed before the call had been written: nobody can have acted on it."""
    cause = error.__cause__
    return isinstance(cause, aiohttp.ClientConnectionResetError) and "write to closing transport" in str(cause)


def _proxy_for(endpoint: URL) -> URL | None:
    """What the environment names, as the SDK reads it: a proxy without a scheme is an http one."""
    found = None if proxy_bypass(endpoint.authority) else getproxies().get(endpoint.scheme)
    if not found:
        return None
    try:
        proxy = URL(found if "://" in found else f"http://{found.removeprefix('//')}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in {"http", "https"} or not proxy.host:  # it may hold a password: not shown
        name = f"{endpoint.scheme.upper()}_PROXY"
        raise Unreachable("BadProxy", f"{name} names no proxy that can be used: write it as http://HOST:PORT")
    return proxy


def _probed_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        option = getattr(socket, name, None)  # macOS has not all of them
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made
