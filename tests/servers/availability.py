"""Knows what becomes of a test whose server cannot be started on this machine."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import pytest

from tests.servers.tools import ToolMissing

#: Begins the reason of every such skip; the end of a run lists them by it.
NOT_HERE = "not possible on this machine: "

_T = TypeVar("_T")


@contextmanager
def started(server: AbstractContextManager[_T]) -> Iterator[_T]:
    """Enter `server`. Where its tool is missing, skip; in CI, where every test must run, fail."""
    with ExitStack() as stack:
        with needed():
            running = stack.enter_context(server)
        yield running


@contextmanager
def needed() -> Iterator[None]:
    """What is done inside needs a tool. Where it is missing, skip; in CI fail."""
    try:
        yield
    except ToolMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI lacks a tool: {missing}", pytrace=False)
        pytest.skip(f"{NOT_HERE}{missing}")
