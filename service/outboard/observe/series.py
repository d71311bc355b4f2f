"""Knows how one series is counted and written out: a number behind a line's beginning that never changes.

Hundreds of mappings make tens of thousands of series. prometheus_client formats every label of each of them anew at
every scrape, which takes a quarter of a second of the event loop at two hundred mappings; here it is done once.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import utils

#: How a number is written; the library's own, so that both ways of exposing a series agree.
go_float: Callable[[float], str] = utils.floatToGoString

#: What follows the metric's name, the labels added to those of the child, and the value.
Sample = tuple[str, dict[str, str], float]


def line_start(name: str, labels: Mapping[str, str]) -> str:
    """What a sample's line begins with, labels in the order of their names."""
    written = ",".join([f'{key}="{_escaped(labels[key])}"' for key in sorted(labels)])
    return f"{name}{{{written}}} "


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _line(start: str, value: float) -> str:
    # Most series of most mappings stand at 0.
    return f"{start}{go_float(value)}\n" if value else f"{start}0.0\n"


class Counter:
    """A number that only grows."""

    __slots__ = ("_start", "labels", "value")

    def __init__(self, name: str, labels: dict[str, str]) -> None:
        self.labels = labels
        self.value = 0.0
        self._start = line_start(name, labels)

    def inc(self, amount: float = 1) -> None:
        self.value += amount

    def samples(self) -> Iterator[Sample]:
        yield "", self.labels, self.value

    def write(self, lines: list[str]) -> None:
        lines.append(_line(self._start, self.value))


class Gauge:
    """A number that goes up and down, or that is worked out when somebody looks."""

    __slots__ = ("_start", "compute", "labels", "value")

    def __init__(self, name: str, labels: dict[str, str]) -> None:
        self.labels = labels
        self.value = 0.0
        self.compute: Callable[[], float] | None = None
        self._start = line_start(name, labels)

    def set(self, value: float) -> None:
        self.value = value

    def read(self) -> float:
        return self.value if self.compute is None else self.compute()

    def samples(self) -> Iterator[Sample]:
        yield "", self.labels, self.read()

    def write(self, lines: list[str]) -> None:
        lines.append(_line(self._start, self.read()))


class Histogram:
    """How many observations fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "_buckets", "_starts", "_text", "_written", "count", "labels", "total")

    def __init__(self, name: str, labels: dict[str, str], bounds: Sequence[float]) -> None:
        self.labels = labels
        self.count = 0
        self.total = 0.0
        self._bounds = tuple(bounds)
        self._buckets = [0] * (len(bounds) + 1)
        self._starts = [line_start(f"{name}{suffix}", {**labels, **more}) for suffix, more, _ in self._parts()]
        self._text = ""
        self._written = -1

    def observe(self, value: float) -> None:
        self._buckets[bisect_left(self._bounds, value)] += 1
        self.count += 1
        self.total += value

    def _parts(self) -> Iterator[Sample]:
        for bound, reached in zip((*self._bounds, float("inf")), accumulate(self._buckets), strict=True):
            yield "_bucket", {"le": go_float(bound)}, reached
        yield "_count", {}, self.count
        yield "_sum", {}, self.total

    def samples(self) -> Iterator[Sample]:
        for suffix, more, value in self._parts():
            yield suffix, {**self.labels, **more}, value

    def write(self, lines: list[str]) -> None:
        if self._written != self.count:
            values = (*accumulate(self._buckets), self.count, self.total)
            self._text = "".join([_line(start, value) for start, value in zip(self._starts, values, strict=True)])
            self._written = self.count
        lines.append(self._text)


Series = Counter | Gauge | Histogram
