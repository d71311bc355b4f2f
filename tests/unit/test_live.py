"""What `check --live` says about what it finds."""

import pytest

from outboard.aws.calls import InvokeReply, Refused
from outboard.config.loading import parse
from outboard.live import advice

NOW = 1_700_000_000.0
STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks"
LIMITED = "    MaximumRetryAttempts: 5\n"
ALL_WELL = ["all 1 sources and functions answered"]
BLOCKS = (
    "mapping clicks: MaximumRetryAttempts: is -1, as is MaximumRecordAgeInSeconds; a record that the function always"
    " fails blocks its shard, and what follows expires after 24 hours; set one of the two unless that is meant"
)


class World:
    """One queue, one stream and one function, behind what reaches AWS."""

    region = "eu-west-1"

    def __init__(self, status="ACTIVE", hours=24, visibility="30", error=None, function_status=204):
        self.error = error
        self.answers = {
            "DescribeStreamSummary": {
                "StreamDescriptionSummary": {
                    "StreamStatus": status,
                    "RetentionPeriodHours": hours,
                    "StreamCreationTimestamp": NOW - 3600,
                }
            },
            "GetQueueAttributes": {"Attributes": {"VisibilityTimeout": visibility}},
        }
        self.function_status = function_status

    def sqs_endpoint(self, region, endpoint):
        return endpoint or f"https://sqs.{region}.amazonaws.com"

    def sqs(self, region, endpoint, role_arn):
        return self

    kinesis = lambda_ = sqs

    async def call(self, operation, body, *, timeout=10.0):
        if self.error is not None:
            raise self.error
        return self.answers[operation]

    async def invoke(self, function, payload, **_):
        return InvokeReply(self.function_status, {}, b"")


def stream(fields=""):
    return f"""
EventSourceMappings:
  - Name: clicks
    EventSourceArn: {STREAM}
    FunctionName: count-clicks
    StartingPosition: LATEST
{fields}"""


async def said(text, world):
    configuration = parse({"config.yaml": text}).configuration
    assert configuration is not None
    return await advice(configuration, world, lambda: NOW)


@pytest.mark.parametrize("status", ["ACTIVE", "UPDATING"])
async def test_where_all_is_well_it_says_so(status):
    assert await said(stream(LIMITED), World(status)) == ALL_WELL


async def test_a_stream_that_cannot_be_read_yet_is_named():
    assert await said(stream(LIMITED), World("CREATING")) == [
        "mapping clicks: EventSourceArn: the stream is CREATING; it can be read once it is ACTIVE"
    ]


async def test_a_missing_stream_is_named_with_its_remedy():
    missing = Refused(400, "ResourceNotFoundException", "Stream clicks not found.")

    assert await said(stream(LIMITED), World(error=missing)) == [
        (
            "mapping clicks: EventSourceArn: ResourceNotFoundException: the stream does not exist; create it or correct"
            " EventSourceArn (Stream clicks not found.)"
        )
    ]


async def test_an_age_that_no_record_reaches_is_advised_against():
    fields = "    MaximumRecordAgeInSeconds: 86401\n"

    assert await said(stream(fields), World(hours=48)) == ALL_WELL
    assert await said(stream(fields), World()) == [
        (
            "mapping clicks: MaximumRecordAgeInSeconds: is 86401, and the stream keeps records for 24 hours only;"
            " lower it to 86400 at most, or raise the stream's retention"
        )
    ]


@pytest.mark.parametrize("fields", ["", "    BisectBatchOnFunctionError: true\n"])
async def test_a_mapping_that_one_bad_record_blocks_is_advised_of(fields):
    assert await said(stream(fields), World()) == [BLOCKS]


@pytest.mark.parametrize("fields", ["    MaximumRetryAttempts: 0\n", "    MaximumRecordAgeInSeconds: 60\n"])
async def test_either_limit_is_enough(fields):
    assert await said(stream(fields), World()) == ALL_WELL


async def test_a_start_in_the_future_is_advised_of():
    def at(moment):
        fields = f"{LIMITED}    StartingPositionTimestamp: {moment:.0f}\n"
        return stream(fields).replace("LATEST", "AT_TIMESTAMP")

    assert await said(at(NOW), World()) == ALL_WELL
    assert await said(at(NOW + 60), World()) == [
        (
            "mapping clicks: StartingPositionTimestamp: is in the future, and Kinesis refuses it until then; the mapping"
            " waits"
        )
    ]


async def test_a_queue_that_hides_nothing_is_advised_of():
    text = """
EventSourceMappings:
  - {Name: orders, EventSourceArn: "arn:aws:sqs:eu-west-1:123456789012:orders", FunctionName: process}
"""

    assert await said(text, World()) == ALL_WELL
    assert await said(text, World(visibility="0")) == [
        "mapping orders: the queue's VisibilityTimeout is 0: failed messages come back at once"
    ]


async def test_a_function_that_does_not_answer_is_named_beside_its_source():
    lines = await said(stream(), World(function_status=404))

    assert lines[0] == BLOCKS
    assert [line.split(": ")[:2] for line in lines[1:]] == [["mapping clicks", "FunctionName"]]
