"""The calls that reading a stream takes, and how their answers are read."""

from typing import Any

import pytest

from outboard.aws.calls import CallFailed, Refused, TimedOut, Unreachable
from outboard.config.arns import Arn
from outboard.core.shards import After, Beginning, End, Position, Shard, Since
from outboard.sources.kinesis.stream import KinesisStream, Page, StreamDescription, with_remedy
from tests.unit.sources.kinesis.fake import ARN, FIRST, THROTTLED, FakeKinesis
from tests.unit.virtual import virtual

BOTH = {"StreamName": "clicks", "StreamARN": ARN}


def stream_of(kinesis: FakeKinesis) -> KinesisStream:
    return KinesisStream(kinesis, Arn.parse(ARN))


def answering(operation: str, answer: dict[str, Any]) -> KinesisStream:
    kinesis = FakeKinesis()
    kinesis.answers[operation] = [lambda _: answer]
    return stream_of(kinesis)


@virtual
async def test_a_stream_is_described() -> None:
    kinesis = FakeKinesis()

    assert await stream_of(kinesis).describe() == StreamDescription(kinesis.created, "ACTIVE", 24)
    assert kinesis.made("DescribeStreamSummary") == [BOTH]


@virtual
async def test_a_description_without_what_other_servers_leave_out_is_one() -> None:
    stream = answering("DescribeStreamSummary", {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE"}})

    assert await stream.describe() == StreamDescription(0.0, "ACTIVE", 24)


@virtual
async def test_shards_are_listed_with_their_parents_page_by_page() -> None:
    kinesis = FakeKinesis(2)
    third = kinesis.merge(FIRST, "shardId-000000000001")
    fourth, fifth = kinesis.split(third)
    kinesis.shards_per_page = 2

    assert await stream_of(kinesis).shards() == [
        Shard(FIRST),
        Shard("shardId-000000000001"),
        Shard(third, (FIRST, "shardId-000000000001")),
        Shard(fourth, (third,)),
        Shard(fifth, (third,)),
    ]
    assert kinesis.made("ListShards") == [BOTH, {"NextToken": "2"}, {"NextToken": "4"}]


@virtual
async def test_a_listing_without_end_is_given_up() -> None:
    kinesis = FakeKinesis()
    kinesis.answers["ListShards"] = [lambda _: {"Shards": [], "NextToken": "again"}] * 10_000

    with pytest.raises(Unreachable, match="no end after 1000 pages"):
        await stream_of(kinesis).shards()


@pytest.mark.parametrize(
    ("position", "asked"),
    [
        (Beginning(), {"ShardIteratorType": "TRIM_HORIZON"}),
        (Since(1_699_999_999.25), {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 1_699_999_999.25}),
        (After("99"), {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "99"}),
    ],
)
@virtual
async def test_an_iterator_is_asked_for_at_a_position(position: Position, asked: dict[str, object]) -> None:
    kinesis = FakeKinesis()
    kinesis.answers["GetShardIterator"] = [lambda _: {"ShardIterator": "i"}]

    assert await stream_of(kinesis).iterator(FIRST, position) == "i"
    assert kinesis.made("GetShardIterator") == [{**BOTH, "ShardId": FIRST, **asked}]


@virtual
async def test_nothing_is_read_behind_a_shards_end() -> None:
    kinesis = FakeKinesis()
    with pytest.raises(ValueError, match="nothing is read behind a shard's end"):
        await stream_of(kinesis).iterator(FIRST, End())
    assert kinesis.calls == []


@virtual
async def test_a_page_is_read() -> None:
    kinesis = FakeKinesis()
    entries = [{"SequenceNumber": "1"}]
    kinesis.answers["GetRecords"] = [
        lambda _: {"Records": entries, "NextShardIterator": "next", "MillisBehindLatest": 1500}
    ]

    assert await stream_of(kinesis).read("i", 77) == Page(entries, "next", 1.5)
    assert kinesis.made("GetRecords") == [{"ShardIterator": "i", "Limit": 77, "StreamARN": ARN}]


@pytest.mark.parametrize("end", [{}, {"NextShardIterator": None}, {"NextShardIterator": ""}])
@virtual
async def test_the_last_page_of_a_closed_shard_has_no_next_iterator(end: dict[str, object]) -> None:
    children = [{"ShardId": "shardId-000000000001", "ParentShards": [FIRST]}]
    stream = answering("GetRecords", {"Records": [], "MillisBehindLatest": 0, "ChildShards": children, **end})

    assert await stream.read("i", 1) == Page([], None, 0.0, has_children=True)


@virtual
async def test_a_page_that_does_not_say_how_far_it_is_behind_is_not() -> None:
    stream = answering("GetRecords", {"Records": [], "NextShardIterator": "n", "MillisBehindLatest": None})

    assert await stream.read("i", 1) == Page([], "n", 0.0)


async def called(stream: KinesisStream, operation: str) -> object:
    match operation:
        case "DescribeStreamSummary":
            return await stream.describe()
        case "ListShards":
            return await stream.shards()
        case "GetShardIterator":
            return await stream.iterator(FIRST, Beginning())
        case _:
            return await stream.read("i", 1)


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("DescribeStreamSummary", {}),
        ("DescribeStreamSummary", {"StreamDescriptionSummary": None}),
        ("DescribeStreamSummary", {"StreamDescriptionSummary": {"StreamCreationTimestamp": 1.0}}),
        (
            "DescribeStreamSummary",
            {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE", "StreamCreationTimestamp": "yesterday"}},
        ),
        ("ListShards", {}),
        ("ListShards", {"Shards": None}),
        ("ListShards", {"Shards": [{}]}),
        ("ListShards", {"Shards": ["shardId-0"]}),
        ("GetShardIterator", {}),
        ("GetShardIterator", {"ShardIterator": None}),
        ("GetRecords", {}),
        ("GetRecords", {"Records": None, "NextShardIterator": "n"}),
        ("GetRecords", {"Records": [], "NextShardIterator": "n", "MillisBehindLatest": "much"}),
    ],
)
@virtual
async def test_an_answer_that_is_none_is_a_failed_call(operation: str, answer: dict[str, Any]) -> None:
    with pytest.raises(Unreachable) as raised:
        await called(answering(operation, answer), operation)

    assert raised.value.code == "UnreadableAnswer"
    assert operation in raised.value.message


@pytest.mark.parametrize("operation", ["DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"])
@virtual
async def test_a_failed_call_is_sent_once_and_passed_on(operation: str) -> None:
    kinesis = FakeKinesis()
    kinesis.answers[operation] = [THROTTLED]

    with pytest.raises(Refused) as raised:
        await called(stream_of(kinesis), operation)

    assert raised.value is THROTTLED
    assert len(kinesis.calls) == 1


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (
            Refused(400, "ResourceNotFoundException", "no such stream"),
            "the stream does not exist; create it or correct EventSourceArn (no such stream)",
        ),
        (
            Refused(400, "AccessDeniedException", "no"),
            (
                "not allowed to read the stream; grant kinesis:DescribeStreamSummary, ListShards, GetShardIterator,"
                " GetRecords (no)"
            ),
        ),
        (
            Refused(400, "KMSDisabledException", "key off"),
            "the stream's KMS key is disabled; enable it (key off)",
        ),
        (TimedOut("Timeout", "no answer within 30 s"), "Kinesis did not answer in time: no answer within 30 s"),
        (Refused(500, "InternalFailure", "try again"), "try again"),
    ],
)
def test_a_failure_names_its_remedy(failure: CallFailed, sentence: str) -> None:
    assert with_remedy(failure) == sentence
