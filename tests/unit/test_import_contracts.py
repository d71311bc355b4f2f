"""The import contracts hold, and each of them is broken by the import that it forbids."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import outboard

PACKAGE = Path(outboard.__file__).parent
SETTINGS = Path(__file__).parents[2] / "pyproject.toml"

ONE_WAY = "Imports go one way"
PORT = "The status port sees only what the observers show"
OPENING = "Only the application opens the status port"
PURE = "What decides does no I/O"


def lint(folder: Path) -> tuple[int, str]:
    """Run import-linter on the package below `folder`; its exit code and what it prints."""
    tool = Path(sys.executable).with_name("lint-imports")
    # -P and the path: the package below `folder`, and no other one, is what is looked at.
    result = subprocess.run(
        [sys.executable, str(tool), "--config", str(folder / "pyproject.toml"), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a copy of the package and of its contracts."""
    shutil.copytree(PACKAGE, tmp_path / "outboard", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SETTINGS, tmp_path)
    return tmp_path


def plant(folder: Path, module: str, line: str) -> None:
    with (folder / "outboard" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")


def test_the_package_keeps_its_contracts(copy: Path) -> None:
    code, printed = lint(copy)

    assert code == 0, printed
    assert "0 broken" in printed


def test_every_contract_is_broken_on_purpose_below() -> None:
    settings = tomllib.loads(SETTINGS.read_text("utf-8"))

    assert {contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]} == {
        ONE_WAY,
        PORT,
        OPENING,
        PURE,
    }


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("core/batcher.py", "import asyncio", PURE),
        ("core/batcher.py", "import outboard.config", ONE_WAY),
        ("events/sqs.py", "import structlog", PURE),
        ("config/models.py", "import outboard.observe", ONE_WAY),
        ("observe/mapping.py", "import outboard.aws", ONE_WAY),
        ("observe/http.py", "import outboard.aws.calls", PORT),
        ("aws/calls.py", "import outboard.runtime", ONE_WAY),
        ("runtime/lane.py", "import outboard.sources", ONE_WAY),
        ("runtime/lane.py", "import outboard.observe.http", OPENING),
        ("sources/sqs/feed.py", "import outboard.invoke", ONE_WAY),
        ("sources/kinesis/feed.py", "import outboard.runtime", ONE_WAY),
        ("sources/kinesis/source.py", "import outboard.state", ONE_WAY),
        ("state/memory.py", "import outboard.sources", ONE_WAY),
        ("assembly.py", "import outboard.app", ONE_WAY),
        ("invoke/function.py", "import outboard.runtime", ONE_WAY),
        ("live.py", "import outboard.app", ONE_WAY),
        ("app.py", "def late():\n    import outboard.cli", ONE_WAY),
    ],
)
def test_a_planted_import_breaks_the_contract_that_forbids_it(copy: Path, module: str, line: str, broken: str) -> None:
    plant(copy, module, line)

    code, printed = lint(copy)

    assert code == 1, printed
    assert f"{broken} BROKEN" in printed
