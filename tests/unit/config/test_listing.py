import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from outboard.config.listing import describe
from outboard.config.mapping import EventSourceMapping
from tests.unit.config.snippets import MSK, QUEUE, SELF_MANAGED, STREAM, mapping, written

UUID = "14e0db71-5d35-4eb5-b481-8945cf9d10c2"


def checked(**fields):
    """A mapping with something that is not supported yet."""
    return EventSourceMapping.model_validate(written(UUID=UUID, BatchSize=100, **fields))


def test_an_sqs_mapping_is_printed_as_aws_prints_it():
    assert describe(mapping(UUID=UUID), "Enabled", None, 1741076477.441) == {
        "UUID": UUID,
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "EventSourceArn": QUEUE,
        "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:process",
        "LastModified": 1741076477.441,
        "State": "Enabled",
        "StateTransitionReason": "USER_INITIATED",
        "FunctionResponseTypes": [],
        "EventSourceMappingArn": f"arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:{UUID}",
    }


def test_what_an_sqs_mapping_has_beyond_the_usual_is_printed_and_ours_is_not():
    it = mapping(
        FunctionName="process:live",
        ScalingConfig={"MaximumConcurrency": 5},
        FunctionResponseTypes=["ReportBatchItemFailures"],
        MaximumConcurrency=3,
        SourceEndpointUrl="http://localhost:9324",
    )

    printed = describe(it, "Disabled", "The queue does not exist.", 1.0)

    assert printed["FunctionArn"].endswith(":function:process:live")
    assert printed["ScalingConfig"] == {"MaximumConcurrency": 5}
    assert printed["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert (printed["State"], printed["StateTransitionReason"]) == ("Disabled", "The queue does not exist.")
    assert (
        printed.keys() & {"Name", "MaximumConcurrency", "SourceEndpointUrl", "InvokeTimeoutSeconds", "Enabled"} == set()
    )


def test_a_stream_is_printed_with_awss_defaults():
    it = mapping(UUID=UUID, EventSourceArn=STREAM, StartingPosition="LATEST")

    assert describe(it, "Enabled", None, 1.5) == {
        "UUID": UUID,
        "StartingPosition": "LATEST",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "EventSourceArn": STREAM,
        "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:process",
        "LastModified": 1.5,
        "LastProcessingResult": "No records processed",
        "State": "Enabled",
        "StateTransitionReason": "User action",
        "DestinationConfig": {"OnFailure": {}},
        "MaximumRecordAgeInSeconds": -1,
        "BisectBatchOnFunctionError": False,
        "MaximumRetryAttempts": -1,
        "TumblingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "EventSourceMappingArn": f"arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:{UUID}",
    }


def test_a_stream_that_was_read_from_is_printed_with_what_came_of_it():
    it = mapping(EventSourceArn=STREAM, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1738324800)

    printed = describe(it, "Enabled", None, 1.5, "PROBLEM: Function call failed")

    assert printed["LastProcessingResult"] == "PROBLEM: Function call failed"
    assert (printed["StartingPosition"], printed["StartingPositionTimestamp"]) == ("AT_TIMESTAMP", 1738324800.0)


def test_a_destination_is_printed():
    destination = {"OnFailure": {"Destination": "arn:aws:s3:::failed"}}
    it = checked(EventSourceArn=STREAM, StartingPosition="LATEST", DestinationConfig=destination)

    assert describe(it, "Enabled", None, 1.5, "OK")["DestinationConfig"] == destination


def test_a_self_managed_kafka_is_printed_without_an_arn():
    fields = written(UUID=UUID, BatchSize=100, Topics=["events"], SelfManagedEventSource=SELF_MANAGED)
    del fields["EventSourceArn"]

    printed = describe(EventSourceMapping.model_validate(fields), "Enabled", None, 1.5)

    assert "EventSourceArn" not in printed
    assert (printed["Topics"], printed["SelfManagedEventSource"]) == (["events"], SELF_MANAGED)


@pytest.mark.parametrize(
    "it",
    [
        mapping(MetricsConfig={"Metrics": ["EventCount"]}),
        checked(EventSourceArn=STREAM, StartingPosition="LATEST"),
        checked(EventSourceArn=MSK, StartingPosition="LATEST", Topics=["t"], Tls=True),
    ],
)
def test_only_what_aws_prints_is_printed(it):
    answer = ServiceModel(Loader().load_service_model("lambda", "service-2"), "lambda").shape_for(
        "EventSourceMappingConfiguration"
    )

    assert describe(it, "Enabled", None, 1.5).keys() - answer.members.keys() == set()
