"""Parts are processes of their own: they end when asked, when the block ends, and when the demo itself is gone."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from outboard.demo import parts
from outboard.demo.parts import PartError

OBEDIENT = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(sys.argv[1])))
print("ready", flush=True)
time.sleep(60)
"""
STUBBORN = OBEDIENT.replace("lambda *_: sys.exit(int(sys.argv[1]))", "signal.SIG_IGN")


def environment(folder: Path, program: str) -> dict[str, str]:
    """Makes `program` the module `part`."""
    (folder / "part.py").write_text(program)
    return os.environ | {"PYTHONPATH": str(folder)}


async def until_ready(part: parts.Part) -> None:
    while "ready" not in part.log.read_text():
        part.ensure_running()
        await asyncio.sleep(0.01)


async def test_a_part_that_ends_well_when_asked_is_fine(tmp_path: Path) -> None:
    env = environment(tmp_path, OBEDIENT)
    async with parts.running("The part", ["part", "0"], log=tmp_path / "log", env=env) as part:
        await until_ready(part)
        await part.finish(10)

    assert part.process.returncode == 0


async def test_a_part_that_ends_badly_is_reported_with_its_last_words(tmp_path: Path) -> None:
    env = environment(tmp_path, OBEDIENT)
    async with parts.running("The part", ["part", "3"], log=tmp_path / "log", env=env) as part:
        await until_ready(part)
        with pytest.raises(PartError) as failure:
            await part.finish(10)

    assert str(failure.value) == "The part ended with exit code 3.\nIt wrote last:\n  ready"


async def test_a_part_that_does_not_end_is_reported_and_killed(tmp_path: Path) -> None:
    env = environment(tmp_path, STUBBORN)
    async with parts.running("The part", ["part"], log=tmp_path / "log", env=env) as part:
        await until_ready(part)
        with pytest.raises(PartError, match="The part had not ended 0 s after SIGTERM"):
            await part.finish(0.05)

    assert part.process.returncode == -9


async def test_a_part_that_has_ended_by_itself_is_noticed(tmp_path: Path) -> None:
    env = environment(tmp_path, "raise SystemExit(4)")
    async with parts.running("The part", ["part"], log=tmp_path / "log", env=env) as part:
        await part.process.wait()
        with pytest.raises(PartError, match=r"The part ended with exit code 4\.\nIt wrote nothing\."):
            part.ensure_running()


def test_a_part_ends_with_the_demo_even_if_that_is_killed(tmp_path: Path) -> None:
    environment(tmp_path, STUBBORN)
    parent = (
        "import asyncio, os, pathlib\n"
        "from outboard.demo import parts\n"
        "async def main():\n"
        f"    folder = pathlib.Path({str(tmp_path)!r})\n"
        "    env = os.environ | {'PYTHONPATH': str(folder)}\n"
        "    async with parts.running('The part', ['part'], log=folder / 'log', env=env) as part:\n"
        "        print(part.process.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        end = time.monotonic() + 10
        while "ready" not in (tmp_path / "log").read_text() and time.monotonic() < end:
            time.sleep(0.01)
        process.kill()

    assert psutil.wait_procs([child], timeout=10)[1] == []
