"""Knows what each way of losing a connection is called, in words for an operator."""

import errno
import ssl

import aiohttp

from outboard.aws.calls import CallFailed, TimedOut, Unreachable


def failure(error: Exception, origin: str, seconds: float) -> CallFailed:
    """What `error`, raised by the HTTP client on a call to `origin` with `seconds` to go, means to the caller."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return Unreachable("ConnectTimeout", f"{origin} did not accept a connection in time; check the network path")
        case TimeoutError():
            return TimedOut("TimedOut", f"{origin} did not answer within {seconds:.3g} s")
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            message = f"the proxy on the way to {origin} refused: {_reason(error)}; check HTTPS_PROXY and NO_PROXY"
            return Unreachable("ProxyFailed", message)
        case aiohttp.ClientConnectorDNSError():
            message = f"the host name of {origin} cannot be resolved: {_reason(error)}; check the endpoint and the region"
            return Unreachable("HostNotFound", message)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            message = f"TLS with {origin} failed: {_reason(error)}; AWS_CA_BUNDLE names a private authority's certificate"
            return Unreachable("TlsFailed", message)
        case aiohttp.ClientConnectorError():
            code = "ConnectionRefused" if error.os_error.errno == errno.ECONNREFUSED else "ConnectFailed"
            return Unreachable(code, f"{origin} cannot be connected to: {_reason(error)}")
        case aiohttp.ClientPayloadError():
            return Unreachable("AnswerCutOff", f"{origin} closed the connection in the middle of its answer")
        case aiohttp.ClientResponseError():
            return Unreachable("NotHttp", f"{origin} did not answer in HTTP: {_reason(error)}; check the endpoint's URL")
        case aiohttp.ClientConnectionError() | OSError():
            return Unreachable("ConnectionReset", f"{origin} closed the connection before it answered")
        case _:
            return Unreachable(type(error).__name__, f"{origin} cannot be called: {_reason(error)}")


def _reason(error: Exception) -> str:
    """The bare cause, without the address and the headers that the HTTP client adds to it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return str(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return error.os_error.strerror or str(error.os_error)
        case aiohttp.ClientResponseError():
            return " ".join(f"{error.status} {error.message}".split())[:200]
        case _:
            return str(error)[:200] or type(error).__name__
