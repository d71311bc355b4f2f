"""Knows how bytes get to an endpoint and back: a connection pool, proxies, certificates; it never sends twice."""

import asyncio
import io
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from outboard.aws.calls import TimedOut, Unreachable

#: NAT gateways and load balancers drop idle connections after 350 s, servers often after 60.
_KEEP_ALIVE = 55.0

_CONNECT = 5.0

#: TCP probes a silent connection, so that nothing on the way forgets it during an invoke of minutes.
_PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}

#: A longer body is handed over as a file: aiohttp then writes it piece by piece, and the loop goes on turning.
_IN_ONE_PIECE = 2**20

#: No answer of the services called here is larger: 10 MB of Kinesis records are 14 MB in base64.
_LARGEST_ANSWER = 64 * 1024 * 1024

_NO_AUTOMATIC_HEADERS = ("Accept", "Accept-Encoding", "User-Agent")

_WORDS = {
    "ServerDisconnectedError": "the connection was closed before an answer came",
    "ClientOSError": "the connection broke",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever its status; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Connections to one origin, as many as there are calls: a long poll never keeps a short call waiting."""

    def __init__(self, endpoint: str, ca_bundle: str | None) -> None:
        parts = urlsplit(endpoint)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._proxy = None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
        self._ca_bundle = ca_bundle
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: URL, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        """Send once. Raises `Unreachable` or `TimedOut`."""
        session = self._session or self._open()
        data = body if len(body) <= _IN_ONE_PIECE else io.BytesIO(body)
        try:
            async with (
                asyncio.timeout(timeout),
                session.post(url, data=data, headers=headers, proxy=self._proxy, allow_redirects=False) as answer,
            ):
                lower = {name.lower(): value for name, value in answer.headers.items()}
                return Answer(answer.status, lower, await _read(answer))
        except aiohttp.ConnectionTimeoutError as error:
            raise Unreachable("ConnectTimeout", f"{self._origin} accepted no connection in {_CONNECT:g} s") from error
        except TimeoutError as error:
            raise TimedOut("Timeout", f"{self._origin} did not answer within {timeout:.4g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            kind = type(error).__name__
            raise Unreachable(kind, f"{self._origin}: {str(error) or _WORDS.get(kind, kind)}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        try:
            context = ssl.create_default_context(cafile=self._ca_bundle) if self._ca_bundle else True
        except OSError as error:  # SSLError is one too
            message = f"the CA bundle {self._ca_bundle} cannot be used ({error}); correct AWS_CA_BUNDLE"
            raise Unreachable("BadCaBundle", message) from error
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=_KEEP_ALIVE, ttl_dns_cache=30, ssl=context, socket_factory=_probed_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
            skip_auto_headers=_NO_AUTOMATIC_HEADERS,
            auto_decompress=False,
        )
        return self._session


def _probed_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        option = getattr(socket, name, None)  # macOS has not all of them
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body, if it is of a size that one of our calls can have."""
    if answer.content_length is not None and answer.content_length <= _LARGEST_ANSWER:
        return await answer.read()
    chunks, size = [], 0
    async for chunk in answer.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > _LARGEST_ANSWER:
            raise aiohttp.ClientPayloadError(f"the answer is larger than {_LARGEST_ANSWER} bytes")
    return b"".join(chunks)
