"""`core` and `events` decide and render: they import nothing that waits, tells the time, talks or reports."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import outboard

PACKAGE = Path(outboard.__file__).parent

#: The standard library's and others' modules that are free of I/O, clock and global state. Extend it with such only.
PURE = {
    "base64",
    "binascii",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "itertools",
    "json",
    "math",
    "operator",
    "orjson",
    "re",
    "typing",
}

#: What each layer may see of this project: `events` stands on `core`, and `core` on nothing.
LAYERS = {"core": ("outboard.core",), "events": ("outboard.core", "outboard.events")}


def imported(module: Path, package: str) -> Iterator[str]:
    """The full name of every module that `module` imports, anywhere in it; `package` is the package it is in."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"), str(module))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=name, level=0):
                yield name or ""
            case ast.ImportFrom(module=name, level=level):
                parents = package.split(".")
                yield ".".join([*parents[: len(parents) - level + 1], *([name] if name else [])])
            case ast.Call(func=ast.Name(id="__import__")):
                yield "__import__"
            case _:
                pass


def impurities(package: Path) -> list[str]:
    """`file: import` for everything that `core` and `events` below `package` must not import."""
    found = []
    for layer, visible in LAYERS.items():
        for module in sorted((package / layer).rglob("*.py")):
            inside = ".".join(["outboard", *module.parent.relative_to(package).parts])
            for name in imported(module, inside):
                ours = any(name == root or name.startswith(f"{root}.") for root in visible)
                if not ours and name.split(".")[0] not in PURE:
                    found.append(f"{module.relative_to(package)}: {name}")
    return found


def test_core_and_events_import_nothing_impure() -> None:
    assert impurities(PACKAGE) == []


def test_every_module_of_both_layers_is_looked_at() -> None:
    for layer in LAYERS:
        assert len(list((PACKAGE / layer).rglob("*.py"))) > 1


@pytest.mark.parametrize("module", ["core/backoff.py", "core/shards.py", "events/kinesis.py", "events/sqs.py"])
@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import asyncio", "asyncio"),
        ("import time", "time"),
        ("from datetime import datetime", "datetime"),
        ("import random", "random"),
        ("import logging.handlers", "logging.handlers"),
        ("from structlog import get_logger", "structlog"),
        ("import json, prometheus_client", "prometheus_client"),
        ("import aioboto3", "aioboto3"),
        ("from botocore.auth import SigV4Auth", "botocore.auth"),
        ("from outboard.aws.calls import CallFailed", "outboard.aws.calls"),
        ("from outboard import cli", "outboard"),
        ("from ..runtime import lane", "outboard.runtime"),
        ("def late():\n    import asyncio", "asyncio"),
        ("clock = __import__('time')", "__import__"),
        ("import importlib", "importlib"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, module: str, line: str, name: str) -> None:
    for layer in LAYERS:
        shutil.copytree(PACKAGE / layer, tmp_path / layer, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    assert impurities(tmp_path) == [f"{module}: {name}"]


def test_core_must_not_see_events(tmp_path: Path) -> None:
    for layer in LAYERS:
        (tmp_path / layer).mkdir()
        (tmp_path / layer / "x.py").write_text("from outboard.events import sqs\nfrom . import y\n", "utf-8")
    assert impurities(tmp_path) == ["core/x.py: outboard.events"]
