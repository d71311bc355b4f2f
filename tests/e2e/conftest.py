"""What end-to-end tests stand on: the command itself, started by a launcher that leaves nothing running."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Launcher


@pytest.fixture
def outboard(tmp_path: Path, identity: str) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path)
    launcher.environment["AWS_ENDPOINT_URL_STS"] = identity
    try:
        yield launcher
    finally:
        launcher.close()
