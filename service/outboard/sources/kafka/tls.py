"""Knows how a broker is known to be the right one: by the system's CAs, or by those that the user gives."""

import base64
import re
import ssl

from outboard.sources.kafka.consumer import ConsumerError

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def ssl_context(ca_pem: str | None) -> ssl.SSLContext:
    """What TLS connections to brokers go by; host names are checked. `ca_pem`: one or more certificates, and no others
    are trusted beside them; None: those of the system. Raises `ConsumerError`.
    """
    if ca_pem is None:
        return ssl.create_default_context()
    try:
        first, *more = _certificates(ca_pem)
        context = ssl.create_default_context(cadata=first)
        for each in more:  # one at a time: of several at once, OpenSSL passes over what follows a broken one
            context.load_verify_locations(cadata=each)
    except ssl.SSLError:
        raise _bad("holds a certificate that cannot be read") from None
    # Python 3.13 refuses, and earlier ones accept, certificates that lack an extension of RFC 5280, as those of many
    # companies' own CAs do. Whoever names a CA trusts it as it is; and so it may be an intermediate one.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def trust(context: ssl.SSLContext, ca_pem: str) -> None:
    """From the next connection on, trust these too. Raises `ConsumerError`."""
    try:
        for each in _certificates(ca_pem):
            context.load_verify_locations(cadata=each)
    except ssl.SSLError:
        raise _bad("holds a certificate that cannot be read") from None


def _certificates(pem: str) -> list[bytes]:
    """As DER, all that are in a text, whatever stands between them. Consoles and environment variables make blanks, or
    a backslash and an n, of the line breaks that OpenSSL insists on.
    """
    bodies = [re.sub(r"\s|\\r|\\n", "", body) for body in _CERTIFICATE.findall(pem)]
    if not bodies:
        raise _bad("holds no certificate")
    try:
        found = [base64.b64decode(body, validate=True) for body in bodies]
    except ValueError:
        raise _bad("holds a certificate that is damaged") from None
    if not all(found):  # no certificate at all would mean those of the system
        raise _bad("holds a certificate that is empty")
    return found


def _bad(what: str) -> ConsumerError:
    remedy = "write it as PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
    return ConsumerError("BadCertificate", f"SERVER_ROOT_CA_CERTIFICATE {what}; {remedy}", fatal=True)
