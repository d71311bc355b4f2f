"""Where credentials come from, as AWS has it: STS, a container's agent, an instance's metadata; each scripted."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs

from aiohttp import web

from tests.servers.serving import served


@dataclass
class Asked:
    """One request for credentials; `form` holds what STS is told."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]

    @property
    def access_key(self) -> str:
        """Whose signature it has."""
        return self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]


def expiry(seconds: float) -> str:
    """The time in so many seconds, as AWS writes it."""
    now = datetime.now(UTC).timestamp()  # noqa: TID251 - the SDK compares it with the real time
    return datetime.fromtimestamp(now + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Source:
    """Gives AK1, AK2, …, each valid for `lifetime` seconds, unless `refuses` says with which status and words not."""

    url: str = ""
    lifetime: float = 3600.0
    refuses: tuple[int, str] | None = None
    asked: list[Asked] = field(default_factory=list)
    given: int = 0

    async def note(self, request: web.Request) -> None:
        body = await request.text()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.asked.append(Asked(request.method, request.path_qs, dict(request.headers), form))
        if self.refuses:
            raise _refusal(*self.refuses)

    def keys(self) -> tuple[str, str]:
        """The next access key, and when it expires."""
        self.given += 1
        return f"AK{self.given}", expiry(self.lifetime)


def _refusal(status: int, text: str) -> web.HTTPException:
    class Refusal(web.HTTPException):
        status_code = status

    return Refusal(text=text, content_type="text/xml")


def _json(source: Source) -> web.Response:
    key, until = source.keys()
    return web.json_response(
        {"Code": "Success", "AccessKeyId": key, "SecretAccessKey": "s", "Token": "t", "Expiration": until}
    )


def sts_error(code: str, message: str) -> str:
    return f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"


@asynccontextmanager
async def sts() -> AsyncIterator[Source]:
    """AssumeRole and AssumeRoleWithWebIdentity."""
    source = Source()

    async def answer(request: web.Request) -> web.Response:
        await source.note(request)
        key, until = source.keys()
        action = source.asked[-1].form["Action"]
        credentials = (
            f"<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
            f"<SessionToken>t</SessionToken><Expiration>{until}</Expiration></Credentials>"
        )
        user = "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>"
        document = f"<{action}Response><{action}Result>{credentials}{user}</{action}Result></{action}Response>"
        return web.Response(text=document, content_type="text/xml")

    async with _on_port(source, ("POST", "/", answer)):
        yield source


@asynccontextmanager
async def container() -> AsyncIterator[Source]:
    """The agent of ECS or of EKS Pod Identity, at /v1/credentials."""
    source = Source()

    async def answer(request: web.Request) -> web.Response:
        await source.note(request)
        return _json(source)

    async with _on_port(source, ("GET", "/v1/credentials", answer)):
        yield source


@asynccontextmanager
async def instance() -> AsyncIterator[Source]:
    """An instance's metadata, version 2 alone: what has no token is refused."""
    source = Source()

    async def token(request: web.Request) -> web.Response:
        await source.note(request)
        return web.Response(text="metadata-token")

    async def role(request: web.Request) -> web.Response:
        await source.note(request)
        _authorised(request)
        return web.Response(text="poller")

    async def keys(request: web.Request) -> web.Response:
        await source.note(request)
        _authorised(request)
        return _json(source)

    path = "/latest/meta-data/iam/security-credentials/"
    async with _on_port(
        source, ("PUT", "/latest/api/token", token), ("GET", path, role), ("GET", f"{path}poller", keys)
    ):
        yield source


def _authorised(request: web.Request) -> None:
    if request.headers.get("x-aws-ec2-metadata-token") != "metadata-token":
        raise web.HTTPUnauthorized


@asynccontextmanager
async def _on_port(source: Source, *routes: tuple[str, str, Callable[..., object]]) -> AsyncIterator[None]:
    app = web.Application()
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)  # type: ignore[arg-type]
    async with served(app) as source.url:
        yield
