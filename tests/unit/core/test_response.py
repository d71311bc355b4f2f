"""Every row of the partial-batch tables, for each kind of identifier."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.core.records import Identifier, Record
from outboard.core.response import AllDelivered, Failed, Invalid, Verdict, judge


def batch(*identifiers: Identifier) -> list[Record]:
    return [Record(identifier, b"{}") for identifier in identifiers]


MESSAGES = batch("id-0", "id-1", "id-2")
OFFSETS = batch(("t-0", 15), ("t-0", 16), ("t-1", 15))


def listing(*identifiers: object) -> bytes:
    return json.dumps({"batchItemFailures": [{"itemIdentifier": value} for value in identifiers]}).encode()


def reason(verdict: Verdict) -> str:
    assert isinstance(verdict, Invalid)
    return verdict.reason


@pytest.mark.parametrize("records", [MESSAGES, OFFSETS, []], ids=["messages", "offsets", "no records"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b" null\n",
        b'""',
        b"{}",
        b"{ }",
        b"[]",
        b" [ ] ",
        b'{"batchItemFailures":[]}',
        b'{"batchItemFailures": []}',
        b'{ "batchItemFailures" : [ ] }\r\n',
        b'{"batchItemFailures":null}',
        b'{"batchItemFailures":[],"state":{"sum":1}}',
        b'{"state":{"sum":1}}',
        b'{"statusCode":200,"body":"{\\"batchItemFailures\\": 1}"}',
    ],
)
def test_success(body: bytes, records: list[Record]) -> None:
    assert judge(body, records) == AllDelivered()


@pytest.mark.parametrize(
    ("identifiers", "indices"),
    [
        (["id-0"], (0,)),
        (["id-2", "id-0"], (0, 2)),
        (["id-1", "id-1"], (1,)),
        (["id-0", "id-1", "id-2"], (0, 1, 2)),
    ],
)
def test_listed_records_failed(identifiers: list[str], indices: tuple[int, ...]) -> None:
    assert judge(listing(*identifiers), MESSAGES) == Failed(indices)


def test_other_keys_beside_the_list_and_beside_an_identifier_are_allowed() -> None:
    body = b'{"state":{},"batchItemFailures":[{"itemIdentifier":"id-1","reason":"full"}]}'
    assert judge(body, MESSAGES) == Failed((1,))


def test_a_message_that_is_in_the_batch_twice_failed_twice() -> None:
    assert judge(listing("id-0"), batch("id-0", "id-1", "id-0")) == Failed((0, 2))


def test_sequence_numbers_are_compared_as_text_whatever_their_size() -> None:
    sequence = "49590338271490256608559692538361571095921575989136588898"
    assert judge(listing(sequence), batch("1", sequence)) == Failed((1,))


def test_kafka_records_are_named_by_objects() -> None:
    body = listing({"partition": "t-1", "offset": 15}, {"offset": 15, "partition": "t-0"})
    assert judge(body, OFFSETS) == Failed((0, 2))


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b'"foo"', "the function answered with a string instead of an object"),
        (b'" "', "the function answered with a string instead of an object"),
        (b"5", "the function answered with a number instead of an object"),
        (b"0", "the function answered with a number instead of an object"),
        (b"1.5", "the function answered with a number instead of an object"),
        (b"true", "the function answered with a boolean instead of an object"),
        (b"false", "the function answered with a boolean instead of an object"),
        (b"[1]", "the function answered with a list instead of an object"),
        (b'["id-0"]', "the function answered with a list instead of an object"),
        (b"[null]", "the function answered with a list instead of an object"),
        (b'[{"itemIdentifier":"id-0"}]', "the function answered with a list instead of an object"),
        (
            b'{"BatchItemFailures":[{"ItemIdentifier":"id-0"}]}',
            'the function\'s answer has "BatchItemFailures" where only batchItemFailures is read',
        ),
        (
            b'{"batch_item_failures":[]}',
            'the function\'s answer has "batch_item_failures" where only batchItemFailures is read',
        ),
        (
            b'{"itemIdentifier":"id-0"}',
            'the function\'s answer has "itemIdentifier" where only batchItemFailures is read',
        ),
        (b'{"batchItemFailures":{}}', "batchItemFailures in the function's answer is an object instead of a list"),
        (b'{"batchItemFailures":0}', "batchItemFailures in the function's answer is a number instead of a list"),
        (b'{"batchItemFailures":false}', "batchItemFailures in the function's answer is a boolean instead of a list"),
        (b'{"batchItemFailures":""}', "batchItemFailures in the function's answer is a string instead of a list"),
        (b'{"batchItemFailures":"id-0"}', "batchItemFailures in the function's answer is a string instead of a list"),
        (
            b'{"batchItemFailures":["id-0"]}',
            "batchItemFailures[0] in the function's answer is a string instead of an object",
        ),
        (b'{"batchItemFailures":[null]}', "batchItemFailures[0] in the function's answer is null instead of an object"),
        (b'{"batchItemFailures":[{}]}', "batchItemFailures[0] in the function's answer has no itemIdentifier"),
        (
            b'{"batchItemFailures":[{"itemIdentifier":"id-0"},{"itemId":"id-1"}]}',
            "batchItemFailures[1] in the function's answer has no itemIdentifier",
        ),
        (
            b'{"batchItemFailures":[{"itemidentifier":"id-1"}]}',
            "batchItemFailures[0] in the function's answer has no itemIdentifier",
        ),
        (listing(None), "batchItemFailures[0].itemIdentifier in the function's answer is null"),
        (listing("id-1", ""), "batchItemFailures[1].itemIdentifier in the function's answer is empty"),
        (listing(123), "batchItemFailures[0].itemIdentifier in the function's answer is a number instead of a string"),
        (
            listing(True),
            "batchItemFailures[0].itemIdentifier in the function's answer is a boolean instead of a string",
        ),
        (
            listing(["id-0"]),
            "batchItemFailures[0].itemIdentifier in the function's answer is a list instead of a string",
        ),
        (
            listing({"partition": "t-0", "offset": 15}),
            "batchItemFailures[0].itemIdentifier in the function's answer is an object instead of a string",
        ),
        (
            listing("other"),
            'batchItemFailures[0].itemIdentifier in the function\'s answer names no record of the batch: "other"',
        ),
    ],
)
def test_what_cannot_be_understood_fails_the_batch(body: bytes, wrong: str) -> None:
    expected = '{"batchItemFailures": [{"itemIdentifier": "<id of a failed record>"}]}'
    assert reason(judge(body, MESSAGES)) == f"{wrong}; expected {expected}"


@pytest.mark.parametrize("body", [b"nonsense", b'{"batchItemFailures":[', b" ", b"\xff", b"NaN", b"{}{}"])
def test_an_answer_that_is_not_json_fails_the_batch(body: bytes) -> None:
    said = reason(judge(body, MESSAGES))
    assert said.startswith("the function's answer is not JSON (")
    assert said.endswith('); expected {"batchItemFailures": [{"itemIdentifier": "<id of a failed record>"}]}')


@pytest.mark.parametrize(
    ("identifier", "wrong"),
    [
        ("t-0", "is a string instead of an object"),
        ("", "is empty"),
        (None, "is null"),
        (15, "is a number instead of an object"),
        ({}, "names no record of the batch: {}"),
        ({"partition": "t-0"}, 'names no record of the batch: {"partition": "t-0"}'),
        ({"partition": "t-0", "offset": 17}, 'names no record of the batch: {"partition": "t-0", "offset": 17}'),
        ({"partition": "t-2", "offset": 15}, 'names no record of the batch: {"partition": "t-2", "offset": 15}'),
        ({"partition": "t-0", "offset": "15"}, 'names no record of the batch: {"partition": "t-0", "offset": "15"}'),
        ({"partition": "t-0", "offset": 15.0}, 'names no record of the batch: {"partition": "t-0", "offset": 15.0}'),
        ({"partition": 0, "offset": 15}, 'names no record of the batch: {"partition": 0, "offset": 15}'),
        ({"partition": "t-0", "offset": None}, 'names no record of the batch: {"partition": "t-0", "offset": null}'),
    ],
)
def test_a_wrong_kafka_identifier_fails_the_batch(identifier: object, wrong: str) -> None:
    assert reason(judge(listing(identifier), OFFSETS)) == (
        f"batchItemFailures[0].itemIdentifier in the function's answer {wrong}; "
        'expected {"batchItemFailures": [{"itemIdentifier": {"partition": "topic-0", "offset": 15}}]}'
    )


def test_a_boolean_is_no_offset() -> None:
    body = listing({"partition": "t-0", "offset": True})
    assert isinstance(judge(body, batch(("t-0", 1))), Invalid)


def test_a_known_identifier_beside_an_unknown_one_does_not_save_the_batch() -> None:
    assert isinstance(judge(listing("id-0", "other"), MESSAGES), Invalid)


def test_a_long_identifier_is_cut_and_stays_on_one_line() -> None:
    said = reason(judge(listing("\n\u2028" + "x" * 10_000), MESSAGES))
    assert len(said) < 300
    assert said.isascii()
    assert said.isprintable()


@given(st.binary(max_size=200))
def test_no_bytes_raise(body: bytes) -> None:
    assert isinstance(judge(body, MESSAGES), AllDelivered | Failed | Invalid)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["batchItemFailures", "itemIdentifier", "partition", "offset"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_nothing_but_a_known_success_is_taken_for_success(answer: object) -> None:
    verdict = judge(json.dumps(answer).encode(), MESSAGES)
    success = answer in (None, "", {}, []) or (
        isinstance(answer, dict)
        and answer.get("batchItemFailures") in (None, [])
        and ("batchItemFailures" in answer or "itemIdentifier" not in answer)
    )
    assert (verdict == AllDelivered()) == success


@given(st.data(), st.lists(st.text(min_size=1), min_size=1, max_size=30))
def test_exactly_the_positions_of_the_listed_identifiers_fail(data: st.DataObject, identifiers: list[str]) -> None:
    listed = data.draw(st.lists(st.sampled_from(identifiers), min_size=1))
    expected = tuple(index for index, identifier in enumerate(identifiers) if identifier in listed)
    assert judge(listing(*listed), batch(*identifiers)) == Failed(expected)


@given(st.data(), st.lists(st.tuples(st.sampled_from(["t-0", "t-1"]), st.integers(0, 2**63 - 1)), min_size=1))
def test_exactly_the_positions_of_the_listed_offsets_fail(data: st.DataObject, offsets: list[tuple[str, int]]) -> None:
    listed = data.draw(st.lists(st.sampled_from(offsets), min_size=1))
    body = listing(*[{"partition": partition, "offset": offset} for partition, offset in listed])
    expected = tuple(index for index, identifier in enumerate(offsets) if identifier in listed)
    assert judge(body, batch(*offsets)) == Failed(expected)
    unknown = listing({"partition": "t-2", "offset": offsets[0][1]})
    assert isinstance(judge(unknown, batch(*offsets)), Invalid)
