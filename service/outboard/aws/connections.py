"""Knows how connections are made and kept: reuse, TCP keep-alive, proxies, trusted authorities."""

import socket
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp
from aiohttp.abc import AddrInfoType
from yarl import URL

from outboard.aws.calls import Unreachable

#: Seconds an idle connection is kept; far below the 350 s after which NAT gateways forget it, and below what servers keep.
_KEEP_IDLE = 30.0
#: Probes begin after this many seconds of silence, so that an invoke of minutes is not forgotten on the way either.
_PROBE_AFTER, _PROBE_EVERY, _PROBES = 60, 15, 4


class Connections:
    """The process's connections to AWS: one pool without a limit, so that long polls never hold up short calls.

    `environ` holds the proxies; `ca_bundle` names a file or folder of trusted authorities, None for the system's.
    """

    def __init__(self, environ: Mapping[str, str], ca_bundle: Callable[[], str | None] = lambda: None) -> None:
        self._proxies = _proxies(environ)
        self._ca_bundle = ca_bundle
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        """The session of the running loop. Raises `Unreachable` if the trusted authorities cannot be read."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=_KEEP_IDLE, ssl=_trust(self._ca_bundle()), socket_factory=_socket
            )
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def proxy(self, url: URL) -> URL | None:
        """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY ask for on the way to `url`. Raises `Unreachable`."""
        chosen = self._proxies.get(url.scheme) or self._proxies.get("all")
        if not chosen or urllib.request.proxy_bypass_environment(f"{url.host}:{url.port}", self._proxies):
            return None
        proxy = URL(chosen if "://" in chosen else f"http://{chosen}")
        if proxy.scheme not in {"http", "https"}:
            message = f"a proxy of the kind {proxy.scheme}:// is not supported; set {url.scheme.upper()}_PROXY to http://…"
            raise Unreachable("ProxyFailed", message)
        return proxy

    async def close(self) -> None:
        """Close them all; calls under way fail."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """`{"https": …, "no": …}`; as everywhere, the lower-case name wins."""
    found = [(name, value) for name, value in environ.items() if name.lower().endswith("_proxy") and value]
    return {name.lower().removesuffix("_proxy"): value for name, value in sorted(found)}


def _trust(ca_bundle: str | None) -> ssl.SSLContext | bool:
    if ca_bundle is None:
        paths = ssl.get_default_verify_paths()
        if paths.cafile or paths.capath:
            return True
        from botocore.httpsession import where  # noqa: PLC0415 - only where the system has no authorities of its own

        ca_bundle = where()
    try:
        if Path(ca_bundle).is_dir():
            return ssl.create_default_context(capath=ca_bundle)
        return ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ValueError) as error:
        message = f"the trusted authorities in {ca_bundle} cannot be read: {error}; correct AWS_CA_BUNDLE"
        raise Unreachable("BadCaBundle", message) from error


def _socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", _PROBE_AFTER), ("TCP_KEEPINTVL", _PROBE_EVERY), ("TCP_KEEPCNT", _PROBES)):
        if hasattr(socket, option):  # macOS names the first one differently
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
