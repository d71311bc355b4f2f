"""Knows what the functions noted: a line in a file for each message that they finished or failed, read by the audit."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

#: Where the functions find the file's name, as a deployed function finds its settings.
VARIABLE = "OUTBOARD_DEMO_LEDGER"

_FINISHED, _FAILED, _FAILED_ALONE = "finished", "failed", "failed-alone"


@dataclass(frozen=True, slots=True)
class Notes:
    """What a ledger says.

    Attributes:
        finished: identifiers in the order in which they were finished, again for each time.
        failed_alone: how often a message failed as the only one of its invoke.
    """

    finished: list[str]
    failed_alone: Counter[str]

    def out_of_tries(self, tries: int) -> set[str]:
        """The messages that failed alone so often."""
        return {identifier for identifier, count in self.failed_alone.items() if count >= tries}


def enter(identifier: str) -> None:
    """Note that a message was processed."""
    _write(f"{_FINISHED} {identifier}")


def enter_failure(identifier: str, *, alone: bool) -> None:
    """Note that a message was tried and failed; `alone`: no other was in its invoke."""
    _write(f"{_FAILED_ALONE if alone else _FAILED} {identifier}")


def has_failed(identifier: str) -> bool:
    """Whether a failure of this message was noted, in whichever process."""
    lines = set(_lines(Path(os.environ[VARIABLE])))
    return any(f"{kind} {identifier}" in lines for kind in (_FAILED, _FAILED_ALONE))


def notes(path: Path) -> Notes:
    """All that was noted."""
    found = [line.split(" ", 1) for line in _lines(path)]
    return Notes(
        finished=[identifier for kind, identifier in found if kind == _FINISHED],
        failed_alone=Counter(identifier for kind, identifier in found if kind == _FAILED_ALONE),
    )


def _write(line: str) -> None:
    """One write to a file opened for appending: processes do not mix their lines."""
    descriptor = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
