"""Knows what a function's answer says about each record of its batch: the rules of ReportBatchItemFailures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from outboard.core.records import Identifier, Record


@dataclass(frozen=True, slots=True)
class AllDelivered:
    """Every record of the batch was processed."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The function reported records as failed; `indices` are their positions in the batch, ascending, never empty."""

    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Invalid:
    """The answer cannot be understood, so the whole batch counts as failed; `reason` is a sentence for the user."""

    reason: str


Verdict = AllDelivered | Failed | Invalid

#: What functions answer nearly always, as their runtimes spell it; found without parsing.
_USUAL_SUCCESSES = frozenset((b"", b"null", b'{"batchItemFailures":[]}', b'{"batchItemFailures": []}', b"{}", b'""'))

#: An identifier longer than this is cut in a reason.
_SHOWN = 80


def judge(body: bytes, records: Sequence[Record]) -> Verdict:
    """What `body`, the answer of a function with ReportBatchItemFailures, says about `records`, the batch it was sent.

    null, "", an empty body, {}, [], and an empty, null or absent list are success. An identifier that two records share
    fails both. Anything that is neither success nor a list of known identifiers is `Invalid`: no record may be taken
    for processed because the function misspelt which one was not.
    """
    if body in _USUAL_SUCCESSES:
        return AllDelivered()
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _invalid(f"the function's answer is not JSON ({error.msg} at character {error.pos})", records)
    match answer:
        case None | "" | []:
            return AllDelivered()
        case dict():
            return _object(answer, records)
        case _:
            return _invalid(f"the function answered with {_kind(answer)} instead of an object", records)


def _object(answer: Mapping[str, object], records: Sequence[Record]) -> Verdict:
    if "batchItemFailures" not in answer:
        return _without_list(answer, records)
    match answer["batchItemFailures"]:
        case None | []:
            return AllDelivered()
        case list(entries):
            return _listed(entries, records)
        case other:
            return _invalid(f"batchItemFailures in the function's answer is {_kind(other)} instead of a list", records)


def _without_list(answer: Mapping[str, object], records: Sequence[Record]) -> Verdict:
    """Such an object reports nothing as failed (`{"statusCode": 200}`), unless a key looks like the list misspelt.

    Only the exact spelling is read, as on AWS; what stands under another one must not count as processed.
    """
    for key in answer:
        letters = "".join(filter(str.isalpha, key)).lower()
        if "itemfail" in letters or "itemidentifier" in letters:
            return _invalid(f"the function's answer has {_shown(key)} where only batchItemFailures is read", records)
    return AllDelivered()


def _listed(entries: Sequence[object], records: Sequence[Record]) -> Verdict:
    positions: dict[Identifier, list[int]] = {}
    for index, record in enumerate(records):
        positions.setdefault(record.identifier, []).append(index)
    failed: set[int] = set()
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or "itemIdentifier" not in entry:
            wrong = "has no itemIdentifier" if isinstance(entry, dict) else f"is {_kind(entry)} instead of an object"
            return _invalid(f"batchItemFailures[{number}] in the function's answer {wrong}", records)
        identifier = _identifier(entry["itemIdentifier"])
        found = positions.get(identifier) if identifier is not None else None
        if found is None:
            wrong = _what_is_wrong(entry["itemIdentifier"], records)
            return _invalid(f"batchItemFailures[{number}].itemIdentifier in the function's answer {wrong}", records)
        failed.update(found)
    return Failed(tuple(sorted(failed)))


def _identifier(value: object) -> Identifier | None:
    """The record identifier that a JSON value spells, None if it can be none. 15.0 and true are no offsets."""
    match value:
        case str():
            return value
        case {"partition": str(partition), "offset": int(offset)} if not isinstance(offset, bool):
            return partition, offset
        case _:
            return None


def _what_is_wrong(value: object, records: Sequence[Record]) -> str:
    if value is None:
        return "is null"
    if value == "":
        return "is empty"
    if _wants_objects(records) and not isinstance(value, dict):
        return f"is {_kind(value)} instead of an object"
    if not _wants_objects(records) and not isinstance(value, str):
        return f"is {_kind(value)} instead of a string"
    return f"names no record of the batch: {_shown(value)}"


def _wants_objects(records: Sequence[Record]) -> bool:
    return bool(records) and isinstance(records[0].identifier, tuple)


def _invalid(wrong: str, records: Sequence[Record]) -> Invalid:
    example = '{"partition": "topic-0", "offset": 15}' if _wants_objects(records) else '"<id of a failed record>"'
    return Invalid(f'{wrong}; expected {{"batchItemFailures": [{{"itemIdentifier": {example}}}]}}')


def _kind(value: object) -> str:
    """What a parsed JSON value is, in JSON's words; its content is the user's data and is not shown."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"


def _shown(value: object) -> str:
    """`value` as one line of ASCII JSON of a bounded length."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
