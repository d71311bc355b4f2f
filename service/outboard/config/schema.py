"""Knows the configuration's JSON Schema, draft 07, made of the models; `python -m outboard.config.schema` prints it."""

import json
import sys
from typing import Any

from outboard.config.models import Configuration
from outboard.config.resolving import IDENTITY
from outboard.config.support import IGNORED_OUTPUT

_REFERENCE = "#/definitions/{model}"
#: Under these keywords, an object's keys are names of ours and no keywords.
_NAMED = frozenset({"properties", "$defs"})


def schema() -> dict[str, Any]:
    """What editors and Helm check a configuration against: names, types and ranges, not the rules between fields."""
    made = _draft_07(Configuration.model_json_schema(ref_template=_REFERENCE))
    definitions = made.pop("$defs")
    properties = made["properties"]
    mapping = definitions["EventSourceMapping"]
    mapping["properties"] |= _output()
    mapping["anyOf"] = [{"required": [name]} for name in sorted(IDENTITY)]
    del mapping["required"]  # whatever is missing may come from Defaults
    common = {key: value for key, value in mapping["properties"].items() if key not in IDENTITY}
    definitions["Defaults"] = {"type": "object", "additionalProperties": False, "properties": common}
    properties["Defaults"] = {
        "description": "Fields of every mapping whose source has them and that does not say otherwise.",
        "allOf": [{"$ref": _REFERENCE.format(model="Defaults")}],
    }
    for name in properties.keys() - {"Installation", "EventSourceMappings"}:
        # A block of which every line is commented out is null.
        properties[name] = {"anyOf": [properties[name], {"type": "null"}]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Outboard's configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "definitions": dict(sorted(definitions.items())),
    }


def printed() -> str:
    """The schema as it is committed."""
    return json.dumps(schema(), indent=2) + "\n"


def _output() -> dict[str, Any]:
    ignored: dict[str, Any] = {
        name: {"description": "AWS prints it; it is ignored."} for name in sorted(IGNORED_OUTPUT)
    }
    return ignored | {
        "FunctionArn": {"type": "string", "description": "AWS prints it; it serves as FunctionName."},
        "State": {"type": "string", "description": "AWS prints it; Disabled serves as Enabled: false."},
    }


def _draft_07(node: Any, *, names: bool = False) -> Any:
    """The same without what draft 07 lacks or ignores, and without null for fields that may be left out."""
    if isinstance(node, list):
        return [_draft_07(it) for it in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {key: _draft_07(value) for key, value in node.items()}
    result = {key: _draft_07(value, names=key in _NAMED) for key, value in node.items() if key != "title"}
    if isinstance(result.get("default", {}), dict | list | None):
        result.pop("default", None)
    choices = [it for it in result.pop("anyOf", []) if it != {"type": "null"}]
    if len(choices) == 1:
        result |= choices[0]
    elif choices:
        result["anyOf"] = choices
    if "$ref" in result and len(result) > 1:  # draft 07 ignores what stands beside a reference
        result["allOf"] = [{"$ref": result.pop("$ref")}]
    return result


if __name__ == "__main__":
    sys.stdout.write(printed())
