"""Starts ElasticMQ, an SQS that keeps its messages in memory, on a free port."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.maven import Artifacts
from tests.servers.processes import Child, answers_ok
from tests.servers.tools import Address, find_tool, free_port

REGION = "eu-west-1"
ACCOUNT = "123456789012"

ARTIFACTS = Artifacts("elasticmq", ("org.elasticmq:elasticmq-server_3:1.7.1",))
_CONFIG = """include classpath("application.conf")
node-address {{ protocol = http, host = localhost, port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "{bind}", sqs-limits = strict }}
rest-stats {{ enabled = false }}
aws {{ region = {region}, accountId = {account} }}
"""


@dataclass(frozen=True, slots=True)
class ElasticMQ:
    """A running server; `url` is its endpoint."""

    url: str
    pid: int


@contextmanager
def elasticmq(
    folder: Path, *, heap_mb: int = 256, measured: bool = False, address: Address | None = None
) -> Iterator[ElasticMQ]:
    """Run a server with its files in `folder`. `measured` gives it the full compiler: slower to start, faster when warm.
    With an `address` other machines reach it too.
    """
    java, jars = find_tool("java"), ARTIFACTS.fetch()
    bind, port = ("127.0.0.1", free_port()) if address is None else ("0.0.0.0", address.port)
    config = folder / "elasticmq.conf"
    config.write_text(_CONFIG.format(bind=bind, port=port, region=REGION, account=ACCOUNT))
    speed = [] if measured else ["-XX:TieredStopAtLevel=1"]
    command = [java, "-XX:+UseSerialGC", *speed, f"-Xmx{heap_mb}m", f"-Dconfig.file={config}"]
    child = Child([*command, "-cp", f"{jars}/*", "org.elasticmq.server.Main"], log=folder / "elasticmq.log")
    try:
        url = f"http://127.0.0.1:{port}"
        child.wait_until(lambda: answers_ok(f"{url}/health"), seconds=60)
        yield ElasticMQ(url, child.pid)
    finally:
        child.kill()  # nothing of it is to be kept, and it would wait for open long polls
