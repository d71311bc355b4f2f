"""Starts moto's server, which stands for the AWS services that need no faithful data plane, on a free port."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.processes import Child, answers_ok
from tests.servers.tools import clean_environment, free_port


@contextmanager
def moto_server(folder: Path) -> Iterator[str]:
    """Run it with its log in `folder`; yields its endpoint."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    child = Child(command, log=folder / "moto.log", env=clean_environment())
    try:
        child.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/moto-api/"), seconds=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()
