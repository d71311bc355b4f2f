"""Knows the chart's README: what introduces it, then a table of the values for each section."""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from helm.generate.values import Value

#: Longer defaults are left to values.yaml.
_LONGEST = 100
_HEAD = "| value | default | what it is |\n|---|---|---|\n"


def printed(introduction: str, values: Iterable[Value]) -> str:
    """The README as it is committed."""
    flat = (it for value in values for it in value.all())
    sections = [_section(title, tuple(inside)) for title, inside in groupby(flat, key=lambda it: it.section)]
    return introduction.rstrip("\n") + "\n\n## Values\n\n" + "\n".join(sections)


def _section(title: str, values: tuple[Value, ...]) -> str:
    return f"### {title}\n\n{_HEAD}" + "".join(_row(it) for it in values if it.description)


def _row(value: Value) -> str:
    default = "" if value.children else _default(value.default)
    return f"| `{value.name}` | {default} | {_cell(value.description)} |\n"


def _default(default: Any) -> str:
    text = json.dumps(default, ensure_ascii=False)
    return f"`{text}`" if len(text) <= _LONGEST else "see `values.yaml`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
