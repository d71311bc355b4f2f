"""Starts kinesis-local, a Kinesis that is right about shards and keeps its records in memory, on a free port."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.elasticmq import ACCOUNT, REGION
from tests.servers.node_packages import node_package
from tests.servers.processes import Child, answers_ok
from tests.servers.tools import Address, clean_environment, find_tool, free_port

#: How long the server takes to change a stream; AWS takes half a minute.
_CHANGE = "50ms"
_CHANGES = ("CREATE_STREAM", "DELETE_STREAM", "SPLIT_SHARD", "MERGE_SHARDS", "UPDATE_SHARD_COUNT")


@dataclass(frozen=True, slots=True)
class Kinesis:
    """A running server; `url` is its endpoint."""

    url: str
    pid: int


@contextmanager
def kinesis_local(folder: Path, *, heap_mb: int = 512, address: Address | None = None) -> Iterator[Kinesis]:
    """Run a server with its log in `folder`; it listens everywhere, on a free port or at `address`."""
    node, package = find_tool("node"), node_package("kinesis-local")
    port = free_port() if address is None else address.port
    settings = {
        "KINESIS_MOCK_PLAIN_PORT": str(port),
        "KINESIS_MOCK_TLS_PORT": str(free_port()),
        "SHARD_LIMIT": "1000",
        **{f"{change}_DURATION": _CHANGE for change in _CHANGES},
    }
    env = clean_environment() | settings | {"AWS_ACCOUNT_ID": ACCOUNT, "AWS_REGION": REGION}
    command = [node, f"--max-old-space-size={heap_mb}", "main.js"]
    child = Child(command, log=folder / "kinesis-local.log", cwd=package, env=env)  # it reads a file in its own folder
    try:
        url = f"http://127.0.0.1:{port}"
        child.wait_until(lambda: answers_ok(f"{url}/healthcheck"), seconds=60)
        yield Kinesis(url, child.pid)
    finally:
        child.kill()  # nothing of it is to be kept
