"""Knows how values.yaml is commented: a description, what the schema adds to the default's type, and sections."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

_SECTION = "# @section "
_DESCRIPTION = "# -- "
_SCHEMA = "# @schema "


class CommentError(Exception):
    """A value's comment is missing or cannot be read; the text names the value."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart.

    Attributes:
        path: its keys, from the top.
        default: as it is in values.yaml.
        schema: what its comment adds to the schema.
        section: the heading that it stands under.
        children: the values inside, if they are described one by one; else whatever is inside is the user's.
    """

    path: tuple[str, ...]
    default: Any
    description: str
    schema: dict[str, Any]
    section: str
    children: tuple["Value", ...]

    @property
    def key(self) -> str:
        return self.path[-1]

    @property
    def name(self) -> str:
        """As one writes it after `--set`."""
        return ".".join(self.path)

    def all(self) -> Iterator["Value"]:
        """Itself and all inside, in the file's order."""
        yield self
        for child in self.children:
            yield from child.all()


@dataclass(frozen=True, slots=True)
class _Comment:
    description: str
    schema: dict[str, Any]


def read(text: str) -> tuple[Value, ...]:
    """The values of a values.yaml. Raises CommentError."""
    return _Reader(text).values()


class _Reader:
    """Walks the nodes, which know their lines, beside the lines, which hold the comments."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._root = yaml.compose(text, Loader=yaml.SafeLoader)
        self._defaults = yaml.safe_load(text)

    def values(self) -> tuple[Value, ...]:
        return self._inside(self._root, self._defaults, ())

    def _inside(self, node: yaml.MappingNode, defaults: dict[str, Any], path: tuple[str, ...]) -> tuple[Value, ...]:
        return tuple(self._value(key, value, defaults[key.value], (*path, key.value)) for key, value in node.value)

    def _value(self, key: yaml.ScalarNode, node: yaml.Node, default: Any, path: tuple[str, ...]) -> Value:
        comment = self._comment(key.start_mark.line, path)
        children = self._inside(node, default, path) if self._has_comments(node) else ()
        if not comment.description and not children:
            raise CommentError(f"{'.'.join(path)} has no description; write `# -- ...` above it")
        section = self._section(key.start_mark.line)
        return Value(path, default, comment.description, comment.schema, section, children)

    def _has_comments(self, node: yaml.Node) -> bool:
        """Whether anything inside is described on its own."""
        return isinstance(node, yaml.MappingNode) and any(
            self._above(key.start_mark.line) or self._has_comments(value) for key, value in node.value
        )

    def _above(self, line: int) -> list[str]:
        """The comment right above a line, without its indentation."""
        found: list[str] = []
        while line > 0 and (text := self._lines[line - 1].strip()).startswith("#"):
            found.append(text)
            line -= 1
        return found[::-1]

    def _comment(self, line: int, path: tuple[str, ...]) -> _Comment:
        words: list[str] = []
        schema: dict[str, Any] = {}
        for text in self._above(line):
            if text.startswith(_SCHEMA):
                schema = yaml.safe_load(text.removeprefix(_SCHEMA))
            elif text.startswith(_DESCRIPTION):
                words = [text.removeprefix(_DESCRIPTION)]
            elif words and not schema:
                words.append(text.removeprefix("#").strip())
            else:
                raise CommentError(f"the comment of {'.'.join(path)} does not begin with `# -- `: {text}")
        return _Comment(" ".join(words), schema)

    def _section(self, line: int) -> str:
        before = [it for it in self._lines[:line] if it.startswith(_SECTION)]
        return before[-1].removeprefix(_SECTION) if before else ""
