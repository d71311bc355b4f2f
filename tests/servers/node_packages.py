"""Installs pinned npm packages, which tests start servers from or check against, into the repository's cache, once."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.servers.tools import CACHE, ToolMissing, find_tool

SERVERS = Path(__file__).with_name("node")
_FILES = ("package.json", "package-lock.json")
_INSTALL = ("ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def node_package(name: str, pinned: Path = SERVERS) -> Path:
    """The folder of package `name`, installed if it is not there yet; `pinned` locks it. Raises ToolMissing."""
    CACHE.mkdir(exist_ok=True)
    version = hashlib.sha256(b"".join((pinned / file).read_bytes() for file in _FILES)).hexdigest()[:12]
    folder = CACHE / f"node-{version}"
    with (CACHE / "node.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want it at once
        if not folder.is_dir():
            _install(folder, pinned)
    return folder / "node_modules" / name


def _install(folder: Path, pinned: Path) -> None:
    npm = find_tool("npm")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for file in _FILES:
        shutil.copy(pinned / file, partial)
    done = subprocess.run([npm, *_INSTALL], cwd=partial, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolMissing(f"npm could not install what {pinned} pins:\n{(done.stdout + done.stderr)[-2000:]}")
    partial.rename(folder)
