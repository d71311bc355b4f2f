"""Starts Apache Kafka itself, one node that is broker and controller, on free ports; it can be killed and come back."""

import os
import socket
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from tests.servers.maven import Artifacts
from tests.servers.processes import Child, ServerFailed
from tests.servers.tools import Address, find_tool, free_port
from tests.unit.aws.certificates import Authority

ARTIFACTS = Artifacts("kafka", ("org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36"))

_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},TLS://127.0.0.1:{tls}{listens}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},TLS://127.0.0.1:{tls}{advertises}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
log.retention.ms=-1
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the CA that signed the broker's certificate, and one that signed nothing of its."""

    ca: Path
    untrusted: Path


class Kafka:
    """A broker; `bootstrap` is the HOST:PORT of its plain listener, `tls_bootstrap` that of the other, whose certificate
    `certificates` is about. After `kill` it is gone as by kill -9, until `start`, with its data and its ports.
    """

    def __init__(self, folder: Path, *, heap_mb: int, measured: bool, address: Address | None = None) -> None:
        java, jars = find_tool("java"), ARTIFACTS.fetch()
        self._folder = folder
        self._log = folder / "kafka.log"
        self._config = folder / "server.properties"
        speed = [] if measured else ["-XX:TieredStopAtLevel=1"]
        self._java = [java, "-XX:+UseSerialGC", *speed, f"-Xmx{heap_mb}m", "-cp", f"{jars}/*"]
        self._port, tls, controller = free_port(), free_port(), free_port()
        self.bootstrap, self.tls_bootstrap = f"127.0.0.1:{self._port}", f"127.0.0.1:{tls}"
        self._keystore = folder / "keystore.pem"
        self.certify_anew()
        places = {"data": folder / "data", "keystore": self._keystore, "listens": "", "advertises": ""}
        if address is not None:
            places["listens"] = f",OUTSIDE://0.0.0.0:{address.port}"
            places["advertises"] = f",OUTSIDE://{address.name}:{address.port}"
        self._config.write_text(_PROPERTIES.format(port=self._port, tls=tls, controller=controller, **places))
        self._child: Child | None = None
        self._format()

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def certify_anew(self) -> None:
        """From its next start on it has a certificate of a new CA."""
        folder = Path(mkdtemp(prefix="certificates-", dir=self._folder))
        authority, other = Authority(folder, "ca"), Authority(folder, "untrusted")
        authority.server("127.0.0.1", "localhost")  # which leaves the file in the folder
        (made,) = folder.glob("server-*.pem")
        made.replace(self._keystore)
        self.certificates = Certificates(authority.bundle, other.bundle)

    def _format(self) -> None:
        cluster = urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode().replace("-", "A")  # it may be no option
        command = ["kafka.tools.StorageTool", "format", "-t", cluster, "--standalone", "-c", str(self._config)]
        done = subprocess.run([*self._java, *command], capture_output=True, text=True, cwd=self._folder, check=False)
        if done.returncode != 0:
            raise ServerFailed(f"Kafka could not format its folder:\n{(done.stdout + done.stderr)[-2000:]}")

    def start(self) -> None:
        """Start it, on what an earlier run has left."""
        said = self._log.stat().st_size if self._log.exists() else 0
        self._child = Child([*self._java, "kafka.Kafka", str(self._config)], log=self._log, cwd=self._folder)
        self._child.wait_until(lambda: self._started(said), seconds=90)

    def _started(self, said: int) -> bool:
        if b"Kafka Server started" not in self._log.read_bytes()[said:]:
            return False
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


@contextmanager
def kafka(
    folder: Path, *, heap_mb: int = 512, measured: bool = False, address: Address | None = None
) -> Iterator[Kafka]:
    """Run a broker with its files in `folder`. `measured` gives it the full compiler: slower to start, then faster. With an
    `address` it has a plain listener for other machines too.
    """
    server = Kafka(folder, heap_mb=heap_mb, measured=measured, address=address)
    try:
        server.start()
        yield server
    finally:
        server.kill()  # nothing of it is to be kept
