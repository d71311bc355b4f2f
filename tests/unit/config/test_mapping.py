import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, StructureShape

from outboard.config.arns import Arn, SourceType
from outboard.config.mapping import EventSourceMapping
from outboard.config.resolving import MAPPING_FIELDS, resolve
from outboard.config.sentences import names_at
from tests.unit.config.snippets import FIFO, MSK, QUEUE, STREAM, mapping, written

OURS = {
    "Name",
    "UUID",
    "SourceEndpointUrl",
    "FunctionEndpointUrl",
    "SourceRoleArn",
    "FunctionRoleArn",
    "InvokeTimeoutSeconds",
    "MaximumConcurrency",
    "Tls",
}
#: Fields that are newer than the SDK's model beside which the tests run.
NEWER = {"LoggingConfig"}


def structures(shape, path=()):
    """The names of the members of each structure inside a shape of the SDK's model, by path."""
    if shape.type_name == "list":
        yield from structures(shape.member, path)
    elif isinstance(shape, StructureShape):
        yield path, set(shape.members)
        for name, member in shape.members.items():
            yield from structures(member, (*path, name))


def lambda_model():
    return ServiceModel(Loader().load_service_model("lambda", "service-2"), "lambda")


def test_every_field_of_aws_is_known_at_every_level():
    request = lambda_model().operation_model("CreateEventSourceMapping").input_shape

    unknown = {path: names - set(names_at(EventSourceMapping, path)) for path, names in structures(request)}

    assert unknown == {path: set() for path in unknown}
    assert len(unknown) > 10


def test_no_field_is_made_up_beside_awss_and_our_own():
    model = lambda_model()
    awss = set(model.operation_model("CreateEventSourceMapping").input_shape.members)

    assert set(names_at(EventSourceMapping, ())) - awss == OURS | NEWER


def test_every_field_of_awss_answers_is_understood_or_ignored():
    answer = lambda_model().shape_for("EventSourceMappingConfiguration")

    assert set(answer.members) - MAPPING_FIELDS == set()


def test_a_queue_tells_what_its_url_is_made_of():
    it = mapping(EventSourceArn=FIFO)

    assert it.source == Arn("aws", "sqs", "eu-west-1", "123456789012", "orders.fifo")
    assert (it.source_type, it.queue_name, it.fifo) == (SourceType.SQS, "orders.fifo", True)


def test_only_queues_named_so_are_fifo():
    assert [mapping().fifo, mapping(EventSourceArn=f"{QUEUE}fifo").fifo] == [False, False]


def test_partial_failures_are_on_only_when_asked_for():
    off, on = mapping(FunctionResponseTypes=[]), mapping(FunctionResponseTypes=["ReportBatchItemFailures"])

    assert [off.report_batch_item_failures, on.report_batch_item_failures] == [False, True]


@pytest.mark.parametrize(
    ("function", "aws_region", "sdk_region", "region"),
    [
        ("arn:aws:lambda:us-east-2:123456789012:function:f", "eu-north-1", "ap-south-1", "us-east-2"),
        ("f", "eu-north-1", "ap-south-1", "eu-north-1"),
        ("123456789012:function:f", "eu-north-1", "ap-south-1", "eu-north-1"),
        ("f", None, "ap-south-1", "ap-south-1"),
        ("f", None, None, "eu-west-1"),
    ],
)
def test_the_functions_region_is_its_arns_then_the_configurations_then_the_sdks_then_the_sources(
    function, aws_region, sdk_region, region
):
    assert mapping(FunctionName=function, aws_region=aws_region).function_region(sdk_region) == region


def test_another_aws_region_makes_another_mapping():
    assert mapping(aws_region="eu-north-1") != mapping(aws_region="eu-west-1")


def test_equal_mappings_are_equal_after_use():
    used, unused = mapping(), mapping()
    _ = used.function, used.source_type

    assert used == unused


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({}, None),
        ({"MaximumConcurrency": 3}, 3),
        ({"ScalingConfig": {"MaximumConcurrency": 7}}, 7),
        ({"ScalingConfig": {"MaximumConcurrency": 7}, "MaximumConcurrency": 9}, 7),
        ({"ScalingConfig": {}, "MaximumConcurrency": 1}, 1),
    ],
)
def test_the_smaller_of_both_concurrency_limits_counts(fields, limit):
    assert mapping(**fields).concurrency_limit == limit


def kafka(brokers=("kafka:9092",), **fields):
    """A mapping of a self-managed cluster."""
    whole = {
        "Name": "events",
        "FunctionName": "process",
        "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": list(brokers)}},
        "Topics": ["clicks"],
        "StartingPosition": "LATEST",
    }
    resolved = resolve({**whole, **fields})
    assert resolved.broken == ()
    return resolved.mapping


def msk(**fields):
    return mapping(EventSourceArn=MSK, Topics=["clicks"], StartingPosition="LATEST", **fields)


def ca(uri):
    return [{"Type": "VPC_SUBNET", "URI": "subnet:s"}, {"Type": "SERVER_ROOT_CA_CERTIFICATE", "URI": uri}]


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"ProvisionedPollerConfig": {"MaximumPollers": 7}}, 7),
        ({"ProvisionedPollerConfig": {"MaximumPollers": 7}, "MaximumConcurrency": 3}, 3),
        ({"ProvisionedPollerConfig": {"MaximumPollers": 2}, "MaximumConcurrency": 3}, 2),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 4}}, None),
    ],
)
def test_kafkas_pollers_at_most_are_a_limit_of_concurrency(fields, limit):
    assert [kafka(**fields).concurrency_limit, msk(**fields).concurrency_limit] == [limit, limit]


def test_a_self_managed_kafka_tells_what_its_consumer_needs_to_know():
    it = kafka(("b1:9092", "b2:9093"))

    assert (it.topic, it.brokers, it.consumer_group) == ("clicks", "b1:9092,b2:9093", it.uuid)
    assert (it.uses_tls, it.ca_reference, it.source_type) == (False, None, SourceType.KAFKA)


def test_msks_brokers_are_its_endpoint_or_left_to_be_asked_for():
    it = msk(SourceEndpointUrl="b-1:9094,b-2:9094")

    assert (it.topic, it.brokers, msk().brokers) == ("clicks", "b-1:9094,b-2:9094", "")
    assert (it.uses_tls, it.ca_reference, it.consumer_group) == (True, None, it.uuid)


def test_the_consumer_group_is_the_one_that_is_named():
    named = {"ConsumerGroupId": "mine"}

    groups = [
        kafka(SelfManagedKafkaEventSourceConfig=named).consumer_group,
        msk(AmazonManagedKafkaEventSourceConfig=named).consumer_group,
    ]

    assert groups == ["mine", "mine"]


def test_a_group_that_is_not_named_is_the_mappings_uuid_whatever_else_the_block_says():
    it = kafka(SelfManagedKafkaEventSourceConfig={"ConsumptionMode": "Stream"})

    assert it.consumer_group == it.uuid


@pytest.mark.parametrize(
    ("fields", "tls"),
    [
        ({}, False),
        ({"Tls": True}, True),
        ({"SourceAccessConfigurations": ca("env:CA")}, True),
        ({"SourceAccessConfigurations": ca("env:CA")[:1]}, False),
    ],
)
def test_a_ca_means_tls_and_a_subnet_does_not(fields, tls):
    assert kafka(**fields).uses_tls is tls


def test_where_the_ca_is_stands_among_the_access_configurations():
    assert msk(SourceAccessConfigurations=ca("file:///etc/ca.pem")).ca_reference == "file:///etc/ca.pem"


def test_msk_may_be_read_in_the_clear():
    assert msk(Tls=False).uses_tls is False


def test_the_window_is_in_seconds_and_half_a_second_where_aws_has_it_so():
    stream = EventSourceMapping.model_validate(
        written(UUID="14e0db71-5d35-4eb5-b481-8945cf9d10c2", EventSourceArn=STREAM, BatchSize=100)
    )

    assert [mapping().window, mapping(MaximumBatchingWindowInSeconds=3).window, stream.window] == [0.0, 3.0, 0.5]


def test_a_time_in_iso_8601_is_the_same_as_in_epoch_seconds():
    both = [
        EventSourceMapping.model_validate(
            written(
                UUID="14e0db71-5d35-4eb5-b481-8945cf9d10c2",
                EventSourceArn=STREAM,
                BatchSize=100,
                StartingPosition="AT_TIMESTAMP",
                StartingPositionTimestamp=moment,
            )
        ).starting_position_timestamp
        for moment in (1738324800, "2025-01-31T12:00:00Z", "2025-01-31T14:00:00+02:00")
    ]

    assert both == [1738324800.0] * 3


def test_a_streams_name_is_the_last_part_of_its_arn():
    assert mapping(EventSourceArn=STREAM, StartingPosition="LATEST").stream_name == "clicks"


@pytest.mark.parametrize(("written_as", "retries", "age"), [(-1, None, None), (60, 60, 60.0)])
def test_minus_one_is_no_limit(written_as, retries, age):
    it = mapping(
        EventSourceArn=STREAM,
        StartingPosition="LATEST",
        MaximumRetryAttempts=written_as,
        MaximumRecordAgeInSeconds=written_as,
    )

    assert (it.retry_attempts, it.record_age) == (retries, age)


def test_no_retry_at_all_is_a_limit():
    assert mapping(EventSourceArn=STREAM, StartingPosition="LATEST", MaximumRetryAttempts=0).retry_attempts == 0
