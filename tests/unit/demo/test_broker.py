"""The broker of the demo is found where its package is, listens when it is given out, and ends with the demo."""

import socket
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import psutil
import pytest

from outboard.demo import broker
from outboard.demo.parts import PartError
from tests.servers.availability import NOT_HERE

PROGRAM = broker.program()
wants_the_broker = pytest.mark.skipif(PROGRAM is None, reason=f"{NOT_HERE}the Kafka broker of the extra")


def package(folder: Path, mode: int) -> ModuleSpec:
    (folder / "bin").mkdir()
    (folder / "bin" / "tansu").touch(mode)
    spec = ModuleSpec(broker.PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    return spec


def test_the_program_lies_in_its_package(tmp_path: Path) -> None:
    spec = package(tmp_path, 0o755)

    assert broker.program(lambda _name: spec) == tmp_path / "bin" / "tansu"


def test_where_the_package_is_missing_or_its_program_cannot_run_there_is_none(tmp_path: Path) -> None:
    spec = package(tmp_path, 0o644)

    assert [broker.program(lambda _name, found=found: found) for found in (None, spec)] == [None, None]


@wants_the_broker
async def test_the_broker_listens_and_ends_with_the_block(tmp_path: Path) -> None:
    assert PROGRAM is not None
    async with broker.serving(PROGRAM, tmp_path) as (part, address):
        host, port = address.split(":")
        socket.create_connection((host, int(port)), 5).close()
        children = psutil.Process(part.process.pid).children()
        assert [child.name() for child in children] == ["tansu"]

    assert psutil.wait_procs(children, timeout=10)[1] == []


async def test_a_broker_that_does_not_start_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PartError, match=r"^The Kafka broker ended with exit code 1\.\n"):
        async with broker.serving(tmp_path / "nothing", tmp_path):
            pass


@wants_the_broker
def test_the_broker_ends_with_the_demo_even_if_that_is_killed(tmp_path: Path) -> None:
    parent = (
        "import asyncio, pathlib, psutil\n"
        "from outboard.demo import broker\n"
        "async def main():\n"
        f"    async with broker.serving(broker.program(), pathlib.Path({str(tmp_path)!r})) as (part, _):\n"
        "        print(part.process.pid, *[c.pid for c in psutil.Process(part.process.pid).children()], flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        children = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        process.kill()

    assert len(children) == 2
    assert psutil.wait_procs(children, timeout=10)[1] == []
