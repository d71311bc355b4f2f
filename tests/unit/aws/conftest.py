"""The wire is tested on both event loops: asyncio's own, and the one that `outboard run` uses."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack

import pytest
import uvloop

from outboard.aws.services import Services
from tests.unit.aws.certificates import Authority

#: The modules whose subject depends on the loop: its sockets, its TLS.
_ON_BOTH = {"test_wire_tls.py", "test_wire_proxies.py", "test_wire_connections.py"}

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.name in _ON_BOTH:
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing of this machine's AWS configuration, proxies and bundles; no instance metadata."""
    files = tmp_path_factory.mktemp("aws")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(files / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(files / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def keys(bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials are there."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.fixture
async def services(bare_environment: None) -> AsyncIterator[Callable[[], Services]]:
    """Makes one from the environment as it then is."""
    async with AsyncExitStack() as stack:

        def make() -> Services:
            made = Services(lambda *_: None)
            stack.push_async_callback(made.close)
            return made

        yield make


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One that the tests may trust."""
    return Authority(tmp_path_factory.mktemp("authority"))
