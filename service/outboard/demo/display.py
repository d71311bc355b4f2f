"""Knows how the demo looks while it runs: a live table on a terminal, plain lines where the output goes elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from outboard.demo.watch import Reading, Snapshot

#: Rates are means over about this many seconds.
RATE_SECONDS = 4.0
#: Seconds between two lines about the same mapping where there is no terminal.
LINES_EVERY = 2.0

#: A mapping in this state needs no reason, though some of its events may have failed.
HEALTHY = "Enabled"

HEADINGS = ("mapping", "state", "rate", "in flight", "delivered", "failed", "came back", "retries", "lag")


@dataclass(frozen=True, slots=True)
class Row:
    """One mapping, ready to be shown; the fields are those of `HEADINGS`."""

    mapping: str
    state: str
    rate: str
    in_flight: str
    delivered: str
    failed: str
    came_back: str
    retries: str
    lag: str
    reason: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.mapping,
            self.state,
            self.rate,
            self.in_flight,
            self.delivered,
            self.failed,
            self.came_back,
            self.retries,
            self.lag,
        )


def rows(history: Sequence[Snapshot]) -> list[Row]:
    """What to show of the last snapshot; rates are taken over the last `RATE_SECONDS` of `history`, oldest first."""
    if not history:
        return []
    last = history[-1]
    start = next(each for each in history if last.at - each.at <= RATE_SECONDS)
    earlier = {reading.name: reading for reading in start.readings}
    return [_row(reading, earlier.get(reading.name), last.at - start.at) for reading in last.readings]


def _row(reading: Reading, earlier: Reading | None, seconds: float) -> Row:
    gained = reading.delivered - earlier.delivered if earlier else 0
    return Row(
        mapping=reading.name,
        state=reading.state,
        rate=f"{gained / seconds if seconds else 0:.1f}/s",
        in_flight=str(reading.in_flight),
        delivered=str(reading.delivered),
        failed=str(reading.failed),
        came_back=str(reading.came_back),
        retries=str(reading.retries),
        lag="-" if reading.lag_seconds is None else f"{reading.lag_seconds:.1f} s",
        reason="" if reading.state == HEALTHY else reading.reason,
    )


def line(row: Row, elapsed: float) -> str:
    """A row as one plain line."""
    why = f" ({row.reason})" if row.reason else ""
    return (
        f"{elapsed:4.0f} s  {row.mapping:<14} {row.state}{why}, {row.rate}, {row.in_flight} in flight, "
        f"{row.delivered} delivered, {row.failed} failed, {row.came_back} came back, "
        f"{row.retries} retries, lag {row.lag}"
    )


def table(shown: Sequence[Row], caption: str) -> Group:
    """The live table, with what goes on below it."""
    result = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for heading in HEADINGS:
        result.add_column(heading, justify="left" if heading in {"mapping", "state"} else "right", no_wrap=True)
    for row in shown:
        colour = "green" if row.state == HEALTHY else "yellow"
        result.add_row(Text(row.mapping, "bold"), Text(row.state, colour), *row.cells[2:])
    reasons = [Text(f"{row.mapping}: {row.reason}", "yellow") for row in shown if row.reason]
    return Group(result, *reasons, Text(""), Text(caption, "dim"))


class Screen(Protocol):
    """Where the demo shows itself."""

    def say(self, text: str, style: str = "") -> None:
        """A lasting line."""

    def show(self, history: Sequence[Snapshot], caption: str) -> None:
        """How things stand."""

    def settle(self) -> None:
        """Nothing more will be shown; what stands there stays."""


class LiveScreen:
    """A table that is painted over in place; lasting lines go above it until it settles, below it afterwards."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)

    def show(self, history: Sequence[Snapshot], caption: str) -> None:
        self._live.start()
        self._live.update(table(rows(history), caption), refresh=True)

    def settle(self) -> None:
        self._live.stop()


class PlainScreen:
    """A line for each mapping every `LINES_EVERY` seconds, without colours: for pipes, files and CI."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start: float | None = None
        self._shown = float("-inf")

    def say(self, text: str, style: str = "") -> None:  # noqa: ARG002 - a pipe has no colours
        self._print(text)

    def show(self, history: Sequence[Snapshot], caption: str) -> None:  # noqa: ARG002 - the lines say their own time
        if not history or history[-1].at - self._shown < LINES_EVERY:
            return
        now = self._shown = history[-1].at
        self._start = now if self._start is None else self._start
        for row in rows(history):
            self._print(line(row, now - self._start))

    def settle(self) -> None:
        """Lines stay by themselves."""

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)


def screen(console: Console) -> Screen:
    """The screen that suits where `console` writes to."""
    return LiveScreen(console) if console.is_terminal else PlainScreen(console)
