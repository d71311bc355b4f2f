"""What `check --live` says about what it finds."""

import asyncio

import pytest

from outboard.aws.calls import InvokeReply, Refused
from outboard.config.loading import parse
from outboard.live import advice
from outboard.sources.kafka.consumer import ConsumerError, ConsumerSpec
from tests.unit.virtual import virtual

NOW = 1_700_000_000.0
STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks"
CLUSTER = "arn:aws:kafka:eu-west-1:123456789012:cluster/events/0a1b2c3d-1"
SELF_MANAGED = "SelfManagedEventSource: {Endpoints: {KAFKA_BOOTSTRAP_SERVERS: ['kafka:9092']}}"
UUID = "14e0db71-5d35-4eb5-b481-8945cf9d10c2"
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


class Cluster:
    """A Kafka cluster with one topic, and every consumer of it."""

    def __init__(self, partitions=3, start=None, asked=None, answers=True):
        self.topic = frozenset(range(partitions))
        self.start_error, self.partitions_error = start, asked
        self.answers = answers
        self.specs = []
        self.log = []

    def consumer(self, spec, fetch):
        self.specs.append(spec)
        return self

    async def start(self):
        self.log.append("start")
        if not self.answers:
            await asyncio.sleep(3600)
        if self.start_error is not None:
            raise self.start_error

    async def partitions(self):
        self.log.append("partitions")
        if self.partitions_error is not None:
            raise self.partitions_error
        return self.topic

    async def stop(self):
        self.log.append("stop")


def no_consumer(spec, fetch):
    raise AssertionError("nothing reads Kafka here")


async def said(text, world, consumer=no_consumer):
    configuration = parse({"config.yaml": text}).configuration
    assert configuration is not None
    return await advice(configuration, world, consumer, lambda: NOW)


def topic(fields=LIMITED, source=SELF_MANAGED):
    return f"""
EventSourceMappings:
  - Name: events
    {source}
    FunctionName: count-clicks
    Topics: [clicks]
    StartingPosition: LATEST
{fields}"""


def asked_of(cluster, text):
    return said(text, World(), cluster.consumer)


async def test_a_topic_that_is_there_needs_no_words():
    cluster = Cluster()

    assert await asked_of(cluster, topic()) == ALL_WELL
    assert cluster.log == ["start", "partitions", "stop"]


async def test_the_cluster_is_reached_as_the_mapping_says():
    own, msk = Cluster(), Cluster()
    uuid = f"    UUID: {UUID}\n"
    ca = "    SourceAccessConfigurations: [{Type: SERVER_ROOT_CA_CERTIFICATE, URI: 'file:///ca.pem'}]\n"

    await asked_of(own, topic(uuid + ca + "    SelfManagedKafkaEventSourceConfig: {ConsumerGroupId: mine}\n"))
    await asked_of(msk, topic(uuid, source=f"EventSourceArn: {CLUSTER}"))

    assert own.specs == [
        ConsumerSpec("events", UUID, "clicks", "mine", "kafka:9092", tls=True, arn=None, ca="file:///ca.pem")
    ]
    assert msk.specs == [ConsumerSpec("events", UUID, "clicks", UUID, "", tls=True, arn=CLUSTER)]


async def test_a_missing_topic_is_named_with_its_remedy():
    assert await asked_of(Cluster(partitions=0), topic()) == [
        (
            "mapping events: Topics: the topic clicks does not exist, or may not be seen; create it or correct Topics;"
            " the mapping waits for it"
        )
    ]


@pytest.mark.parametrize(
    ("source", "field"), [(SELF_MANAGED, "SelfManagedEventSource"), (f"EventSourceArn: {CLUSTER}", "EventSourceArn")]
)
async def test_a_cluster_that_cannot_be_reached_says_why_and_is_left(source, field):
    cluster = Cluster(start=ConsumerError("CERTIFICATE_VERIFY_FAILED", "unable to get local issuer", fatal=True))

    assert await asked_of(cluster, topic(source=source)) == [
        f"mapping events: {field}: CERTIFICATE_VERIFY_FAILED: unable to get local issuer"
    ]
    assert cluster.log == ["start", "stop"]


async def test_a_topic_that_may_not_be_asked_about_says_so():
    cluster = Cluster(asked=ConsumerError("TopicAuthorizationFailedError", "not allowed"))

    assert await asked_of(cluster, topic()) == [
        "mapping events: SelfManagedEventSource: TopicAuthorizationFailedError: not allowed"
    ]
    assert cluster.log == ["start", "partitions", "stop"]


@virtual
async def test_a_cluster_that_never_answers_is_given_up():
    cluster = Cluster(answers=False)

    assert await asked_of(cluster, topic()) == [
        (
            "mapping events: SelfManagedEventSource: the cluster did not answer within 60 s; check its addresses and the"
            " network"
        )
    ]
    assert cluster.log == ["start", "stop"]


async def test_a_topic_that_one_bad_record_blocks_is_advised_of():
    assert await asked_of(Cluster(), topic("")) == [
        (
            "mapping events: MaximumRetryAttempts: is -1, as is MaximumRecordAgeInSeconds; a record that the function"
            " always fails blocks its partition; set one of the two unless that is meant"
        )
    ]


async def test_a_topics_start_in_the_future_is_advised_of():
    def at(moment):
        return topic(f"{LIMITED}    StartingPositionTimestamp: {moment:.0f}\n").replace("LATEST", "AT_TIMESTAMP")

    assert await asked_of(Cluster(), at(NOW)) == ALL_WELL
    assert await asked_of(Cluster(), at(NOW + 60)) == [
        (
            "mapping events: StartingPositionTimestamp: is in the future; the mapping starts behind the newest record"
            " instead"
        )
    ]


async def test_a_sources_trouble_hides_no_functions():
    cluster = Cluster(start=ConsumerError("ConnectionRefused", "nobody listens"))

    lines = await said(topic(), World(function_status=404), cluster.consumer)

    assert [line.split(": ")[1] for line in lines] == ["SelfManagedEventSource", "FunctionName"]


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
