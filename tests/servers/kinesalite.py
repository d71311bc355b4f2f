"""Starts kinesalite, a Kinesis that is fast with many records, on a free port."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.kinesis_local import Kinesis
from tests.servers.node_packages import node_package
from tests.servers.processes import Child
from tests.servers.tools import clean_environment, find_tool, free_port

_CHANGES = ("--createStreamMs", "--deleteStreamMs", "--updateStreamMs")


@contextmanager
def kinesalite(folder: Path) -> Iterator[Kinesis]:
    """Run a server with its log in `folder`. It knows a stream by its name alone, never by its ARN."""
    node, package, port = find_tool("node"), node_package("kinesalite"), free_port()
    settings = [word for change in _CHANGES for word in (change, "50")]
    command = [node, "cli.js", "--port", str(port), "--shardLimit", "1000", *settings]
    child = Child(command, log=folder / "kinesalite.log", cwd=package, env=clean_environment())
    try:
        child.wait_until(lambda: "Listening" in child.tail(), seconds=60)
        yield Kinesis(f"http://127.0.0.1:{port}", child.pid)
    finally:
        child.kill()
