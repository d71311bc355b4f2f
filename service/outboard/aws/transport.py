"""Knows how bytes get to an endpoint and back: one connection pool a client, proxies, certificates; never sends twice."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment

import aiohttp
from yarl import URL

from outboard.aws.calls import TimedOut, Unreachable

#: NAT gateways and load balancers drop idle connections after 350 s; servers often after 60.
_KEEP_ALIVE = 55.0

_CONNECT = 5.0

#: No answer of the services called here is larger: 10 MB of Kinesis records are 14 MB in base64.
_LARGEST_ANSWER = 64 * 1024 * 1024

_CONTENT_HEADERS = ("Accept", "Accept-Encoding", "User-Agent")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever its status; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Connections to one endpoint. As many as there are calls under way: a long poll never keeps a short call waiting."""

    def __init__(self, endpoint: str, ca_bundle: str | None) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{endpoint} is not an http or https URL")
        default = {"http": 80, "https": 443}[parts.scheme]
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.host = name if parts.port in (None, default) else f"{name}:{parts.port}"
        self.base_path = parts.path.rstrip("/")
        self._origin = f"{parts.scheme}://{self.host}"
        self._proxy = _proxy(parts.scheme, self.host)
        self._ca_bundle = ca_bundle
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def post(self, target: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        """Send once. `target` is the encoded path with its query. Raises `Unreachable` or `TimedOut`."""
        session = self._session or self._open()
        url = self._urls.get(target)
        if url is None:
            url = self._urls[target] = URL(self._origin + target, encoded=True)
        try:
            async with (
                asyncio.timeout(timeout),
                session.post(url, data=body, headers=headers, proxy=self._proxy, allow_redirects=False) as answer,
            ):
                return Answer(answer.status, _lower(answer.headers), await _read(answer))
        except aiohttp.ConnectionTimeoutError as error:
            raise Unreachable("ConnectTimeout", f"{self._origin} did not accept a connection in {_CONNECT:g} s") from error
        except TimeoutError as error:
            raise TimedOut("Timeout", f"{self._origin} did not answer within {timeout:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(type(error).__name__, f"{self._origin}: {_sentence(error)}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        context = ssl.create_default_context(cafile=self._ca_bundle) if self._ca_bundle else True
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE, ttl_dns_cache=30, ssl=context)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
            skip_auto_headers=_CONTENT_HEADERS,
            auto_decompress=False,
        )
        return self._session


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    if (answer.content_length or 0) <= _LARGEST_ANSWER and answer.content_length is not None:
        return await answer.read()
    chunks, size = [], 0
    async for chunk in answer.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > _LARGEST_ANSWER:
            raise aiohttp.ClientPayloadError(f"the answer is larger than {_LARGEST_ANSWER} bytes")
    return b"".join(chunks)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _proxy(scheme: str, host: str) -> str | None:
    """What `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say about this endpoint, asked once."""
    if proxy_bypass_environment(host):
        return None
    return getproxies_environment().get(scheme)


def _sentence(error: BaseException) -> str:
    return str(error) or {
        "ServerDisconnectedError": "the connection was closed before an answer came",
        "ClientOSError": "the connection broke",
    }.get(type(error).__name__, type(error).__name__)
