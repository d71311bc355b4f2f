"""Knows how the text of a YAML or JSON file becomes plain values and the line of each; knows nothing of their meaning.

Scalars follow YAML 1.2's core schema: only `true` and `false` are booleans (`on`, `yes`, `NO` are text), a date is
text, `010` is ten. Nothing is interpolated.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from outboard.config.problems import Path

#: Deeper than anything a configuration has; it keeps a hostile file from exhausting the stack.
_DEEPEST = 60

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
#: Longer than any number a field takes; Python refuses to read integers of thousands of digits.
_LONGEST_NUMBER = 40
_TAG = "tag:yaml.org,2002:"
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UnreadableError(Exception):
    """The text is not YAML or JSON; `line` counts from 1, None if unknown."""

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(slots=True)
class Document:
    """The values of one file. `lines` holds the line of every key and list entry; `repeated` what is there twice."""

    file: str
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    repeated: list[tuple[Path, int, str]] = field(default_factory=list)

    def line_of(self, path: Path) -> int | None:
        """The line of what is at `path`, else of the nearest thing around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None

    def put(self, into: dict[str, Any], path: Path, line: int) -> bool:
        """Note a key's line; False, and a complaint, if its block has that key already."""
        key = str(path[-1])
        if key not in into:
            self.lines[path] = line
            return True
        self.repeated.append(
            (path, line, f"is given twice in one block, first on line {self.lines[path]}; remove one of the two")
        )
        return False


def read(file: str, text: str) -> Document:
    """Parse one file. Raises `UnreadableError`. A key given twice keeps its first value and is listed in `repeated`."""
    document = Document(file)
    if file.lower().endswith(".json") or _is_json(text):
        _read_json(document, text)
    else:
        _read_yaml(document, text)
    return document


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read_json(document: Document, text: str) -> None:
    if not text.strip():
        return
    try:
        json.loads(text, parse_constant=_no_such_number)
    except json.JSONDecodeError as error:
        message = f"is not valid JSON from column {error.colno} on; look for a missing comma, quote or bracket"
        raise UnreadableError(error.lineno, message) from None
    except (ValueError, RecursionError) as error:
        raise UnreadableError(None, f"is not valid JSON: {_deep(error)}; correct it") from None
    document.value = _Json(document, text).value((), next_token=None)


def _no_such_number(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _deep(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


class _Json:
    """A second pass over text that is known to be valid JSON, for the lines which the standard parser does not tell."""

    def __init__(self, document: Document, text: str) -> None:
        self._document = document
        self._tokens = self._split(text)
        self._line = 1

    def _split(self, text: str) -> Iterator[str]:
        position = 0
        for found in _JSON_TOKEN.finditer(text):
            self._line += text.count("\n", position, found.start())
            position = found.start()
            yield found.group()

    def value(self, path: Path, next_token: str | None) -> Any:
        if len(path) > _DEEPEST:
            raise UnreadableError(self._line, "is nested too deeply; no field of the configuration is so deep")
        token = next(self._tokens) if next_token is None else next_token
        self._document.lines.setdefault(path, self._line)
        match token:
            case "{":
                return self._object(path)
            case "[":
                return self._array(path)
            case _:
                return self._scalar(token)

    def _scalar(self, token: str) -> Any:
        value = json.loads(token)
        if isinstance(value, str) and any("\ud800" <= it <= "\udfff" for it in value):
            raise UnreadableError(
                self._line, "holds half of a surrogate pair, which is no text; write the character itself"
            )
        return value

    def _object(self, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while (lexeme := next(self._tokens)) != "}":
            if lexeme == ",":
                continue
            key = (*path, self._scalar(lexeme))
            fresh = self._document.put(result, key, self._line)
            next(self._tokens)  # the colon
            value = self.value(key, None)
            if fresh:
                result[str(key[-1])] = value
        return result

    def _array(self, path: Path) -> list[Any]:
        result: list[Any] = []
        while (lexeme := next(self._tokens)) != "]":
            if lexeme != ",":
                result.append(self.value((*path, len(result)), lexeme))
        return result


def _read_yaml(document: Document, text: str) -> None:
    try:
        _Yaml(document, text).read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise UnreadableError(line, f"is not valid YAML: {_explained(error, text, line)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UnreadableError(line, "is not valid YAML: it holds a control character; remove it") from None


def _explained(error: yaml.MarkedYAMLError, text: str, line: int | None) -> str:
    lines = text.split("\n")
    if line is not None and re.match(r" *\t", lines[min(line, len(lines)) - 1]):
        return "a tab indents this line; indent with spaces"
    if error.problem == "mapping values are not allowed in this context":
        return "there is a second colon on this line; put the value in quotes"
    context = f" {error.context}" if error.context else ""
    return f"{error.problem}{context}; check the indentation, the colons and the quotes here"


class _Yaml:
    """Builds values from the parser's events: unlike nodes, they do not recurse inside the C library."""

    def __init__(self, document: Document, text: str) -> None:
        self._document = document
        self._events = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, tuple[Any, dict[Path, int]]] = {}

    def read(self) -> None:
        for event in self._events:
            match event:
                case yaml.DocumentStartEvent() if self._document.lines:
                    raise UnreadableError(
                        _line(event),
                        "starts a second YAML document; put each into a file of its own and load the folder",
                    )
                case yaml.NodeEvent():
                    self._document.value = self._value((), event)
                case _:
                    pass

    def _value(self, path: Path, event: Any) -> Any:
        line = _line(event)
        if len(path) > _DEEPEST:
            raise UnreadableError(line, "is nested too deeply; no field of the configuration is so deep")
        self._document.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(path, str(event.anchor), line)
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event, line)
        elif event.tag is not None and not event.tag.startswith(_TAG):
            raise UnreadableError(
                line, f"carries the tag {event.tag}, which means nothing here; write the value itself"
            )
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(path)
        else:
            value = self._mapping(path)
        if event.anchor is not None:
            inside = {at[len(path) :]: its for at, its in self._document.lines.items() if at[: len(path)] == path}
            self._anchors[event.anchor] = (value, inside)
        return value

    def _alias(self, path: Path, anchor: str, line: int) -> Any:
        if anchor not in self._anchors:
            raise UnreadableError(line, f"uses *{anchor} before anything is named &{anchor}; define it above this line")
        value, inside = self._anchors[anchor]
        for at, its in inside.items():
            self._document.lines.setdefault((*path, *at), its)
        if len(self._document.lines) > 200_000:
            raise UnreadableError(line, "repeats aliases until they make up too many values; write fewer of them")
        return value

    def _sequence(self, path: Path) -> list[Any]:
        result: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            result.append(self._value((*path, len(result)), event))
        return result

    def _mapping(self, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise UnreadableError(line, "has a key that is not text; a key is the name of a field")
            if event.value == "<<":
                raise UnreadableError(
                    line, "uses the merge key <<, which YAML 1.2 dropped; put common fields under Defaults"
                )
            key = (*path, event.value)
            fresh = self._document.put(result, key, line)
            value = self._value(key, next(self._events))
            if fresh:
                result[event.value] = value
        return result


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _scalar(event: yaml.ScalarEvent, line: int) -> Any:
    text: str = event.value
    if event.tag is None or event.tag == "!":
        return _plain(text) if event.implicit[0] else text
    kind = event.tag.removeprefix(_TAG)
    if kind == "str":
        return text
    if kind in {"int", "float", "bool", "null"}:
        return _plain(text)
    raise UnreadableError(line, f"carries the tag {event.tag}, which means nothing here; write the value itself")


def _plain(text: str) -> Any:
    """An unquoted scalar by YAML 1.2's core schema."""
    if _NULL.fullmatch(text):
        return None
    if _BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
