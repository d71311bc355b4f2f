"""Knows how to make moto, an AWS on this machine, safe for several clients: one request at a time, polls waited for.

Left to itself moto answers requests side by side without a lock: a delete can undo a send, and records that are put
into a stream at once get the same sequence number and are lost. A long poll of a FIFO queue spins, blind to groups that
have become free; and of two messages of a group whose visibility ran out, the second comes back first.
"""

import io
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.sqs.models import sqs_backends
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

#: Seconds after which a long poll looks again though nothing was sent: visibility may have run out meanwhile.
LOOK_AGAIN = 0.5
#: Long polls are answered after this many seconds at most: a service that stops lets its last one answer.
LONGEST_POLL = 2


class OneAtATime:
    """A WSGI application around `application`, which sees requests one by one and receives that never wait.

    `refresh` is called before each receive, under the same lock.
    """

    def __init__(self, application: WSGIApplication, refresh: Callable[[], None] = lambda: None) -> None:
        self._application = application
        self._refresh = refresh
        self._lock = threading.Lock()
        self._changes: defaultdict[str, threading.Condition] = defaultdict(lambda: threading.Condition(self._lock))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        operation = str(environ.get("HTTP_X_AMZ_TARGET", "")).rpartition(".")[2]
        call: dict[str, Any] = orjson.loads(body) if operation else {}
        with self._lock:
            if operation == "ReceiveMessage":
                content, status, headers = self._receive(environ, call)
            else:
                content, status, headers = self._answer(environ, body)
            # One at a time here too: a receive that was woken and got something wakes the next.
            self._changes[call.get("QueueUrl", "")].notify()
        start_response(status, headers)
        return [content]

    def _receive(self, environ: WSGIEnvironment, call: dict[str, Any]) -> tuple[bytes, str, list[tuple[str, str]]]:
        until = time.monotonic() + min(call.get("WaitTimeSeconds", 0), LONGEST_POLL)
        body = orjson.dumps(call | {"WaitTimeSeconds": 0})
        while True:
            self._refresh()
            content, status, headers = self._answer(environ, body)
            left = until - time.monotonic()
            if left <= 0 or not status.startswith("200") or orjson.loads(content).get("Messages"):
                return content, status, headers
            self._changes[call["QueueUrl"]].wait(min(left, LOOK_AGAIN))

    def _answer(self, environ: WSGIEnvironment, body: bytes) -> tuple[bytes, str, list[tuple[str, str]]]:
        request = environ | {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        content, status, headers = run_wsgi_app(self._application, request, buffered=True)
        return b"".join(content), status, list(headers)


def forget_expired() -> None:
    """Take messages whose visibility ran out off the list of those in flight, all at once, so that order is kept."""
    for regions in list(sqs_backends.values()):
        for backend in list(regions.values()):
            for queue in backend.queues.values():
                queue.pending_messages.difference_update([each for each in queue.pending_messages if each.visible])


def main() -> None:
    """Serve on the listening socket whose file descriptor is the first argument."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    application = OneAtATime(DomainDispatcherApplication(create_backend_app), forget_expired)
    host, port = listener.getsockname()
    handler = MotoRequestHandler
    make_server(host, port, application, threaded=True, request_handler=handler, fd=listener.detach()).serve_forever()


if __name__ == "__main__":
    main()
