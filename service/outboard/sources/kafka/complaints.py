"""Knows what aiokafka says only in its log, and to whom of several consumers it says it.

The tasks of a consumer carry the context in which it was started, so that a line of the library's loggers can be handed
to the consumer that it concerns. None is printed: tens a second come while a broker is away.
"""

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar

#: Who is told of the errors that are logged from here: the type of the error and what was said.
listener: ContextVar[Callable[[str, str], None] | None] = ContextVar("listener", default=None)

#: How the library and OpenSSL name what went wrong, from the most telling to the least.
_SIGNS = (
    re.compile(r"(CERTIFICATE_VERIFY_FAILED)"),
    re.compile(r"\b(Sasl\w+|\w+AuthorizationFailed\w*|\w+AuthenticationFailed\w*)\b"),
    re.compile(r"\b(SSL\w*Error|WRONG_VERSION_NUMBER|gaierror)\b"),
    re.compile(r"\b([A-Z]\w+(?:Error|Exception|Refused|NotAvailable))\b"),
)


class _Told(logging.Handler):
    """Takes what the library logs."""

    def emit(self, record: logging.LogRecord) -> None:
        tell = listener.get()
        if tell is not None and record.levelno >= logging.ERROR:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                text = f"{text}: {type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
            tell(error_type(text), text)


def error_type(text: str) -> str:
    """What to call an error that is known by its log line alone."""
    for sign in _SIGNS:
        if found := sign.search(text):
            return found.group(1)
    return "KafkaError"


def listen() -> None:
    """Take the library's log for ourselves, once."""
    log = logging.getLogger("aiokafka")
    if not any(isinstance(handler, _Told) for handler in log.handlers):
        log.addHandler(_Told())
        log.propagate = False
