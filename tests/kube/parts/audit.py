"""Knows what became of a load's numbered messages: what was lost, what came again, what overtook another of its key."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: How many numbers a statement lists; the first of them say enough.
_LISTED = 20


@dataclass(slots=True)
class Account:
    """One load: `produced` messages, numbered from 0, were accepted by their source. Message n has the key n % keys; 0
    keys stand for a source without an order.
    """

    keys: int = 0
    produced: int = 0
    _times: Counter[int] = field(default_factory=Counter)
    _latest: dict[int, int] = field(default_factory=dict)
    _overtaken: list[int] = field(default_factory=list)

    def worked_off(self, number: int) -> None:
        """A function says that it has done this message."""
        self._times[number] += 1
        if self._times[number] > 1 or not self.keys:
            return
        key = number % self.keys
        if number < self._latest.get(key, -1):
            self._overtaken.append(number)
        self._latest[key] = max(number, self._latest.get(key, -1))

    def statement(self) -> dict[str, Any]:
        """`lost` is what nobody has worked off yet, `again` how often a message came after it had been done, `overtaken`
        what was done after a later one of its key.
        """
        lost = [number for number in range(self.produced) if number not in self._times]
        return {
            "produced": self.produced,
            "processed": len(self._times),
            "lost": lost[:_LISTED],
            "lostCount": len(lost),
            "again": self._times.total() - len(self._times),
            "overtaken": self._overtaken[:_LISTED],
        }


class Follower:
    """Reads a ledger of JSON lines while functions write it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def news(self) -> Iterator[dict[str, Any]]:
        """The lines that were completed since the last time."""
        if not self._path.exists():
            return
        with self._path.open("rb") as ledger:
            ledger.seek(self._at)
            whole = ledger.read().rpartition(b"\n")[0]
        self._at += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            yield json.loads(line)
