"""Knows how one signed call crosses the network: sent once, or once more if its signature alone was refused."""

import asyncio
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn, assert_never

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from outboard import __version__
from outboard.aws.calls import InvokeReply, Unreachable
from outboard.aws.connections import Connections
from outboard.aws.credentials import Identity
from outboard.aws.errors import read_error
from outboard.aws.failures import failure
from outboard.aws.refusals import Cure, clock_offset, cure
from outboard.aws.signing import Credentials, Target, sign, target

_CONNECT_SECONDS = 5.0
#: Above this aiohttp wants a body as a file, and then writes it piece by piece.
_LARGE_BODY = 2**20
_REFUSED = frozenset({400, 401, 403})
_UNSIGNED = {"user-agent": f"outboard/{__version__}", "accept": "*/*", "accept-encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service is called: its base URL, and region and signing name for the signature."""

    url: str
    region: str
    service: str


@dataclass(frozen=True, slots=True)
class Route:
    """A URL to POST to, with what of its signature never changes."""

    url: URL
    proxy: URL | None
    target: Target


class Transport:
    """Sends signed calls to one service in one region under one identity.

    `place` is asked once, at the first call; it may raise `Unreachable`. `limit` bounds an answer, in bytes.
    """

    def __init__(
        self,
        place: Callable[[], Place],
        identity: Identity,
        connections: Connections,
        limit: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._place = place
        self._identity = identity
        self._connections = connections
        self._limit = limit
        self._clock = clock
        self._offset = 0.0
        self._routes: dict[str, Route] = {}

    async def send(self, path: str, headers: Mapping[str, str], body: bytes, timeout: float) -> InvokeReply:
        """POST `body` to `path`, percent-encoded, behind the place's URL; `headers` are lower case, and all signed.

        Any status is an answer. Raises `Unreachable` and `TimedOut`; `timeout` covers everything, in seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        route = self._routes.get(path) or self._route(path)
        credentials = self._identity.current() or await self._obtain(timeout)
        offset = self._offset
        reply = await self._exchange(route, headers, body, credentials, deadline - loop.time())
        if reply.status not in _REFUSED:
            return reply
        fresh = await self._mended(reply, credentials, offset, deadline)
        left = deadline - loop.time()
        if fresh is None or left <= 0:
            return reply
        return await self._exchange(route, headers, body, fresh, left)

    def origin(self, path: str = "/") -> str:
        """Whom an operator would say is called, without path and secrets."""
        return str((self._routes.get(path) or self._route(path)).url.origin())

    def _route(self, path: str) -> Route:
        place = self._place()
        url = f"{str(URL(place.url).with_query(None).with_fragment(None).with_user(None)).rstrip('/')}{path}"
        parsed = URL(url, encoded=True)
        route = Route(parsed, self._connections.proxy(parsed), target(url, place.region, place.service))
        self._routes[path] = route
        return route

    async def _obtain(self, timeout: float) -> Credentials:
        try:
            async with asyncio.timeout(timeout):
                return await self._identity.obtain()
        except TimeoutError:
            message = f"AWS credentials were not to be had within {timeout:.3g} s; check the way to their source"
            raise Unreachable("NoCredentials", message) from None

    async def _mended(
        self, reply: InvokeReply, used: Credentials, offset: float, deadline: float
    ) -> Credentials | None:
        """What to sign with when sending again; None: the refusal stands."""
        learnt = clock_offset(reply.headers.get("date", ""), self._clock())
        match cure(read_error(reply.status, reply.headers, reply.body), offset, learnt):
            case None:
                return None
            case Cure.CLOCK:
                assert learnt is not None
                self._offset = learnt
                return used
            case Cure.CREDENTIALS:
                try:
                    async with asyncio.timeout_at(deadline):
                        fresh = await self._identity.renew(used)
                except TimeoutError:
                    return None
                return None if fresh == used else fresh
            case unknown:
                assert_never(unknown)

    async def _exchange(
        self, route: Route, headers: Mapping[str, str], body: bytes, credentials: Credentials, seconds: float
    ) -> InvokeReply:
        signed = sign(route.target, headers, body, credentials, self._clock() + self._offset)
        try:
            response = await self._connections.session().request(
                "POST",
                route.url,
                data=body if len(body) <= _LARGE_BODY else io.BytesIO(body),
                headers=signed | _UNSIGNED,
                timeout=_limits(round(seconds, 3)),
                proxy=route.proxy,
                allow_redirects=False,
            )
            try:
                content = await self._read(response)
            except BaseException:
                response.close()  # what is left of the answer must not meet the next call
                raise
        except (aiohttp.ClientError, OSError) as error:
            raise failure(error, str(route.url.origin()), seconds) from error
        return InvokeReply(response.status, _lower(response.headers), content)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        length = response.content_length
        if length is not None and length > self._limit:
            self._too_large(response)
        if length is not None and "Content-Encoding" not in response.headers:
            return await response.read()
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > self._limit:
                self._too_large(response)
        return bytes(content)

    def _too_large(self, response: aiohttp.ClientResponse) -> NoReturn:
        message = f"{response.url.origin()} answered with more than {self._limit:,} bytes, which is more than is read"
        raise Unreachable("AnswerTooLarge", message)


@lru_cache(maxsize=256)
def _limits(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=max(seconds, 0.001), connect=_CONNECT_SECONDS)


def _lower(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
