"""What end-to-end tests stand on: the command itself, started by a launcher that leaves nothing running."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.containers import ContainerLauncher
from tests.e2e.harness import Launcher
from tests.servers.availability import started
from tests.servers.containers import Image, built_image


@pytest.fixture
def outboard(tmp_path: Path, identity: str) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path)
    launcher.environment["AWS_ENDPOINT_URL_STS"] = identity
    try:
        yield launcher
    finally:
        launcher.close()


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """The image of this working tree."""
    with started(built_image()) as built:
        yield built


@pytest.fixture
def container(tmp_path: Path, image: Image, identity: str) -> Iterator[ContainerLauncher]:
    launcher = ContainerLauncher(tmp_path, image)
    launcher.environment["AWS_ENDPOINT_URL_STS"] = identity
    try:
        yield launcher
    finally:
        launcher.close()
