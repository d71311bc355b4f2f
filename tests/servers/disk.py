"""A disk of a few hundred kilobytes, so that one can be full: a file system in memory, mounted for one test."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.tools import ToolMissing, find_tool

_BLOCK = b"\0" * 4096


@dataclass(frozen=True, slots=True)
class Disk:
    """A mounted file system of its own."""

    folder: Path

    def fill(self) -> None:
        """Leave no room, not for a byte."""
        with (self.folder / "filling").open("ab", buffering=0) as filling:
            try:
                while filling.write(_BLOCK):
                    pass
            except OSError:
                return

    def clear(self) -> None:
        """Make room again."""
        (self.folder / "filling").unlink()


@contextmanager
def small_disk(folder: Path, *, kilobytes: int = 512) -> Iterator[Disk]:
    """Mount one at `folder`. Raises ToolMissing where this process may not mount anything."""
    folder.mkdir()
    mount, unmount = find_tool("mount"), find_tool("umount")
    options = f"size={kilobytes}k,mode=777"
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise ToolMissing(f"a small disk could not be mounted ({made.stderr.strip()}); run the tests as root on Linux.")
    try:
        yield Disk(folder)
    finally:
        subprocess.run([unmount, "--lazy", str(folder)], check=True)
