import json
from pathlib import Path

import jsonschema
import pytest

from outboard.config.schema import printed, schema
from tests.unit.config.snippets import written

COMMITTED = Path(__file__).parents[3] / "configs" / "outboard.schema.json"


def accepts(value):
    return jsonschema.Draft7Validator(schema()).is_valid(value)


def test_the_committed_schema_is_current():
    """If not: `python -m outboard.config.schema > configs/outboard.schema.json`."""
    assert COMMITTED.read_text() == printed()


def test_the_schema_is_one_of_draft_07():
    jsonschema.Draft7Validator.check_schema(schema())

    text = printed()
    assert [it for it in ("$defs", "prefixItems", "unevaluated", "dependentRequired") if it in text] == []


def siblings_of_references(node):
    if isinstance(node, dict):
        if "$ref" in node and len(node) > 1:
            yield node
        for inside in node.values():
            yield from siblings_of_references(inside)
    elif isinstance(node, list):
        for inside in node:
            yield from siblings_of_references(inside)


def test_nothing_stands_beside_a_reference_where_draft_07_would_ignore_it():
    assert list(siblings_of_references(schema())) == []


def test_every_field_has_a_description():
    undescribed = [
        (block, name)
        for block, definition in schema()["definitions"].items()
        for name, value in definition["properties"].items()
        if not value.get("description")
    ]

    assert undescribed == []


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ({"EventSourceMappings": [written()]}, True),
        ({"EventSourceMappings": [written(BatchSize=10_001)]}, False),
        ({"EventSourceMappings": [written(BatchSize=None)]}, False),
        ({"EventSourceMappings": [written(Foo=1)]}, False),
        ({"EventSourceMappings": [written(ScalingConfig={"MaximumConcurrency": 1})]}, False),
        ({"EventSourceMappings": [written(State="Disabled", LastModified=1.5)]}, True),
        ({"EventSourceMappings": [{"EventSourceArn": "arn:x"}]}, False),
        ({"EventSourceMappings": [{"UUID": "x"}], "Defaults": {"FunctionName": "f"}}, True),
        ({"Defaults": {"Name": "all"}}, False),
        ({"Defaults": None, "Aws": None}, True),
        ({"Limits": {"MaximumBufferedBytes": 1}}, False),
        ({"Foo": 1}, False),
    ],
)
def test_the_schema_tells_right_from_wrong(value, valid):
    assert accepts(value) is valid


def test_the_schema_is_json():
    assert json.loads(printed()) == schema()
