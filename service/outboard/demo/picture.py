"""Knows how to keep a run of the demo as an SVG picture."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from outboard.demo.display import Screen, rows, table
from outboard.demo.watch import Snapshot

WIDTH = 104
#: Rich names fonts to be fetched from elsewhere; a picture in a README must do with what is there.
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Picture:
    """A screen that passes everything on to another, and remembers it."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._before: list[Text] = []
        self._after: list[Text] = []
        self._shown: list[tuple[tuple[Snapshot, ...], str]] = []

    def say(self, text: str, style: str = "") -> None:
        (self._after if self._shown else self._before).append(Text(text, style))
        self._screen.say(text, style)

    def show(self, history: Sequence[Snapshot], caption: str) -> None:
        self._shown.append((tuple(history), caption))
        self._screen.show(history, caption)

    def settle(self) -> None:
        self._screen.settle()

    def save(self, path: Path) -> None:
        """Write what was said, around the table as it stood half-way through the run."""
        console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
        console.print("[dim]$[/dim] outboard demo\n", highlight=False)
        for text in self._before:
            console.print(text)
        if self._shown:
            history, caption = self._shown[len(self._shown) // 2]
            console.print(table(rows(history), caption))
        for text in self._after:
            console.print(text)
        path.write_text(_FONTS.sub("", console.export_svg(title="outboard demo")))
