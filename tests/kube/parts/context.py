"""Lays out what the parts' image is built from: this repository's test servers, and the programs that they start."""

import os
import shutil
import sys
from pathlib import Path

from tests.servers import elasticmq, kafka
from tests.servers.node_packages import node_package
from tests.servers.tools import CACHE, REPOSITORY, ToolMissing

CONTEXT = CACHE / "image" / "parts"

_SOURCES = ("tests/servers", "tests/kube/parts", "tests/unit/aws/certificates.py", "tests/kube/__init__.py")
_FILES = ("requirements.txt", "requirements-dev.txt")


def lay_out() -> None:
    """Make the folder anew. Raises ToolMissing."""
    shutil.rmtree(CONTEXT, ignore_errors=True)
    fetched = [
        elasticmq.ARTIFACTS.fetch().parent,
        kafka.ARTIFACTS.fetch().parent,
        node_package("kinesis-local").parents[1],
    ]
    for folder in fetched:
        # They are large, and only read: links do.
        shutil.copytree(folder, CONTEXT / ".cache" / folder.name, copy_function=os.link)
    for name in _SOURCES:
        _copy(REPOSITORY / name, CONTEXT / name)
    for name in _FILES:
        _copy(REPOSITORY / name, CONTEXT / name)
    _copy(Path(__file__).with_name("Dockerfile"), CONTEXT / "Dockerfile")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "test_*.py"))
    else:
        shutil.copy2(source, target)


if __name__ == "__main__":
    try:
        lay_out()
    except ToolMissing as missing:
        sys.exit(str(missing))
