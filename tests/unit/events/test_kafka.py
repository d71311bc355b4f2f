"""Kafka's event JSON against the documented example, against json.loads, and as Powertools reads it."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.kafka_event import KafkaEvent, KafkaEventRecord
from aws_lambda_powertools.utilities.kafka.consumer_records import ConsumerRecords
from hypothesis import given
from hypothesis import strategies as st

from outboard.core.records import Envelope, Record
from outboard.core.response import Failed, judge
from outboard.events.kafka import ClusterFacts, envelope, renderer

ARN = "arn:aws:kafka:eu-west-1:123456789012:cluster/orders/3f5c-2"
MSK = ClusterFacts(ARN, "b-1.example:9092,b-2.example:9092")
OWN = ClusterFacts(None, "kafka:9092")


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as it comes off the wire."""

    offset: int = 15
    timestamp: int | None = 1545084650987
    timestamp_type: int | None = 0
    key: bytes | None = b"abc"
    value: bytes | None = b"Hello"
    headers: Sequence[tuple[str, bytes | None]] = ()


def rendered(message: Sent, topic: str = "orders", partition: int = 0) -> Record:
    return renderer(topic, partition)(message)


def event(*messages: Sent, facts: ClusterFacts = MSK) -> Any:
    return json.loads(envelope(facts, "orders", 0).payload([rendered(message) for message in messages]))


def test_a_batch_of_msk_is_rendered_byte_for_byte_as_documented() -> None:
    message = Sent(headers=[("headerKey", b"he\xc3")])

    assert envelope(MSK, "mytopic", 0).payload([renderer("mytopic", 0)(message)]) == (
        b'{"eventSource":"aws:kafka","eventSourceArn":"arn:aws:kafka:eu-west-1:123456789012:cluster/orders/3f5c-2",'
        b'"bootstrapServers":"b-1.example:9092,b-2.example:9092","records":{"mytopic-0":['
        b'{"topic":"mytopic","partition":0,"offset":15,"timestamp":1545084650987,"timestampType":"CREATE_TIME",'
        b'"key":"YWJj","value":"SGVsbG8=","headers":[{"headerKey":[104,101,-61]}]}]}}'
    )


def test_a_self_managed_cluster_has_its_own_source_and_no_arn() -> None:
    assert envelope(OWN, "orders", 3) == Envelope(
        prefix=b'{"eventSource":"SelfManagedKafka","bootstrapServers":"kafka:9092","records":{"orders-3":[',
        suffix=b"]}}",
    )


def test_the_record_says_what_it_takes_to_report_and_date_it() -> None:
    record = rendered(Sent(), partition=7)

    assert (record.identifier, record.timestamp, record.key, record.token) == (
        ("orders-7", 15),
        1545084650.987,
        "",
        None,
    )


@pytest.mark.parametrize(("timestamp", "shown"), [(0, 0), (-1, -1), (None, -1)])
@pytest.mark.parametrize("key", [None, b"k"])
def test_a_record_without_a_time_has_no_age_and_its_event_says_what_kafka_says(
    key: bytes | None, timestamp: int | None, shown: int
) -> None:
    record = rendered(Sent(key=key, timestamp=timestamp))

    assert record.timestamp == 0.0
    assert json.loads(record.event)["timestamp"] == shown


@pytest.mark.parametrize(("kind", "named"), [(0, "CREATE_TIME"), (1, "LOG_APPEND_TIME"), (None, "CREATE_TIME")])
@pytest.mark.parametrize("headers", [(), (("h", b"1"),)])
def test_the_event_says_whose_time_it_is(
    kind: int | None, named: str, headers: Sequence[tuple[str, bytes | None]]
) -> None:
    message = Sent(timestamp_type=kind, headers=headers)

    assert json.loads(rendered(message).event)["timestampType"] == named


def test_a_record_without_a_key_has_none_in_its_event_and_an_empty_key_is_one() -> None:
    without, empty = (json.loads(rendered(Sent(key=key)).event) for key in (None, b""))

    assert "key" not in without
    assert empty["key"] == ""


def test_a_tombstone_has_a_value_that_is_null_and_an_empty_value_is_none() -> None:
    tombstone, empty = (json.loads(rendered(Sent(value=value)).event) for value in (None, b""))

    assert (tombstone["value"], empty["value"]) == (None, "")


def test_headers_keep_their_order_and_those_that_come_twice_and_their_bytes_are_signed() -> None:
    headers = [("h", b"\x00\x7f\x80\xff"), ("g", b""), ("h", b"2"), ("n", None)]

    assert json.loads(rendered(Sent(headers=headers)).event)["headers"] == [
        {"h": [0, 127, -128, -1]},
        {"g": []},
        {"h": [50]},
        {"n": []},
    ]


@pytest.mark.parametrize("topic", ["a%sb", "100%", "%(x)d", "%%", 'a"b', "ü"])
def test_a_topic_is_a_name_and_no_format(topic: str) -> None:
    """Brokers allow letters, digits, dots, dashes and underscores only; nothing breaks if one is more generous."""
    for message in (Sent(), Sent(key=None)):
        assert json.loads(rendered(message, topic).event)["topic"] == topic
    assert list(json.loads(envelope(OWN, topic, 2).payload([]))["records"]) == [f"{topic}-2"]


CHARACTERS = st.characters(codec="utf-8") | st.sampled_from('\x00\x01\x1f\x7f\x85\u2028\ufffe"\\/<&%\U0010ffff')
BYTES = st.none() | st.binary(max_size=200)
MESSAGES = st.builds(
    Sent,
    offset=st.integers(0, 2**63 - 1),
    timestamp=st.integers(-1, 2**63 - 1),
    timestamp_type=st.sampled_from([0, 1, None]),
    key=BYTES,
    value=BYTES,
    headers=st.lists(st.tuples(st.text(CHARACTERS, max_size=20), BYTES), max_size=4),
)


def expected_event(message: Sent, topic: str, partition: int) -> dict[str, Any]:
    """The event in the words of the documentation."""
    written: dict[str, Any] = {
        "topic": topic,
        "partition": partition,
        "offset": message.offset,
        "timestamp": message.timestamp,
        "timestampType": "LOG_APPEND_TIME" if message.timestamp_type == 1 else "CREATE_TIME",
    }
    if message.key is not None:
        written["key"] = base64.b64encode(message.key).decode()
    written["value"] = None if message.value is None else base64.b64encode(message.value).decode()
    written["headers"] = [
        {name: [byte - 256 if byte > 127 else byte for byte in content or b""]} for name, content in message.headers
    ]
    return written


@given(
    st.lists(MESSAGES, max_size=6),
    st.text(st.sampled_from("abcXYZ019._-"), min_size=1, max_size=30),
    st.integers(0, 2**31 - 1),
    st.sampled_from([MSK, OWN]),
)
def test_records_of_all_shapes_arrive_exactly(
    batch: list[Sent], topic: str, partition: int, facts: ClusterFacts
) -> None:
    render, around = renderer(topic, partition), envelope(facts, topic, partition)
    records = [render(message) for message in batch]
    payload = around.payload(records)
    head = {"eventSource": "SelfManagedKafka"} if facts.arn is None else {"eventSource": "aws:kafka"}
    if facts.arn is not None:
        head["eventSourceArn"] = facts.arn
    events = [expected_event(message, topic, partition) for message in batch]
    expected = {**head, "bootstrapServers": facts.bootstrap_servers, "records": {f"{topic}-{partition}": events}}

    assert len(payload) == around.payload_size(records)
    assert json.loads(payload) == expected
    assert json.dumps(json.loads(payload)) == json.dumps(expected)
    assert [record.identifier for record in records] == [(f"{topic}-{partition}", each.offset) for each in batch]


def test_powertools_reads_the_event() -> None:
    read = KafkaEvent(event(Sent(headers=[("trace", b"\xc3\xa9")]), Sent(16, key=None, value=b'{"id":1}')))
    first, second = read.records

    assert (read.event_source, read.event_source_arn, read.decoded_bootstrap_servers) == (
        "aws:kafka",
        ARN,
        ["b-1.example:9092", "b-2.example:9092"],
    )
    assert (first.topic, first.partition, first.offset, first.timestamp, first.timestamp_type) == (
        "orders",
        0,
        15,
        1545084650987,
        "CREATE_TIME",
    )
    assert (first.decoded_key, first.decoded_value, first.decoded_headers["Trace"]) == (b"abc", b"Hello", b"\xc3\xa9")
    assert (second.decoded_key, second.json_value, second.decoded_headers) == (None, {"id": 1}, {})


def test_powertools_reads_a_self_managed_clusters_event_and_its_tombstones() -> None:
    read = KafkaEvent(event(Sent(value=None, key=b"gone"), facts=OWN))

    assert (read.event_source, read.event_source_arn) == ("SelfManagedKafka", None)
    assert (read.record.decoded_key, read["records"]["orders-0"][0]["value"]) == (b"gone", None)


def test_powertools_consumer_reads_the_event() -> None:
    records = list(ConsumerRecords(event(Sent(headers=[("h", b"\xff")]), Sent(16, key=None))).records)

    assert [(record.key, record.value) for record in records] == [("abc", "Hello"), (None, "Hello")]
    assert [record.original_key for record in records] == ["YWJj", None]
    assert records[0].headers["h"] == b"\xff"


def failing(offset: int) -> Callable[[KafkaEventRecord], None]:
    def handle(record: KafkaEventRecord) -> None:
        if record.offset == offset:
            raise ValueError("no such order")

    return handle


def test_what_powertools_answers_names_the_records_that_failed() -> None:
    messages = [Sent(), replace(Sent(), offset=16), replace(Sent(), offset=17)]
    processor = BatchProcessor(event_type=EventType.Kafka)
    raw = [each for records in event(*messages)["records"].values() for each in records]
    with processor(raw, failing(16)):
        processor.process()

    assert judge(json.dumps(processor.response()).encode(), [rendered(message) for message in messages]) == Failed((1,))
