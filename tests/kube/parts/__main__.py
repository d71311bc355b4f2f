"""Runs all parts in one pod: `python -m tests.kube.parts NAME`, where NAME is what other pods call this one."""

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from tests.kube.parts.audit import Follower
from tests.kube.parts.control import Control
from tests.kube.parts.loads import Loads
from tests.kube.parts.ports import CONTROL, FUNCTIONS, IDENTITY, SOURCES
from tests.servers.elasticmq import elasticmq
from tests.servers.identity import identity_server
from tests.servers.kafka import kafka
from tests.servers.kinesis_local import kinesis_local
from tests.servers.queues import Queues
from tests.servers.runtime_front import runtime_front
from tests.servers.serving import served
from tests.servers.streams import Streams
from tests.servers.tools import Address
from tests.servers.topics import Topics

_HANDLERS = {"queue": "standard", "fifo": "fifo", "stream": "stream", "topic": "topic"}
#: How many invokes of a function run at once.
_RUNTIMES = {"queue": 4, "fifo": 2, "stream": 2, "topic": 4}


def main() -> None:
    name, folder = sys.argv[1], Path(tempfile.mkdtemp())
    addresses = {kind: Address(name, port) for kind, port in SOURCES.items()}
    with (
        elasticmq(folder, address=addresses["queue"]) as queues,
        kinesis_local(folder, address=addresses["stream"]) as streams,
        kafka(folder, address=addresses["topic"]) as topics,
    ):
        ledger = folder / "ledger"
        loads = Loads(
            Queues(queues.url),
            Streams(streams.url),
            Topics(topics.bootstrap),
            addresses,
            {kind: f"http://{name}:{port}" for kind, port in FUNCTIONS.items()},
            Follower(ledger),
        )
        asyncio.run(_serve(name, folder, ledger, loads))


async def _serve(name: str, folder: Path, ledger: Path, loads: Loads) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(identity_server(Address(name, IDENTITY)))
        for kind, port in FUNCTIONS.items():
            function = runtime_front(
                f"tests.servers.handlers.{_HANDLERS[kind]}.handler",
                folder,
                runtimes=_RUNTIMES[kind],
                environment={"LEDGER": str(ledger)},
                address=Address(name, port),
            )
            await stack.enter_async_context(function)
        stack.push_async_callback(loads.close)
        await stack.enter_async_context(served(Control(loads).application(), CONTROL, everywhere=True))
        print("all parts are running", flush=True)
        await asyncio.Event().wait()


main()
