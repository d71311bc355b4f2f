"""What the tests of the state stand on: a listener, a store that fails as it is told, and processes that can be killed."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from outboard.state.writer import Key, StoreFailed

ROOT = Path(__file__).parents[3]

Rows = dict[Key, str]


class Heard:
    """Keeps what it was told: in `news` the error types, and "saved" where that is news; `writes` counts each."""

    def __init__(self) -> None:
        self.news: list[str] = []
        self.messages: list[str] = []
        self.writes = 0
        self._changed = asyncio.Event()

    def failed(self, error_type: str, message: str) -> None:
        self.messages.append(message)
        self._tell(error_type)

    def saved(self) -> None:
        self.writes += 1
        if self.news and self.news[-1] != "saved":
            self._tell("saved")

    def _tell(self, news: str) -> None:
        self.news.append(news)
        self._changed.set()

    async def until(self, news: str) -> None:
        while news not in self.news:
            self._changed.clear()
            await self._changed.wait()


class FakeStore:
    """A store in memory. `full`: writes fail and change nothing; `torn`: they fail when all is written."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.seconds = 0.0
        self.full = False
        self.torn = False
        self.unreadable = False
        #: Each write that was begun: when, what, and whether it was to be synced.
        self.writes: list[tuple[float, Rows, bool]] = []

    async def read(self, mapping: str, stream: str) -> Mapping[str, str]:
        found = {key[2]: position for key, position in self.rows.items() if key[:2] == (mapping, stream)}
        await asyncio.sleep(self.seconds)
        if self.unreadable:
            raise StoreFailed("Unreadable", "the store cannot be read")
        return found

    async def write(self, rows: Mapping[Key, str], *, synced: bool) -> None:
        self.writes.append((asyncio.get_running_loop().time(), dict(rows), synced))
        await asyncio.sleep(self.seconds)
        if self.full:
            raise StoreFailed("Full", "the store is full")
        self.rows |= rows
        if self.torn:
            raise StoreFailed("Torn", "nobody knows what became of it")


def after(saves: int) -> dict[str, str]:
    """The positions after so many saves of a child process that counts."""
    return {f"shard-{number % 7}": str(number) for number in range(saves)}


@contextmanager
def child(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """`tests/unit/state/child.py` as a process of its own, killed with -9 in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.state.child", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: "subprocess.Popen[str]") -> str:
    """What the process prints next."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
