"""An AWS that checks every signature against its own clock, with botocore's signer."""

import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate

from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.servers.serving import served

#: As AWS has it.
TOLERANCE = 300.0


@dataclass
class Verifying:
    """`ahead` is how far its clock is ahead of the real one, in seconds; `late` the code of its complaint."""

    ahead: float = 0.0
    late: str = "InvalidSignatureException"
    url: str = ""
    statuses: list[int] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request, await request.read())
        self.statuses.append(200 if refusal is None else 403)
        headers = {"Date": formatdate(time.time() + self.ahead, usegmt=True)}
        if refusal is None:
            return web.Response(text="{}", headers=headers)
        return web.Response(status=403, text='{"message":"no"}', headers={**headers, "x-amzn-errortype": refusal})

    def _refusal(self, request: web.Request, body: bytes) -> str | None:
        scheme, _, rest = request.headers["Authorization"].partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        key, _, region, service, _ = parts["Credential"].split("/")
        stamp = request.headers["X-Amz-Date"]
        names = parts["SignedHeaders"].split(";")
        signed = AWSRequest("POST", str(request.url), {name: request.headers[name] for name in names}, body)
        signed.context["timestamp"] = stamp
        signer = SigV4Auth(Credentials(key, "secret"), service, region)
        string = signer.string_to_sign(signed, signer.canonical_request(signed))
        genuine = scheme == "AWS4-HMAC-SHA256" and {"host", "x-amz-date"} <= set(names)
        if not genuine or not hmac.compare_digest(signer.signature(string, signed), parts["Signature"]):
            return "SignatureDoesNotMatch"
        sent = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        return self.late if abs(sent - (time.time() + self.ahead)) > TOLERANCE else None


@asynccontextmanager
async def verifying(ahead: float = 0.0, late: str = "InvalidSignatureException") -> AsyncIterator[Verifying]:
    made = Verifying(ahead, late)
    app = web.Application(client_max_size=7_000_000)
    app.router.add_post("/{path:.*}", made.answer)
    async with served(app) as made.url:
        yield made
