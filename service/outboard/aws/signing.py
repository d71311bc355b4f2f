"""Knows AWS Signature Version 4 for POST requests whose target does not change from call to call."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote

DEFAULT_PORTS = {"http": 80, "https": 443}

#: What proxies and tracing may rewrite on the way: sent, but not signed.
_UNSIGNED = frozenset({"x-amzn-trace-id"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a call is signed with."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """Everything of a signature that the calls to one URL share.

    Attributes:
        host: the value of the Host header; it is signed, so it must be sent as it is here.
        head: the first lines of the canonical request: method, path, query.
        region: the region's name in the credential scope.
        service: the service's signing name in the credential scope.
    """

    host: str
    head: str
    region: str
    service: str


class _Key:
    """A key of HMAC-SHA256, 64 bytes at most, mixed in once: OpenSSL sets an HMAC up for longer than it computes it."""

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(self, message: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


def target(url: str, region: str, service: str) -> Target:
    """The target of POST requests to `url`, whose path and query are percent-encoded as they go over the wire."""
    scheme, _, rest = url.partition("://")
    authority, slash, path_and_query = rest.partition("/")
    path, _, query = path_and_query.partition("?")
    # Every service but S3 signs the path encoded once more than it is sent.
    canonical_path = quote(_without_dots(slash + path), safe="/~")
    canonical_query = "&".join(f"{name}={value}" for name, value in sorted(_pairs(query)))
    return Target(_host(scheme, authority), f"POST\n{canonical_path}\n{canonical_query}\n", region, service)


def sign(at: Target, headers: Mapping[str, str], body: bytes, credentials: Credentials, now: float) -> dict[str, str]:
    """The headers to send: those given, all but the trace signed, and Host, X-Amz-Date, Authorization and the token.

    Names in `headers` are lower case; `now` is in epoch seconds.
    """
    stamp = _stamp(int(now))
    signed = {name: " ".join(value.split()) for name, value in headers.items()}
    signed["host"] = at.host
    signed["x-amz-date"] = stamp
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed.keys() - _UNSIGNED)
    listed = ";".join(names)
    lines = "\n".join([f"{name}:{signed[name]}" for name in names])
    request = f"{at.head}{lines}\n\n{listed}\n{hashlib.sha256(body).hexdigest()}"
    day = stamp[:8]
    scope = f"{day}/{at.region}/{at.service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = _day_key(credentials.secret_key, day, at.region, at.service)
    signature = key.sign(to_sign.encode())
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={listed}, Signature={signature}"
    )
    return signed


@lru_cache(maxsize=8)
def _stamp(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


@lru_cache(maxsize=256)
def _day_key(secret: str, day: str, region: str, service: str) -> _Key:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return _Key(key)


def _host(scheme: str, authority: str) -> str:
    host = authority.rpartition("@")[2].lower()
    return host.removesuffix(f":{DEFAULT_PORTS[scheme.lower()]}")


def _pairs(query: str) -> list[tuple[str, str]]:
    if not query:
        return []
    return [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&"))]


def _without_dots(path: str) -> str:
    """Resolve `.`, `..` and doubled slashes, as AWS does before it compares signatures."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if segments:
                segments.pop()
        elif segment not in {"", "."}:
            segments.append(segment)
    middle = "/".join(segments)
    return f"/{middle}/" if middle and path.endswith("/") else f"/{middle}"
