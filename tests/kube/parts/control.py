"""What tests ask the parts for, over HTTP: make a load, begin it, end it, say what became of it."""

from typing import Any

from aiohttp import web

from tests.kube.parts.loads import Load, Loads, Wish


class Control:
    """`POST /loads` (a wish) makes one; `POST /loads/NAME/begin` and `…/end`; `GET /loads/NAME` is its statement."""

    def __init__(self, loads: Loads) -> None:
        self._loads = loads

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_post("/loads", self._make)
        app.router.add_get("/loads/{name}", self._show)
        app.router.add_post("/loads/{name}/begin", self._begin)
        app.router.add_post("/loads/{name}/end", self._end)
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _make(self, request: web.Request) -> web.Response:
        load = await self._loads.make(Wish(**await request.json()))
        return web.json_response({"name": load.name, "mapping": load.source.mapping}, status=201)

    async def _show(self, request: web.Request) -> web.Response:
        return await self._said(self._load(request))

    async def _begin(self, request: web.Request) -> web.Response:
        load = self._load(request)
        load.begin()
        return await self._said(load)

    async def _end(self, request: web.Request) -> web.Response:
        load = self._load(request)
        await load.end()
        return await self._said(load)

    def _load(self, request: web.Request) -> Load:
        try:
            return self._loads[request.match_info["name"]]
        except KeyError:
            raise web.HTTPNotFound from None

    async def _said(self, load: Load) -> web.Response:
        self._loads.read_ledger()
        said: dict[str, Any] = {**load.account.statement(), "left": await load.left(), "trouble": load.trouble}
        return web.json_response(said)
