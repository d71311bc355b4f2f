"""Knows where the configuration is and reads its files; what they say is for `assembling`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from outboard.config.assembling import FailedMapping, Loaded, content_hash, parse
from outboard.config.problems import Problem, in_order

__all__ = ["FailedMapping", "Loaded", "Texts", "find", "load", "parse", "read"]

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
#: The schema for editors may lie beside what it describes.
_SCHEMA = "outboard.schema.json"
_DEFAULT = Path("configs/outboard.yaml")


def find(path: str | None, environ: Mapping[str, str]) -> Path:
    """The configuration's file or folder: as asked for, else `$OUTBOARD_CONFIG`, else `configs/outboard.yaml`."""
    return Path(path or environ.get("OUTBOARD_CONFIG") or _DEFAULT)


@dataclass(frozen=True, slots=True)
class Texts:
    """What the files hold at one moment, and what could not be read of them; equal if nothing has changed."""

    contents: Mapping[str, str]
    problems: tuple[Problem, ...]

    def loaded(self) -> Loaded:
        """What it configures. Never raises: what is wrong is in the problems."""
        if not self.problems:
            return parse(self.contents)
        others = parse(self.contents).problems if self.contents else ()
        problems = in_order([*self.problems, *others])
        return Loaded(None, problems, (), fatal=True, content_hash=content_hash(self.contents))


def load(path: Path) -> Loaded:
    """Read and check a file, or a folder's `*.yaml *.yml *.json`. Never raises: what is wrong is in the problems."""
    return read(path).loaded()


def read(path: Path) -> Texts:
    """Read a file, or a folder's `*.yaml *.yml *.json`, and understand nothing yet. Never raises."""
    contents: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        files = _files(path)
    except OSError as error:
        return Texts({}, (Problem(_shown(path), None, None, None, _unreadable(error)),))
    for file in files:
        try:
            contents[_shown(file)] = file.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            problems.append(Problem(_shown(file), line, None, None, "is not UTF-8 text; save the file as UTF-8"))
        except OSError as error:
            problems.append(Problem(_shown(file), None, None, None, _unreadable(error)))
    if not files:
        message = "holds no *.yaml, *.yml or *.json file; put one there, or name a file"
        problems.append(Problem(_shown(path), None, None, None, message))
    return Texts(contents, tuple(problems))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        path.stat()  # a missing file is told from one that cannot be read
        return [path]
    entries = (entry for entry in path.iterdir() if entry.name != _SCHEMA)
    found = (entry for entry in entries if entry.suffix.lower() in _SUFFIXES)
    # A link that leads nowhere is a problem to be told of; a pipe would be waited for.
    return sorted(it for it in found if not it.name.startswith(".") and (it.is_file() or not it.exists()))


def can_change(path: Path) -> bool:
    """Whether it can be read again: a pipe, such as a shell's `<(...)`, cannot."""
    return path.is_file() or path.is_dir() or not path.exists()


def _shown(file: Path) -> str:
    """A name that is no text is shown as far as it is one."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def _unreadable(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "does not exist; name the file or folder, or set OUTBOARD_CONFIG"
        case PermissionError():
            return "may not be read by this user; change its permissions"
        case _:
            return f"cannot be read ({error.strerror or type(error).__name__}); check the path and the disk"
