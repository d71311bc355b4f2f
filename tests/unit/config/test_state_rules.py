import pytest

from outboard.config.assembling import parse
from outboard.config.models import State
from outboard.config.state_rules import broken_state_rules, why_unkept
from tests.unit.config.snippets import STREAM, mapping

CLICKS = {"EventSourceArn": STREAM, "StartingPosition": "LATEST"}


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ({}, []),
        ({"Path": "outboard.db"}, []),
        ({"Type": "dynamodb", "TableName": "outboard"}, []),
        ({"Type": "memory", "Path": "outboard.db", "TableName": "outboard"}, ["Path", "TableName"]),
        ({"TableName": "outboard"}, ["TableName"]),
    ],
)
def test_a_field_is_for_one_type_of_state(state, fields):
    assert [it.path for it in broken_state_rules(state)] == [("State", field) for field in fields]


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_a_file_and_memory_keep_positions(kind):
    assert why_unkept(mapping(**CLICKS), State(Type=kind)) is None


def test_a_table_keeps_none_yet_which_is_nothing_to_a_queue():
    table = State(Type="dynamodb")

    assert why_unkept(mapping(), table) is None
    assert why_unkept(mapping(**CLICKS), table) is not None


def test_a_stream_without_a_place_for_its_positions_keeps_no_queue_from_running():
    loaded = parse(
        {
            "config.yaml": f"""
State: {{Type: dynamodb}}
EventSourceMappings:
  - {{Name: orders, EventSourceArn: "arn:aws:sqs:eu-west-1:123456789012:orders", FunctionName: process}}
  - {{Name: clicks, EventSourceArn: "{STREAM}", FunctionName: count, StartingPosition: LATEST}}
"""
        }
    )

    assert loaded.configuration is not None
    assert [it.name for it in loaded.configuration.event_source_mappings] == ["orders"]
    assert [(it.name, it.reasons) for it in loaded.failed] == [
        (
            "clicks",
            (
                (
                    "State.Type: dynamodb is not supported yet, and this mapping keeps its positions there;"
                    " set Type: sqlite"
                ),
            ),
        )
    ]
    assert not loaded.fatal
