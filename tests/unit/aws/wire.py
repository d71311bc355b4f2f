"""An HTTP server whose every byte the test decides, and an identity with as many credentials as the test gives it."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from outboard.aws.signing import Credentials


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    """`x_amzn_errortype="…"` becomes the header x-amzn-errortype."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def hang(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@dataclass
class Wire:
    """`answers` are given in turn, then `default`; `requests` is what came."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    default: Answer = field(default_factory=answer)
    requests: list[Request] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    _connections: int = 0
    _sockets: list[int] = field(default_factory=list)

    def says_at_once(self, unasked: bytes = b"", *, hangs_up: bool) -> None:
        """On every connection, before the loop turns again: what the other side cannot have read yet."""
        for number in self._sockets:
            with socket.socket(fileno=os.dup(number)) as connection:
                connection.sendall(unasked)
                if hangs_up:
                    connection.shutdown(socket.SHUT_RDWR)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        connection = writer.get_extra_info("socket").fileno()
        self._sockets.append(connection)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *rest = head.decode().removesuffix("\r\n\r\n").split("\r\n")
                headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append(Request(line, headers, body, number))
                self.arrived.set()
                reply = self.answers.pop(0) if self.answers else self.default
                if isinstance(reply, bytes):
                    writer.write(reply)
                    await writer.drain()
                else:
                    gone = asyncio.ensure_future(reader.read(1))  # noqa: TID251 - it only watches
                    acting = asyncio.ensure_future(reply(writer))  # noqa: TID251 - it is waited for below
                    await asyncio.wait({gone, acting}, return_when=asyncio.FIRST_COMPLETED)
                    for task in (gone, acting):
                        task.cancel()
                    return
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._sockets.remove(connection)
            self.closed.set()
            writer.close()


@asynccontextmanager
async def wire(*answers: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    served = Wire(answers=list(answers))
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    served.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()


@asynccontextmanager
async def tcp(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A server without HTTP; yields where it listens. What still serves at the end is cancelled."""
    serving: set[asyncio.Task[None]] = set()

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())  # type: ignore[arg-type]
        with suppress(asyncio.CancelledError, OSError):
            await serve(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(tracked, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)


class KnownIdentity:
    """Hands out its credentials; `forget` moves on to the next ones while there are any."""

    def __init__(self, *access_keys: str) -> None:
        self._keys = list(access_keys or ["AK1"])
        self.forgotten = 0

    async def credentials(self) -> Credentials:
        return Credentials(self._keys[0], "secret", "token")

    def forget(self, _: Credentials) -> None:
        self.forgotten += 1
        if len(self._keys) > 1:
            self._keys.pop(0)
