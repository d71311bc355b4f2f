"""Knows values.schema.json, draft 07: the values' types, what their comments add, and Outboard's own configuration."""

import json
from collections.abc import Iterable
from typing import Any

from helm.generate.values import Value

_REFERENCE = "#/definitions/"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 50, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
_SECONDS = {"type": "integer", "minimum": 1}

#: What more than one comment refers to.
_DEFINITIONS: dict[str, Any] = {
    "authenticationRef": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "kind": {"enum": ["TriggerAuthentication", "ClusterTriggerAuthentication"]},
        },
    },
    "probe": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "initialDelaySeconds": {"type": "integer", "minimum": 0},
            "periodSeconds": _SECONDS,
            "timeoutSeconds": _SECONDS,
            "successThreshold": _SECONDS,
            "failureThreshold": _SECONDS,
        },
    },
    "secret": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "existingSecret"],
        "properties": {
            "name": _NAME,
            "existingSecret": {"type": "string", "minLength": 1},
            "items": {"type": "array", "items": {"type": "object", "required": ["key", "path"]}},
            "optional": {"type": "boolean"},
        },
    },
}


def schema(values: Iterable[Value], configuration: dict[str, Any]) -> dict[str, Any]:
    """What Helm checks the values against; `configuration` is the schema of Outboard's own."""
    own = _moved({key: value for key, value in configuration.items() if key not in {"$schema", "definitions"}})
    parts = {f"configuration.{name}": _moved(part) for name, part in configuration["definitions"].items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the Outboard chart",
        **_object(values, {}),
        "definitions": dict(sorted({**_DEFINITIONS, "configuration": own, **parts}.items())),
    }


def printed(values: Iterable[Value], configuration: dict[str, Any]) -> str:
    """The schema as it is committed."""
    return json.dumps(schema(values, configuration), indent=2) + "\n"


def _object(values: Iterable[Value], said: dict[str, Any]) -> dict[str, Any]:
    values = tuple(values)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [it.key for it in values if _needed(it)],
        "properties": {it.key: _of(it) for it in values},
    } | said


def _of(value: Value) -> dict[str, Any]:
    said = {key: it for key, it in value.schema.items() if key != "optional"}
    described = {"description": value.description} if value.description else {}
    if value.children:
        return described | _object(value.children, said)
    if "$ref" in said:  # draft 07 ignores what stands beside a reference
        return described | {"allOf": [_referring(said)]}
    kind = {} if value.default is None else {"type": _TYPES[type(value.default)]}
    return described | kind | {"default": value.default} | _referring(said)


def _needed(value: Value) -> bool:
    """Whether the templates need it, so that `null`, by which Helm removes a value, is refused."""
    if value.schema.get("optional"):
        return False
    return bool(value.children) or value.key == "config" or value.default not in (None, "", [], {})


def _referring(node: Any) -> Any:
    """The same with references to definitions by their names made references of JSON Schema."""
    return _replaced(node, _REFERENCE)


def _moved(node: Any) -> Any:
    """The same with the configuration's definitions where they are in the chart's schema."""
    return _replaced(node, f"{_REFERENCE}configuration.", gone=_REFERENCE)


def _replaced(node: Any, prefix: str, gone: str = "") -> Any:
    if isinstance(node, list):
        return [_replaced(it, prefix, gone) for it in node]
    if not isinstance(node, dict):
        return node
    return {
        key: prefix + value.removeprefix(gone) if key == "$ref" else _replaced(value, prefix, gone)
        for key, value in node.items()
    }
