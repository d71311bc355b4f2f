import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.config.resolving import default_uuid, merged, resolve, understand
from tests.unit.config.snippets import (
    BROKER,
    CLUSTER,
    FIFO,
    MSK,
    QUEUE,
    SELF_MANAGED,
    STREAM,
    TABLE,
    complaints,
    mapping,
    written,
)

NOT_YET = "source, and Outboard supports only SQS, Kinesis and Kafka so far; leave this mapping with AWS"


def test_default_uuids_never_change():
    assert default_uuid("outboard", "orders") == "b424d0c0-4680-5883-a369-f9862afc78f7"


@given(st.text(), st.text(), st.text(), st.text())
def test_default_uuids_differ_with_installation_and_name(installation, name, other_installation, other_name):
    same = (installation, name) == (other_installation, other_name)

    first, second = default_uuid(installation, name), default_uuid(other_installation, other_name)

    assert uuid.UUID(first).version == 5
    assert (first == second) is same


def test_what_is_left_out_of_an_sqs_mapping_has_awss_defaults():
    it = mapping()

    assert (it.batch_size, it.maximum_batching_window_in_seconds, it.enabled) == (10, 0, True)
    assert (it.function_response_types, it.invoke_timeout_seconds, it.uuid) == (
        (),
        905.0,
        default_uuid("outboard", "orders"),
    )


def test_a_uuid_serves_as_name_and_is_read_in_any_case():
    fields = written(UUID="14E0DB71-5D35-4EB5-B481-8945CF9D10C2")
    del fields["Name"]

    resolved = resolve(fields).mapping

    assert resolved is not None
    assert (resolved.name, resolved.uuid) == ("14e0db71-5d35-4eb5-b481-8945cf9d10c2",) * 2


@pytest.mark.parametrize(
    ("state", "enabled"),
    [
        ("Creating", True),
        ("Enabling", True),
        ("Enabled", True),
        ("Updating", True),
        ("Disabling", False),
        ("Disabled", False),
        ("Deleting", False),
    ],
)
def test_a_state_that_aws_prints_stands_for_enabled(state, enabled):
    assert understand({"State": state}).fields == {"Enabled": enabled}


def test_enabled_wins_over_state():
    assert understand({"State": "Disabled", "Enabled": True}).fields == {"Enabled": True}


def test_a_function_arn_beside_the_same_functions_name_is_no_contradiction():
    both = {"FunctionName": "process", "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:process"}

    understood = understand(both)

    assert (understood.fields, understood.broken) == ({"FunctionName": "process"}, [])


def test_neutral_values_of_what_is_not_for_sqs_are_accepted():
    neutral = mapping(
        StartingPosition=None,
        ParallelizationFactor=1,
        TumblingWindowInSeconds=0,
        MaximumRecordAgeInSeconds=-1,
        MaximumRetryAttempts=-1,
        BisectBatchOnFunctionError=False,
        DestinationConfig={"OnFailure": {}},
        FilterCriteria={"Filters": []},
        ProvisionedPollerConfig={},
        KMSKeyArn="",
        Topics=[],
        Queues=[],
        SourceAccessConfigurations=[{"Type": "VPC_SUBNET", "URI": "subnet:subnet-1"}],
        SelfManagedEventSource={},
    )

    assert neutral == mapping()


def test_what_only_shows_at_aws_is_accepted_and_changes_nothing():
    shown = mapping(
        Tags={"team": "shop"}, MetricsConfig={"Metrics": ["EventCount"]}, LoggingConfig={"SystemLogLevel": "INFO"}
    )

    assert shown.model_copy(update={"tags": None, "metrics_config": None, "logging_config": None}) == mapping()


@pytest.mark.parametrize(
    ("arn", "fields"),
    [
        (QUEUE, {"BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 1}),
        (QUEUE, {"BatchSize": 10, "ScalingConfig": {"MaximumConcurrency": 1000}, "MaximumConcurrency": 1}),
        (FIFO, {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0}),
        (FIFO.replace("aws:", "aws-cn:").replace("eu-west-1", "cn-north-1"), {}),
    ],
)
def test_an_sqs_mapping_may_go_to_awss_limits(arn, fields):
    assert complaints(written(EventSourceArn=arn, **fields)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"StartingPosition": "TRIM_HORIZON", "BatchSize": 10_000},
        {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1738324800},
        {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": "2025-01-31T12:00:00+02:00"},
        {
            "StartingPosition": "LATEST",
            "BatchSize": 1,
            "MaximumBatchingWindowInSeconds": 300,
            "MaximumRecordAgeInSeconds": 604_800,
            "MaximumRetryAttempts": 10_000,
            "BisectBatchOnFunctionError": True,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "MaximumConcurrency": 1,
        },
        {"StartingPosition": "LATEST", "MaximumRecordAgeInSeconds": 60, "MaximumRetryAttempts": 0},
    ],
)
def test_a_kinesis_mapping_may_go_to_awss_limits(fields):
    assert complaints(written(EventSourceArn=STREAM, **fields)) == []


def test_what_is_left_out_of_a_kinesis_mapping_has_awss_defaults():
    it = mapping(EventSourceArn=STREAM, StartingPosition="LATEST")

    assert (it.batch_size, it.window, it.retry_attempts, it.record_age) == (100, 0.0, None, None)
    assert (it.bisect_batch_on_function_error, it.report_batch_item_failures) == (False, False)


def test_neutral_values_of_what_is_not_carried_out_for_kinesis_are_accepted():
    neutral = mapping(
        EventSourceArn=STREAM,
        StartingPosition="LATEST",
        ParallelizationFactor=1,
        TumblingWindowInSeconds=0,
        DestinationConfig={"OnFailure": {}},
        FilterCriteria={"Filters": []},
        KMSKeyArn="",
        ScalingConfig={},
        ProvisionedPollerConfig={},
    )

    assert neutral == mapping(EventSourceArn=STREAM, StartingPosition="LATEST")


@pytest.mark.parametrize(
    ("arn", "label", "fields"),
    [
        (
            TABLE,
            "a DynamoDB",
            {
                "StartingPosition": "LATEST",
                "TumblingWindowInSeconds": 900,
                "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failed"}},
                "FilterCriteria": {"Filters": [{"Pattern": "{}"}]},
            },
        ),
        (TABLE, "a DynamoDB", {"StartingPosition": "LATEST", "ParallelizationFactor": 2}),
        (BROKER, "an ActiveMQ", {"Queues": ["orders"]}),
        (
            CLUSTER,
            "a DocumentDB",
            {"StartingPosition": "LATEST", "DocumentDBEventSourceConfig": {"DatabaseName": "shop"}},
        ),
    ],
)
def test_a_right_mapping_of_another_source_is_only_refused_for_now(arn, label, fields):
    assert complaints(written(EventSourceArn=arn, **fields)) == [("EventSourceArn", f"is {label} {NOT_YET}")]


KAFKA = {
    "Name": "events",
    "FunctionName": "process",
    "SelfManagedEventSource": SELF_MANAGED,
    "Topics": ["events"],
    "StartingPosition": "LATEST",
}


@pytest.mark.parametrize(
    "fields",
    [
        {"StartingPosition": "TRIM_HORIZON", "BatchSize": 10_000},
        {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": "2025-01-31T12:00:00+02:00"},
        {
            "MaximumBatchingWindowInSeconds": 300,
            "MaximumRecordAgeInSeconds": 604_800,
            "MaximumRetryAttempts": 10_000,
            "BisectBatchOnFunctionError": True,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "MaximumConcurrency": 1,
        },
        {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": "mine", "ConsumptionMode": "Stream"}},
        {"ProvisionedPollerConfig": {"MinimumPollers": 1, "MaximumPollers": 2000, "PollerGroupName": ""}},
        {
            "SourceAccessConfigurations": [
                {"Type": "VPC_SUBNET", "URI": "subnet:subnet-1"},
                {"Type": "VPC_SECURITY_GROUP", "URI": "security_group:sg-1"},
                {
                    "Type": "SERVER_ROOT_CA_CERTIFICATE",
                    "URI": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ca",
                },
            ]
        },
    ],
)
def test_a_kafka_mapping_may_go_to_awss_limits(fields):
    assert complaints({**KAFKA, **fields}) == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "mine"}, "SourceEndpointUrl": "b-1:9094,b-2:65535"},
        {"SourceAccessConfigurations": [{"Type": "SERVER_ROOT_CA_CERTIFICATE", "URI": "file:///etc/ca.pem"}]},
        {"Tls": False},
    ],
)
def test_an_msk_mapping_needs_no_login_no_certificate_and_no_brokers(fields):
    assert complaints(written(EventSourceArn=MSK, Topics=["events"], StartingPosition="LATEST", **fields)) == []


def test_what_is_left_out_of_a_kafka_mapping_has_awss_defaults():
    it = resolve(KAFKA).mapping

    assert it is not None
    assert (it.batch_size, it.window, it.retry_attempts, it.record_age) == (100, 0.5, None, None)
    assert (it.bisect_batch_on_function_error, it.report_batch_item_failures, it.concurrency_limit) == (
        False,
        False,
        None,
    )


def test_neutral_values_of_what_is_not_carried_out_for_kafka_are_accepted():
    neutral = {
        "DestinationConfig": {"OnFailure": {}},
        "FilterCriteria": {"Filters": []},
        "KMSKeyArn": "",
        "ParallelizationFactor": 1,
        "TumblingWindowInSeconds": 0,
        "ScalingConfig": {},
        "Queues": [],
    }

    assert resolve({**KAFKA, **neutral}) == resolve(KAFKA)


@pytest.mark.parametrize("port", ["0", "65536", "99999", "009092", "\u0661"])
def test_a_brokers_port_is_one(port):
    own = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [f"kafka:{port}"]}}
    msk = written(
        EventSourceArn=MSK, Topics=["events"], StartingPosition="LATEST", SourceEndpointUrl=f"b-1:9092,b-2:{port}"
    )

    assert complaints({**KAFKA, "SelfManagedEventSource": own}) == [
        ("SelfManagedEventSource", "is not a broker's address; write HOST:PORT")
    ]
    assert complaints(msk) == [("SourceEndpointUrl", "is not a list of MSK's brokers; write HOST:PORT,HOST:PORT")]


def test_defaults_are_merged_field_by_field_and_whole():
    defaults = {"BatchSize": 5, "ScalingConfig": {"MaximumConcurrency": 5}, "FunctionResponseTypes": ["x"]}

    result = merged(defaults, written(ScalingConfig={}, FunctionResponseTypes=[]))

    assert result == written(BatchSize=5, ScalingConfig={}, FunctionResponseTypes=[])


def test_defaults_that_the_source_does_not_have_are_skipped():
    defaults = {"ParallelizationFactor": 2, "StartingPosition": "LATEST", "ScalingConfig": {"MaximumConcurrency": 5}}

    kept = [set(merged(defaults, written(EventSourceArn=arn))) & set(defaults) for arn in (QUEUE, STREAM, MSK)]

    assert kept == [{"ScalingConfig"}, {"ParallelizationFactor", "StartingPosition"}, {"StartingPosition"}]


def test_a_default_source_does_not_get_into_a_self_managed_kafka():
    own = {"Name": "events", "SelfManagedEventSource": SELF_MANAGED}

    assert merged({"EventSourceArn": QUEUE, "Topics": ["t"]}, own) == {**own, "Topics": ["t"]}
