"""SQS's event JSON against what AWS was recorded sending, and against json.loads for messages of all shapes."""

import base64
import hashlib
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outboard.core.records import Envelope, Record
from outboard.events.sqs import QueueFacts, render, trace

STANDARD = QueueFacts("arn:aws:sqs:eu-west-1:123456789012:orders", "eu-west-1")
WINDOWED = QueueFacts("arn:aws:sqs:eu-west-1:123456789012:orders", "eu-west-1", md5_null=True)
FIFO = QueueFacts("arn:aws:sqs:eu-west-1:123456789012:orders.fifo", "eu-west-1")

#: In the order in which SQS happens to answer, which is not the event's.
SYSTEM = {
    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
    "ApproximateFirstReceiveTimestamp": "1545082649185",
    "ApproximateReceiveCount": "1",
    "SentTimestamp": "1545082649183",
}
HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=926e4e43:0"


def message(body: str = "hello", **fields: Any) -> dict[str, Any]:
    md5 = hashlib.md5(body.encode("utf-8", "surrogatepass")).hexdigest()
    return {
        "MessageId": "id",
        "ReceiptHandle": "handle",
        "MD5OfBody": md5,
        "Body": body,
        "Attributes": SYSTEM,
        **fields,
    }


def attributes_of(record: Record) -> list[tuple[str, str]]:
    return list(json.loads(record.event)["attributes"].items())


def test_a_message_without_attributes_is_rendered_byte_for_byte_as_aws_does() -> None:
    assert render(message('{"foo": "bar"}'), STANDARD).event == (
        b'{"messageId":"id","receiptHandle":"handle","body":"{\\"foo\\": \\"bar\\"}",'
        b'"attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1545082649183",'
        b'"SenderId":"AIDAIENQZJOLO23YVJ4VO","ApproximateFirstReceiveTimestamp":"1545082649185"},'
        b'"messageAttributes":{},"md5OfBody":"94232c5b8fc9272f6f73a1e36eb68fcf","eventSource":"aws:sqs",'
        b'"eventSourceARN":"arn:aws:sqs:eu-west-1:123456789012:orders","awsRegion":"eu-west-1"}'
    )


def test_message_attributes_carry_their_value_two_empty_lists_and_their_type() -> None:
    custom = {
        "Title": {"DataType": "String", "StringValue": "The Whistler"},
        "Weeks": {"StringValue": "6", "DataType": "Number.int"},
        "Image": {"DataType": "Binary", "BinaryValue": "AAH/"},
        "Empty": {"DataType": "String", "StringValue": ""},
    }
    event = render(message(MessageAttributes=custom, MD5OfMessageAttributes="d25a"), STANDARD).event
    assert (
        b'"messageAttributes":{'
        b'"Title":{"stringValue":"The Whistler","stringListValues":[],"binaryListValues":[],"dataType":"String"},'
        b'"Weeks":{"stringValue":"6","stringListValues":[],"binaryListValues":[],"dataType":"Number.int"},'
        b'"Image":{"binaryValue":"AAH/","stringListValues":[],"binaryListValues":[],"dataType":"Binary"},'
        b'"Empty":{"stringValue":"","stringListValues":[],"binaryListValues":[],"dataType":"String"}},'
        b'"md5OfMessageAttributes":"d25a","md5OfBody":'
    ) in event


@pytest.mark.parametrize("queue", [STANDARD, WINDOWED])
def test_md5_of_message_attributes_is_present_with_attributes(queue: QueueFacts) -> None:
    custom = {"a": {"DataType": "String", "StringValue": "b"}}
    event = render(message(MessageAttributes=custom, MD5OfMessageAttributes="d25a"), queue).event
    assert json.loads(event)["md5OfMessageAttributes"] == "d25a"


@pytest.mark.parametrize("fields", [{}, {"MessageAttributes": {}}, {"MD5OfMessageAttributes": "of nothing"}])
def test_md5_of_message_attributes_is_absent_without_attributes_and_window(fields: dict[str, Any]) -> None:
    assert b'"messageAttributes":{},"md5OfBody":' in render(message(**fields), STANDARD).event


@pytest.mark.parametrize("fields", [{}, {"MessageAttributes": {}}, {"MD5OfMessageAttributes": "of nothing"}])
def test_md5_of_message_attributes_is_null_without_attributes_but_with_a_window(fields: dict[str, Any]) -> None:
    event = render(message(**fields), WINDOWED).event
    assert b'"messageAttributes":{},"md5OfMessageAttributes":null,"md5OfBody":' in event


def test_system_attributes_are_in_the_order_of_aws_and_unknown_ones_are_kept_last() -> None:
    order = [
        "DeadLetterQueueSourceArn",
        "ApproximateReceiveCount",
        "AWSTraceHeader",
        "SentTimestamp",
        "SequenceNumber",
        "MessageGroupId",
        "SenderId",
        "MessageDeduplicationId",
        "ApproximateFirstReceiveTimestamp",
        "Newest",
        "New",
    ]
    received = {name: name.lower() for name in ("Newest", *reversed(order[:9]), "New")}
    record = render(message(Attributes=received), FIFO)
    assert attributes_of(record) == [(name, name.lower()) for name in order]


def test_a_message_without_system_attributes_has_none_and_no_time() -> None:
    bare = message()
    del bare["Attributes"]
    record = render(bare, FIFO)
    assert (attributes_of(record), record.timestamp, record.key) == ([], 0.0, "")


def test_the_record_says_what_it_takes_to_report_date_and_settle_it() -> None:
    record = render(message(), STANDARD)
    assert (record.identifier, record.timestamp, record.key, record.token) == ("id", 1545082649.183, "", "handle")


def test_only_a_fifo_queue_orders_by_message_group() -> None:
    grouped = message(Attributes={**SYSTEM, "MessageGroupId": "g"})
    assert (render(grouped, FIFO).key, render(grouped, STANDARD).key) == ("g", "")
    assert ("MessageGroupId", "g") in attributes_of(render(grouped, STANDARD))


@pytest.mark.parametrize("sent", ["", "soon", "-1", "nan", "9" * 400, "9" * 5000, None])
def test_a_senseless_time_is_unknown_and_nothing_is_lost(sent: object) -> None:
    record = render(message(Attributes={**SYSTEM, "SentTimestamp": sent}), STANDARD)
    assert record.timestamp == 0.0
    assert json.loads(record.event)["attributes"]["SentTimestamp"] == sent


def test_a_lone_surrogate_reaches_the_function_as_it_was_sent() -> None:
    received = json.loads(b'{"Body":"half \\ud83d and \\u00e9"}')["Body"]
    event = render(message(received), STANDARD).event
    assert b'"body":"half \\ud83d and \\u00e9","attributes":{"ApproximateReceiveCount":' in event
    assert json.loads(event)["body"] == received


def test_rendering_leaves_the_message_as_it_was() -> None:
    received = message(MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}})
    before = json.dumps(received)
    render(received, WINDOWED)
    assert json.dumps(received) == before


def test_the_trace_of_a_batch_is_that_of_its_first_message_that_has_one() -> None:
    plain = render(message(), STANDARD)
    first = render(message(Attributes={**SYSTEM, "AWSTraceHeader": HEADER}), STANDARD)
    second = render(message(Attributes={**SYSTEM, "AWSTraceHeader": "Root=2"}), STANDARD)
    assert trace([plain, first, plain, second]) == HEADER
    assert trace([plain, plain]) is None
    assert trace([]) is None


def test_a_receipt_handle_that_carries_a_trace_is_the_same_handle() -> None:
    token = render(message(Attributes={**SYSTEM, "AWSTraceHeader": HEADER}), STANDARD).token
    assert token == "handle"
    assert {token: 1}["handle"] == 1
    assert orjson.dumps({"ReceiptHandle": token}) == b'{"ReceiptHandle":"handle"}'


@pytest.mark.parametrize("header", ["", "Root=1\r\nX-Evil: 1", "Root=\u00e9", "R" * 1025, None])
def test_a_trace_that_is_no_header_is_for_the_function_alone(header: object) -> None:
    record = render(message(Attributes={**SYSTEM, "AWSTraceHeader": header}), STANDARD)
    assert trace([record]) is None
    assert record.token == "handle"
    assert json.loads(record.event)["attributes"]["AWSTraceHeader"] == header


def expected_event(received: dict[str, Any], queue: QueueFacts) -> dict[str, Any]:
    """The event in the words of the documentation, for comparison without regard to the order of keys."""
    custom = {}
    for name, value in received.get("MessageAttributes", {}).items():
        custom[name] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
        for theirs, ours in (("StringValue", "stringValue"), ("BinaryValue", "binaryValue")):
            if theirs in value:
                custom[name][ours] = value[theirs]
    md5 = {"md5OfMessageAttributes": received.get("MD5OfMessageAttributes")} if custom or queue.md5_null else {}
    return {
        "messageId": received["MessageId"],
        "receiptHandle": received["ReceiptHandle"],
        "body": received["Body"],
        "attributes": received["Attributes"],
        "messageAttributes": custom,
        **md5,
        "md5OfBody": received["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": queue.region,
    }


CHARACTERS = st.characters(codec="utf-8") | st.sampled_from('\x00\x01\x1f\x7f\x85\u2028\ufffe"\\/<&\U0010ffff')
TEXT = st.text(CHARACTERS, max_size=200)
VALUES = st.fixed_dictionaries({"DataType": st.just("String"), "StringValue": TEXT}) | st.fixed_dictionaries(
    {"DataType": st.just("Binary.x"), "BinaryValue": st.binary().map(lambda data: base64.b64encode(data).decode())}
)
SYSTEM_ATTRIBUTES = st.dictionaries(
    st.sampled_from([*SYSTEM, "MessageGroupId", "SequenceNumber", "AWSTraceHeader", "DeadLetterQueueSourceArn", "New"]),
    TEXT,
)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    received = message(draw(TEXT), MessageId=draw(TEXT), ReceiptHandle=draw(TEXT), Attributes=draw(SYSTEM_ATTRIBUTES))
    if custom := draw(st.dictionaries(TEXT, VALUES, max_size=3)):
        received |= {"MessageAttributes": custom, "MD5OfMessageAttributes": "d25a"}
    return received


def assert_exact(batch: list[dict[str, Any]], queue: QueueFacts) -> None:
    """The size is known without the payload; the payload holds the expected events; bodies still match their MD5."""
    records = [render(received, queue) for received in batch]
    envelope = Envelope()
    payload = envelope.payload(records)
    assert len(payload) == envelope.payload_size(records)
    events = json.loads(payload)["Records"]
    assert events == [expected_event(received, queue) for received in batch]
    bodies = [event["body"].encode("utf-8", "surrogatepass") for event in events]
    assert [hashlib.md5(body).hexdigest() for body in bodies] == [received["MD5OfBody"] for received in batch]


@given(st.lists(messages(), max_size=10), st.sampled_from([STANDARD, WINDOWED, FIFO]))
def test_messages_of_all_shapes_arrive_exactly(batch: list[dict[str, Any]], queue: QueueFacts) -> None:
    assert_exact(batch, queue)


@given(st.lists(st.text(st.characters(), max_size=40), min_size=1, max_size=5))
def test_bodies_with_lone_surrogates_arrive_exactly(bodies: list[str]) -> None:
    assert_exact([message(body) for body in bodies], STANDARD)


@settings(max_examples=12, deadline=None)
@given(st.text(CHARACTERS, min_size=1, max_size=30), st.integers(1, 4))
def test_bodies_of_a_mebibyte_arrive_exactly(pattern: str, count: int) -> None:
    size = 1024 * 1024
    body = (pattern * (size // len(pattern.encode()))).encode()[:size].decode("utf-8", "ignore")
    assert_exact([message(body)] * count, STANDARD)


@settings(max_examples=5, deadline=None)
@given(st.integers(2_000, 10_000), CHARACTERS)
def test_thousands_of_tiny_messages_arrive_exactly(count: int, character: str) -> None:
    assert_exact([message(character, MessageId=f"id-{number}") for number in range(count)], WINDOWED)
