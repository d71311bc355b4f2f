"""Knows how a problem with the configuration reads: where it is, what is wrong, and the remedy."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

_MOST_LISTED = 12

#: How alike two names must be for the one to be meant by the other, of 1.
_CLOSE = 0.7

#: Where a value stands inside a document or a mapping: keys, and positions in lists.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct. `line` counts from 1; None where the file as a whole is meant."""

    file: str
    line: int | None
    mapping: str | None
    field: str | None
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        mapping = f"mapping {self.mapping}: " if self.mapping else ""
        return f"{place}: {mapping}{self.what}"

    @property
    def what(self) -> str:
        """The problem without its place and mapping."""
        return f"{self.field}: {self.message}" if self.field else self.message


@dataclass(frozen=True, slots=True)
class Broken:
    """A problem before it is known in which file it stands: `path` starts at the mapping or the block."""

    path: Path
    message: str


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By file and line, each once; what concerns a whole file comes first."""
    return tuple(sorted(set(problems), key=lambda it: (it.file, it.line or 0, it.field or "", it.message)))


def dotted(path: Path) -> str:
    """`("Filters", 0, "Pattern")` as `Filters[0].Pattern`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant, whatever its case; None if nothing is close."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=_CLOSE)
    return by_lower[found[0]] if found else None


def unknown_key(name: str, known: Iterable[str], homes: Iterable[str] = ()) -> str:
    """The sentence about a key that does not exist there. `homes`: the blocks in which there is one of that name."""
    candidates = sorted(known)
    if blocks := " or ".join(homes):
        return f"is not a field of its own; put it into {blocks}"
    guess = nearest(name, candidates)
    if guess is not None:
        return f"is not a known field; did you mean {guess}?"
    if len(candidates) > _MOST_LISTED:
        return "is not a known field; correct its name, or remove it"
    return f"is not a known field; known here: {', '.join(candidates)}"


def shown(value: object) -> str:
    """A value as the user would recognise it, short enough for a sentence."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'" if len(value) <= 80 else f"'{value[:77]}...'"
        case list() | tuple():
            return "a list"
        case dict():
            return "a block of fields"
        case _:
            return str(value)
