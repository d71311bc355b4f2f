"""Knows the rules about State, and between it and the mappings whose positions it keeps."""

from collections.abc import Iterator, Mapping

from outboard.config.mapping import EventSourceMapping
from outboard.config.models import State
from outboard.config.problems import Broken
from outboard.config.support import STATEFUL


def broken_state_rules(state: Mapping[str, object]) -> Iterator[Broken]:
    """What is wrong with the block as written, apart from types and ranges."""
    kind = state.get("Type", "sqlite")
    for name, only in (("Path", "sqlite"), ("TableName", "dynamodb")):
        if name in state and kind != only:
            yield Broken(("State", name), f"is only for Type {only}; remove it, or set Type: {only}")


def why_unkept(mapping: EventSourceMapping, state: State) -> str | None:
    """The sentence about `State.Type` where it cannot keep the positions that the mapping needs; None where it can."""
    if mapping.source_type in STATEFUL and state.type == "dynamodb":
        return "dynamodb is not supported yet, and this mapping keeps its positions there; set Type: sqlite"
    return None
