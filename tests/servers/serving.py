"""Serves an aiohttp application on the running loop, on loopback unless other machines are to reach it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def served(app: web.Application, port: int = 0, *, everywhere: bool = False) -> AsyncIterator[str]:
    """Yields its URL on this machine; `everywhere` lets others in. A request whose caller goes away is cancelled; on leaving, open ones are cut off."""
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "0.0.0.0" if everywhere else "127.0.0.1", port, backlog=1024, reuse_address=True)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
