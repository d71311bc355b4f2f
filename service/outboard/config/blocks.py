"""Knows the top level of the files: which blocks there are, how files are merged, and where each value stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from outboard.config.documents import Document
from outboard.config.models import Configuration
from outboard.config.problems import Broken, Path, Problem, dotted, unknown_key
from outboard.config.resolving import MAPPING_FIELDS
from outboard.config.sentences import homes, names_at

MAPPINGS = "EventSourceMappings"
DEFAULTS = "Defaults"
#: Blocks beside the mappings that the models know.
BLOCKS = frozenset(names_at(Configuration, ())) - {MAPPINGS}
_CUT_OFF = ("NextToken", "NextMarker")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file something is written."""

    document: Document
    path: Path

    def __str__(self) -> str:
        return f"{self.document.file}:{self.document.line_of(self.path)}"

    def inside(self, *steps: str | int) -> "Place":
        """A place further in."""
        return Place(self.document, (*self.path, *steps))

    def problem(self, message: str, *, mapping: str | None = None, name: str | None = None) -> Problem:
        return Problem(self.document.file, self.document.line_of(self.path), mapping, name, message)


class Blocks:
    """The top level of all files together, each block with its place.

    Attributes:
        problems: what is wrong with the top level; any of them makes the whole configuration unusable.
        places: where each block stands; `values`: what it says.
        entries: the mappings of all files, each with its place.
        repeated: keys given twice inside a mapping, which are that mapping's problem.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places: dict[str, Place] = {}
        self.values: dict[str, Any] = {}
        self.entries: list[tuple[Place, Any]] = []
        self.repeated: list[tuple[Place, int, str]] = []

    def add(self, document: Document) -> None:
        if not isinstance(document.value, dict) or not document.value:
            wrong = (
                "holds nothing" if document.value in (None, {}) else "does not hold a block of fields at its top level"
            )
            remedy = f"write {MAPPINGS}: and the list of mappings below it"
            self.problems.append(Problem(document.file, document.line_of(()), None, None, f"{wrong}; {remedy}"))
            return
        for path, line, message in document.repeated:
            if path[:1] == (MAPPINGS,) and len(path) > 2:
                self.repeated.append((Place(document, path), line, message))
            else:
                self.problems.append(Problem(document.file, line, None, dotted(path), message))
        for key, value in document.value.items():
            self._block(key, value, Place(document, (key,)))

    def _block(self, key: str, value: Any, place: Place) -> None:
        if key == MAPPINGS:
            self._mappings(value, place)
        elif key in _CUT_OFF:
            if value is not None:
                remedy = "save it again without --max-items and --no-paginate"
                self.problems.append(place.problem(f"says that the saved list is not complete; {remedy}", name=key))
        elif key not in BLOCKS | {DEFAULTS}:
            self.problems.append(place.problem(self._unknown(key), name=key))
        elif key in self.places:
            first = self.places[key]
            self.problems.append(place.problem(f"is given in two files, first at {first}; keep one", name=key))
        else:
            self.places[key] = place
            if value is not None:  # a block of which every line is commented out
                self.values[key] = value

    def _unknown(self, key: str) -> str:
        if key in MAPPING_FIELDS:
            return f"is a field of a mapping; put it into an entry of {MAPPINGS}"
        blocks = [it for it in homes(Configuration, key) if it != MAPPINGS]
        return unknown_key(key, BLOCKS | {MAPPINGS, DEFAULTS}, blocks)

    def _mappings(self, value: Any, place: Place) -> None:
        if isinstance(value, list):
            self.entries += [(Place(place.document, (MAPPINGS, index)), it) for index, it in enumerate(value)]
        elif value is not None:
            self.problems.append(place.problem("must be a list; begin each mapping with '- '", name=MAPPINGS))

    def complain(self, broken: Iterable[Broken]) -> None:
        for it in broken:
            place = self.places[str(it.path[0])]
            self.problems.append(Place(place.document, it.path).problem(it.message, name=dotted(it.path)))
