"""A Security Token Service that only knows who is asking: what GetCallerIdentity answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.servers.elasticmq import ACCOUNT
from tests.servers.serving import served
from tests.servers.tools import Address

CALLER = f"arn:aws:iam::{ACCOUNT}:role/outboard"

_ANSWER = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>{CALLER}</Arn><UserId>AIDAEXAMPLE</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult>
<ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>"""


@asynccontextmanager
async def identity_server(address: Address | None = None) -> AsyncIterator[str]:
    """Run one on the loop of the caller, for other machines too if it has an `address`; yields its endpoint here."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=_ANSWER, content_type="text/xml")

    app = web.Application()
    app.router.add_post("/", answer)
    async with served(app, address.port if address else 0, everywhere=address is not None) as url:
        yield url
