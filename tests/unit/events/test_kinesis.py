"""Kinesis' event JSON against what AWS was recorded sending, and against json.loads for records of all shapes."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outboard.core.records import PAYLOAD_LIMIT, Envelope, Record
from outboard.events.kinesis import StreamFacts, renderer

ROLE = "arn:aws:iam::123456789012:role/outboard"
STREAM = StreamFacts("arn:aws:kinesis:eu-west-1:123456789012:stream/clicks", "eu-west-1", ROLE)
SHARD = "shardId-000000000006"
NUMBER = "49545115243490985018280067714973144582180062593244200961"


def entry(data: str = "aGVsbG8=", **fields: Any) -> dict[str, Any]:
    return {
        "SequenceNumber": NUMBER,
        "ApproximateArrivalTimestamp": 1735236331.572,
        "Data": data,
        "PartitionKey": "test_0",
        **fields,
    }


def rendered(received: Any, shard: str = SHARD) -> Record:
    return renderer(STREAM, shard)(received)


def test_a_record_is_rendered_byte_for_byte_as_aws_does() -> None:
    assert rendered(entry()).event == (
        b'{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"test_0",'
        b'"sequenceNumber":"49545115243490985018280067714973144582180062593244200961","data":"aGVsbG8=",'
        b'"approximateArrivalTimestamp":1735236331.572},"eventSource":"aws:kinesis","eventVersion":"1.0",'
        b'"eventID":"shardId-000000000006:49545115243490985018280067714973144582180062593244200961",'
        b'"eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/outboard",'
        b'"awsRegion":"eu-west-1","eventSourceARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/clicks"}'
    )


def test_a_batch_is_the_payload_that_aws_sends() -> None:
    records = [rendered(entry()), rendered(entry("d29ybGQ=", SequenceNumber="7"))]

    payload = json.loads(Envelope().payload(records))

    assert list(payload) == ["Records"]
    assert [event["kinesis"]["data"] for event in payload["Records"]] == ["aGVsbG8=", "d29ybGQ="]


@pytest.mark.parametrize(("arrival", "printed"), [(1735236331, b"1735236331.0"), (1735236331.5, b"1735236331.5")])
def test_the_time_of_arrival_is_a_float_whatever_came(arrival: float, printed: bytes) -> None:
    event = rendered(entry(ApproximateArrivalTimestamp=arrival)).event

    assert b'"approximateArrivalTimestamp":%s}' % printed in event


def test_the_record_says_what_it_takes_to_report_and_date_it() -> None:
    record = rendered(entry())

    assert (record.identifier, record.timestamp, record.key) == (NUMBER, 1735236331.572, "")


def test_what_is_encrypted_at_rest_is_rendered_as_any_other() -> None:
    """The recordings have no encryptionType."""
    assert rendered(entry(EncryptionType="KMS")).event == rendered(entry()).event


def test_each_shard_has_its_own_event_ids() -> None:
    for shard in ("shardId-000000000000", "shardId-000000000001"):
        assert json.loads(rendered(entry(), shard).event)["eventID"] == f"{shard}:{NUMBER}"


def test_rendering_leaves_the_entry_as_it_was() -> None:
    received = entry()
    rendered(received)
    assert received == entry()


def expected_event(received: dict[str, Any]) -> dict[str, Any]:
    """The event in the words of the documentation."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": received["PartitionKey"],
            "sequenceNumber": received["SequenceNumber"],
            "data": received["Data"],
            "approximateArrivalTimestamp": received["ApproximateArrivalTimestamp"],
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{SHARD}:{received['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": ROLE,
        "awsRegion": "eu-west-1",
        "eventSourceARN": STREAM.arn,
    }


def assert_exact(batch: list[tuple[bytes, dict[str, Any]]]) -> None:
    """The size is known without the payload; the payload holds the expected events, keys in AWS's order, data intact."""
    render = renderer(STREAM, SHARD)
    records = [render(received) for _, received in batch]
    envelope = Envelope()
    payload = envelope.payload(records)
    assert len(payload) == envelope.payload_size(records)
    events = json.loads(payload)["Records"]
    expected = [expected_event(received) for _, received in batch]
    assert events == expected
    assert json.dumps(events) == json.dumps(expected)
    assert [base64.b64decode(event["kinesis"]["data"], validate=True) for event in events] == [
        data for data, _ in batch
    ]


CHARACTERS = st.characters(codec="utf-8") | st.sampled_from('\x00\x01\x1f\x7f\x85\u2028\ufffe"\\/<&\U0010ffff')
ARRIVALS = st.integers(0, 4 * 10**12).map(lambda milliseconds: milliseconds / 1000)


def encoded(data: bytes, **fields: Any) -> tuple[bytes, dict[str, Any]]:
    return data, entry(base64.b64encode(data).decode(), **fields)


@st.composite
def entries(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    return encoded(
        draw(st.binary(max_size=300)),
        PartitionKey=draw(st.text(CHARACTERS, min_size=1, max_size=256)),
        SequenceNumber=str(draw(st.integers(0, 2**186))),
        ApproximateArrivalTimestamp=draw(ARRIVALS),
    )


@given(st.lists(entries(), max_size=10))
def test_records_of_all_shapes_arrive_exactly(batch: list[tuple[bytes, dict[str, Any]]]) -> None:
    assert_exact(batch)


@settings(max_examples=12, deadline=None)
@given(st.binary(min_size=1, max_size=50), st.integers(0, 2 * 1024 * 1024), st.integers(1, 3))
def test_data_of_all_sizes_arrives_exactly(pattern: bytes, size: int, count: int) -> None:
    data = (pattern * (size // len(pattern) + 1))[:size]
    assert_exact([encoded(data)] * count)


def test_a_record_of_ten_mebibytes_is_known_to_fit_into_no_payload() -> None:
    data = bytes(range(256)) * 4096 * 10
    batch = [encoded(data)]
    assert_exact(batch)
    assert Envelope().payload_size([rendered(batch[0][1])]) > PAYLOAD_LIMIT


@settings(max_examples=5, deadline=None)
@given(st.integers(2_000, 10_000))
def test_thousands_of_tiny_records_arrive_exactly(count: int) -> None:
    assert_exact([encoded(b"", SequenceNumber=str(number)) for number in range(count)])


@pytest.mark.parametrize("missing", ["SequenceNumber", "ApproximateArrivalTimestamp", "Data", "PartitionKey"])
def test_an_entry_that_lacks_something_is_none(missing: str) -> None:
    received = entry()
    del received[missing]
    with pytest.raises(KeyError, match=missing):
        rendered(received)


@pytest.mark.parametrize("name", ["SequenceNumber", "Data", "PartitionKey"])
@pytest.mark.parametrize("value", [None, 7, 1.5, True, ["a"], {"a": "b"}])
def test_what_should_be_a_text_and_is_none_makes_no_event(name: str, value: object) -> None:
    with pytest.raises(TypeError):
        rendered(entry(**{name: value}))


@pytest.mark.parametrize("value", [None, "", "soon", ["a"], {}])
def test_what_should_be_a_time_and_is_none_makes_no_event(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        rendered(entry(ApproximateArrivalTimestamp=value))


#: What a JSON parser can give.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["SequenceNumber", "ApproximateArrivalTimestamp", "Data", "PartitionKey"]


@given(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON)))
def test_rubbish_is_refused_in_three_ways_or_rendered_as_what_it_is(received: Any) -> None:
    try:
        record = rendered(received)
    except (KeyError, TypeError, ValueError):
        return
    event = json.loads(record.event)
    assert event == expected_event({**received, "ApproximateArrivalTimestamp": record.timestamp})
