"""Knows how the image is built, how it is looked into, and how it is run as a strict cluster would run it."""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.tools import CACHE, REPOSITORY, ToolMissing, find_tool

#: `image/build` says so where an engine or a base is missing.
_CANNOT = 3

#: What a pod has under the restricted standard, and not even a /tmp to write to.
RESTRICTED = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=65532:65532",
)

#: Seconds after which the engine ends a container whose test has died.
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Image:
    """A built image, by its id: its name may be given to another meanwhile. `base` is what it stands on."""

    identifier: str
    base: str

    def inspected(self) -> Mapping[str, Any]:
        return _inspected(self.identifier)

    def bytes_beside_base(self) -> int:
        return int(_inspected(self.identifier)["Size"]) - int(_inspected(self.base)["Size"])

    def command(self, *options: str, arguments: Sequence[str] = ()) -> list[str]:
        """What runs it in the foreground; `options` are the engine's, `arguments` those of its entry point."""
        limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")  # the engine's own may be above ours
        bounds = ("--rm", "--pull=never", f"--timeout={_LONGEST}")
        return [find_tool("podman"), "run", *bounds, *limits, *options, self.identifier, *arguments]

    def finished(self, *options: str, arguments: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run it to its end, without a network."""
        command = self.command("--network=none", *options, arguments=arguments)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def _inspected(name: str) -> Mapping[str, Any]:
    done = subprocess.run([find_tool("podman"), "image", "inspect", name], capture_output=True, check=True)
    found: Mapping[str, Any] = json.loads(done.stdout)[0]
    return found


@contextmanager
def built_image(*, archive: Path | None = None) -> Iterator[Image]:
    """The image of this working tree; what has not changed since the last time is not built again. With `archive` it is
    also written there. Raises ToolMissing.
    """
    find_tool("podman")
    extra = {"ENGINE": "podman"} | ({"IMAGE_TAR": str(archive)} if archive else {})
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want it at once
        done = subprocess.run(
            [REPOSITORY / "image" / "build"], env=os.environ | extra, capture_output=True, text=True, check=False
        )
    if done.returncode == _CANNOT:
        raise ToolMissing(f"the image cannot be built:\n{done.stderr[-2000:]}")
    assert done.returncode == 0, f"image/build ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    yield Image(said["id"], said["base"])
