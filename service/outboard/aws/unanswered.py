"""Knows the sentences for a call that got no answer: what went wrong on which stretch of the way, and what to do."""

import os
import socket

import aiohttp

from outboard.aws.calls import Unreachable

#: What OpenSSL refuses a certificate for, by its verify code, and the remedy.
_CERTIFICATE_REMEDIES: dict[int | None, str] = {
    9: "correct this machine's clock, or the certificate",
    10: "renew it, or correct this machine's clock",
    62: "call it by a name that is in the certificate",
    64: "call it by a name that is in the certificate",
    **dict.fromkeys((2, 18, 19, 20, 21), "if it is the right one, name its authority's file in AWS_CA_BUNDLE"),
}

#: What a parser says of an answer may hold the answer.
_SHOWN = 100

#: A status that only a proxy can mean.
PROXY_ASKS_WHO = 407
_GIVE_USER = "give it a user and a password: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
_TRY_PROXY = "check HTTP_PROXY and HTTPS_PROXY, or name the host in NO_PROXY"


def unreachable(error: Exception, origin: str, proxy: str | None) -> Unreachable:
    """What aiohttp raised, as a failure with a sentence. `origin` and `proxy` are shown: they hold no password."""
    sentence = _unconnected(error, proxy) if isinstance(error, aiohttp.ClientConnectorError) else _broken(error, proxy)
    way = f"{origin} through the proxy {proxy}" if proxy and proxy not in sentence else origin
    return Unreachable(type(error).__name__, f"{way}: {sentence}")


def unknown_to_proxy(origin: str, proxy: str) -> Unreachable:
    """The proxy answered in the service's place that it wants to know who is asking."""
    sentence = _refusal(PROXY_ASKS_WHO, "Proxy Authentication Required", proxy)
    return Unreachable(aiohttp.ClientHttpProxyError.__name__, f"{origin}: {sentence}")


def no_connection(seconds: float, origin: str, proxy: str | None) -> Unreachable:
    """Neither yes nor no: nothing was sent."""
    through = f" through the proxy {proxy}" if proxy else ""
    return Unreachable("ConnectTimeout", f"{origin} accepted no connection{through} in {seconds:.2g} s")


def _unconnected(error: aiohttp.ClientConnectorError, proxy: str | None) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _certificate(error)
        case aiohttp.ClientConnectorSSLError():
            reason = str(getattr(error.os_error, "reason", "") or error.os_error).replace("_", " ").lower()
            return f"no TLS with {_peer(error)} ({reason}); check that it speaks https there, and the endpoint's URL"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy {proxy} cannot be reached ({_reason(error)}); {_TRY_PROXY}"
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} cannot be resolved ({_reason(error)})"
        case _:
            return f"no connection to {_peer(error)} ({_reason(error)})"


def _broken(error: Exception, proxy: str | None) -> str:
    match error:
        case aiohttp.ClientHttpProxyError(status=status, message=message):
            return _refusal(status, message, proxy or "")
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before an answer came"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case aiohttp.ClientResponseError(message=message):
            return f"what answered does not speak HTTP ({message.partition(chr(10))[0].rstrip(':')[:_SHOWN]})"
        case OSError():
            return f"the connection broke ({_reason(error)})"
        case _:
            return str(error) or type(error).__name__


def _certificate(error: aiohttp.ClientConnectorCertificateError) -> str:
    found = error.certificate_error
    why = str(getattr(found, "verify_message", found)).rstrip(".")
    said = f"the certificate of {_peer(error)} is not accepted ({why})"
    remedy = _CERTIFICATE_REMEDIES.get(getattr(found, "verify_code", None))
    return f"{said}; {remedy}" if remedy else said


def _refusal(status: int, phrase: str, proxy: str) -> str:
    said = f"{status} {phrase}".rstrip()
    remedy = _GIVE_USER if status == PROXY_ASKS_WHO else _TRY_PROXY
    return f"the proxy {proxy} does not let the call through, it answered {said}; {remedy}"


def _peer(error: aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError) -> str:
    host = f"[{error.host}]" if ":" in error.host else error.host
    return f"{host}:{error.port}"


def _reason(error: OSError) -> str:
    """The system's words alone: aiohttp and the event loops wrap them differently."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, socket.gaierror):
        return str(cause.strerror)
    if cause.errno:
        return os.strerror(cause.errno)
    return "it was closed" if isinstance(cause, aiohttp.ClientError) else str(cause) or "it was closed"
