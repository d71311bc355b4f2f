"""Knows values.schema.json, draft 07: the values' types, what their comments add, and Outboard's own configuration."""

import json
from collections.abc import Iterable
from typing import Any

from helm.generate.values import Value

_REFERENCE = "#/definitions/"
_PREFIX = "configuration."
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 50, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
_SECONDS = {"type": "integer", "minimum": 1}

#: What comments mean by `like`.
_SHARED: dict[str, Any] = {
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
    own, definitions = _embedded(configuration)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the Outboard chart",
        **_object(values, {}, {**_SHARED, "configuration": own}),
        "definitions": definitions,
    }


def printed(values: Iterable[Value], configuration: dict[str, Any]) -> str:
    """The schema as it is committed."""
    return json.dumps(schema(values, configuration), indent=2) + "\n"


def _object(values: Iterable[Value], said: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    values = tuple(values)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [it.key for it in values if _needed(it)],
        "properties": {it.key: _of(it, shared) for it in values},
    } | said


def _of(value: Value, shared: dict[str, Any]) -> dict[str, Any]:
    said = {key: _spelled_out(it, shared) for key, it in value.schema.items() if key not in {"optional", "like"}}
    described = {"description": value.description} if value.description else {}
    if value.children:
        return described | _object(value.children, said, shared)
    kind = {} if value.default is None else {"type": _TYPES[type(value.default)]}
    return shared.get(value.schema.get("like", ""), {}) | kind | said | described | {"default": value.default}


def _needed(value: Value) -> bool:
    """Whether the templates need it, so that `null`, by which Helm removes a value, is refused."""
    if value.schema.get("optional"):
        return False
    return bool(value.children) or value.key == "config" or value.default not in (None, "", [], {})


def _spelled_out(said: Any, shared: dict[str, Any]) -> Any:
    """What a comment says, with the name of a shared schema made that schema."""
    return shared[said["like"]] if isinstance(said, dict) and "like" in said else said


def _embedded(configuration: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration's schema, and its definitions under names of their own.

    Helm prints a line for each `allOf` and `anyOf` around what is wrong. They are there for a field's own description
    and for blocks of which every line is commented out: the one is left out, the other a type of the block.
    """
    blocks = {key: value for key, value in configuration.items() if key not in {"$schema", "title", "definitions"}}
    own = _plain(blocks)
    definitions = {_PREFIX + name: _plain(part) for name, part in configuration["definitions"].items()}
    for block in own["properties"].values():
        if block.pop("or null", False):
            definitions[block["$ref"].removeprefix(_REFERENCE)]["type"] = ["object", "null"]
    return own, definitions


def _plain(node: Any) -> Any:
    match node:
        case {"anyOf": [block, {"type": "null"}]}:
            return {**_plain(block), "or null": True}
        case {"allOf": [{"$ref": _} as reference]}:
            return _plain(reference)
        case {"$ref": name}:
            return {"$ref": _REFERENCE + _PREFIX + name.removeprefix(_REFERENCE)}
        case dict():
            return {key: _plain(value) for key, value in node.items()}
        case list():
            return [_plain(it) for it in node]
        case _:
            return node
