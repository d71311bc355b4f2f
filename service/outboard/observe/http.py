"""Knows what the status port answers: metrics, health, mappings and AWS's listing of them. It changes nothing."""

import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Protocol

import orjson
from aiohttp import web

from outboard.observe import listing
from outboard.observe.metrics import Metrics

_MAPPINGS = "/2015-03-31/event-source-mappings"

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

#: The page carries its own style and script, and talks to nobody but this port.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'"
)

#: An answer that is under way when the port closes gets so many seconds.
_CLOSING = 1.0

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StatusBoard(Protocol):
    """What the status port shows."""

    @property
    def config_hash(self) -> str:
        """The hash of the configuration in force."""

    @property
    def last_reload(self) -> Mapping[str, object] | None:
        """What came of the newest change of the configuration; None if there was none since the start."""

    def ready(self) -> tuple[bool, Sequence[str]]:
        """Whether the process is ready, and if not, why: a sentence each."""

    def mappings(self) -> Sequence[Mapping[str, object]]:
        """Each mapping as `MappingObserver.snapshot` gives it."""

    def listing(self) -> Sequence[Mapping[str, object]]:
        """Each mapping in the shape of AWS's EventSourceMappingConfiguration, moments in epoch seconds."""


class PortUnavailable(Exception):
    """The status port cannot be listened on; the message is a sentence for the user."""


def application(board: StatusBoard, metrics: Metrics) -> web.Application:
    """The status port's routes."""
    routes = _Routes(board, metrics)
    app = web.Application(middlewares=[_refusals], client_max_size=64 * 1024)
    app.add_routes(
        [
            web.get("/", routes.page),
            web.get("/livez", routes.live),
            web.get("/readyz", routes.ready),
            web.get("/metrics", routes.metrics),
            web.get("/mappings", routes.mappings),
            web.get(_MAPPINGS, routes.list_mappings),
            web.get(f"{_MAPPINGS}/", routes.list_mappings),
            web.get(f"{_MAPPINGS}/{{uuid}}", routes.get_mapping),
        ]
    )
    return app


@asynccontextmanager
async def serve(host: str, port: int, board: StatusBoard, metrics: Metrics) -> AsyncIterator[str]:
    """Listen while the context is open; gives the URL. Port 0 takes a free one. Raises `PortUnavailable`."""
    runner = web.AppRunner(application(board, metrics), access_log=None, shutdown_timeout=_CLOSING)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise PortUnavailable(_why_unavailable(host, port, error)) from error
        yield _url(host, int(runner.addresses[0][1]))
    finally:
        await runner.cleanup()


def _url(host: str, port: int) -> str:
    name = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}"


def _why_unavailable(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Server.Port: another program listens on port {port} already; set another port or end that program."
        case errno.EACCES:
            return f"Server.Port: port {port} is reserved for the superuser; set a port above 1023."
        case _:
            why = error.strerror or str(error)
            return f"Server.Host: cannot listen on {host}:{port} ({why}); set an address of this machine."


class _Routes:
    """One method a path."""

    def __init__(self, board: StatusBoard, metrics: Metrics) -> None:
        self._board = board
        self._metrics = metrics
        self._page = resources.files("outboard.observe").joinpath("status.html").read_bytes()

    async def page(self, _: web.Request) -> web.Response:
        headers = {**_HEADERS, "Content-Security-Policy": _PAGE_POLICY}
        return web.Response(body=self._page, content_type="text/html", charset="utf-8", headers=headers)

    async def live(self, _: web.Request) -> web.Response:
        return _json({"live": True})

    async def ready(self, _: web.Request) -> web.Response:
        ready, reasons = self._board.ready()
        return _json({"ready": ready, "reasons": list(reasons)}, 200 if ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        text, content_type = self._metrics.expose(",".join(request.headers.getall("Accept", [])))
        return web.Response(body=text, headers={**_HEADERS, "Content-Type": content_type})

    async def mappings(self, _: web.Request) -> web.Response:
        board = self._board
        mappings = list(board.mappings())
        return _json({"configHash": board.config_hash, "lastReload": board.last_reload, "mappings": mappings})

    async def list_mappings(self, request: web.Request) -> web.Response:
        page = listing.page(self._board.listing(), request.query)
        marker = {"NextMarker": page.marker} if page.marker else {}
        return _json({**marker, "EventSourceMappings": list(page.mappings)})

    async def get_mapping(self, request: web.Request) -> web.Response:
        return _json(listing.find(self._board.listing(), request.match_info["uuid"]))


@web.middleware
async def _refusals(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Every refusal is a JSON body with a sentence, in the form in which AWS's clients look for it."""
    try:
        return await handler(request)
    except listing.Refused as refused:
        return _refusal(refused.status, refused.code, refused.message)
    except web.HTTPMethodNotAllowed as refused:
        allowed = ", ".join(sorted(refused.allowed_methods))
        sentence = "This port is read-only: mappings are changed in the configuration that Outboard was started with."
        answer = _refusal(405, "MethodNotAllowedException", sentence)
        answer.headers["Allow"] = allowed
        return answer
    except web.HTTPNotFound:
        return _refusal(404, "UnknownOperationException", f"There is nothing at {request.path}.")


def _refusal(status: int, code: str, message: str) -> web.Response:
    answer = _json({"Type": "User", "Message": message}, status)
    answer.headers["x-amzn-ErrorType"] = code
    return answer


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json", headers=_HEADERS)
