"""A proxy that notes what it is asked for, and reaches one server under whatever name."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """`refusal` is answered instead of letting anything through; b"" closes the connection, None waits for ever."""

    server: str
    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    refuses: bool = False
    refusal: bytes | None = None

    @property
    def lines(self) -> list[str]:
        return [line for line, _ in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *rest = head.decode().removesuffix("\r\n\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in rest)}
        self.asked.append((line, headers))
        if self.refuses:
            if self.refusal is None:
                await reader.read()
            else:
                writer.write(self.refusal)
                await writer.drain()
            return
        host, port = self.server.rsplit(":", 1)
        to_server = await asyncio.open_connection(host, int(port))
        method, target, version = line.split(" ")
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = "/" + target.partition("://")[2].partition("/")[2]
            kept = [each for each in rest if not each.lower().startswith("proxy-")]
            to_server[1].write("\r\n".join([f"{method} {path} {version}", *kept]).encode() + b"\r\n\r\n")
        async with asyncio.TaskGroup() as group:
            group.create_task(_pour(reader, to_server[1]), name="there")
            group.create_task(_pour(to_server[0], writer), name="back")


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxy(server_url: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """Whatever is asked for is taken from the server at `server_url`."""
    made = Proxy(server_url.partition("://")[2])
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    made.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
