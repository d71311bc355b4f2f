"""The two images that the cluster needs, and how they get there."""

import os
import shlex
import subprocess

from outboard import __version__
from tests.servers.tools import CACHE, ToolMissing

LOAD = "OUTBOARD_KUBE_LOAD"

#: `make image` and `make e2e-kube` write these.
_ARCHIVES = (CACHE / "image" / "outboard.tar", CACHE / "image" / "parts.tar")
PARTS = f"outboard-e2e-parts:{__version__}"


def load_images() -> None:
    """Hand the archives to the cluster. Raises ToolMissing with what to do."""
    command = os.environ.get(LOAD, "")
    if not command:
        raise ToolMissing(
            f"set {LOAD} to the command that hands image archives to the cluster, such as `kind load image-archive` or "
            "`minikube image load`; it is called with the path of each. `true` if the cluster has them already."
        )
    for archive in _ARCHIVES:
        if not archive.is_file():
            raise ToolMissing(f"{archive} is missing; run `make e2e-kube`, which builds it.")
        done = subprocess.run([*shlex.split(command), str(archive)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolMissing(f"`{command} {archive}` ended with {done.returncode}: {done.stderr[-1000:]}")
