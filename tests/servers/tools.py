"""Knows where this repository's cache and the programs of this machine are, and what to say when one is missing."""

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache"

_REMEDIES = {
    "java": "install a Java 17 runtime (Debian: openjdk-17-jre-headless)",
    "mvn": "install Maven (Debian: maven)",
    "node": "install Node 20 or newer (Debian: nodejs)",
    "npm": "install Node 20 or newer with npm (Debian: nodejs and npm)",
    "nginx": "install nginx (Debian: nginx-light)",
    "kubectl": "install kubectl, not more than a minor version from the cluster's",
    "helm": "install Helm 3 or newer",
    "go": "install Go, which fetches the definitions of the operators' resources",
    "podman": "install podman with an OCI runtime (Debian: podman, runc and catatonit)",
}
_ALSO_IN = "/usr/local/sbin:/usr/sbin:/sbin"  # where Debian puts servers; not on every user's PATH


@dataclass(frozen=True, slots=True)
class Address:
    """Where other machines find a server: it listens on all addresses of its own at `port`, and they call it `name`."""

    name: str
    port: int


class ToolMissing(Exception):
    """Something outside this repository is not there; the text names it and the remedy."""


def find_tool(name: str, *, path: str | None = None) -> str:
    """The path of program `name`, on this process's PATH or another. Raises ToolMissing."""
    searched = os.environ.get("PATH", "") if path is None else path
    found = shutil.which(name, path=f"{searched}:{_ALSO_IN}")
    if found is None:
        raise ToolMissing(f"`{name}` was not found; {_REMEDIES.get(name, f'install {name}')}.")
    return found


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without any AWS, proxy or Outboard setting, plus dummy credentials and `extra`."""
    kept = {name: value for name, value in os.environ.items() if not _is_foreign(name.upper())}
    return kept | {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example-secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PYTHONUNBUFFERED": "1",
        **extra,
    }


def _is_foreign(name: str) -> bool:
    return name.startswith(("AWS_", "OUTBOARD_")) or name.endswith("_PROXY")
