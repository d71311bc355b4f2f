import pytest

from outboard.config.arns import SourceType
from outboard.config.resolving import MAPPING_FIELDS
from outboard.config.support import (
    CARRIED_OUT,
    DEFAULTS,
    INSTEAD,
    MSK_ONLY,
    NEUTRAL,
    NOT_CARRIED_OUT,
    SELF_MANAGED_ONLY,
    SOURCES_OF,
    has,
    is_neutral,
    owners,
)


def test_every_table_names_fields_that_exist():
    named = {*SOURCES_OF, *NOT_CARRIED_OUT, *NEUTRAL, *MSK_ONLY, *SELF_MANAGED_ONLY, *(field for _, field in INSTEAD)}
    named.update(*DEFAULTS.values())

    assert named - MAPPING_FIELDS == set()


def test_every_source_has_its_defaults():
    assert set(DEFAULTS) == set(SourceType)


def test_only_sources_that_are_carried_out_have_fields_that_are_not():
    assert frozenset().union(*NOT_CARRIED_OUT.values()) <= CARRIED_OUT


def test_only_fields_that_a_source_has_can_wait_for_being_carried_out():
    assert {field: sources - SOURCES_OF[field] for field, sources in NOT_CARRIED_OUT.items()} == dict.fromkeys(
        NOT_CARRIED_OUT, frozenset()
    )


@pytest.mark.parametrize(
    ("field", "value", "neutral"),
    [
        ("DestinationConfig", {"OnFailure": {}}, True),
        ("DestinationConfig", {"OnSuccess": {}, "OnFailure": {"Destination": ""}}, True),
        ("DestinationConfig", {"OnFailure": {"Destination": "arn:x"}}, False),
        ("FilterCriteria", {"Filters": []}, True),
        ("FilterCriteria", {"Filters": [{}]}, False),
        ("ParallelizationFactor", 1, True),
        ("ParallelizationFactor", True, False),
        ("ParallelizationFactor", 2, False),
        ("TumblingWindowInSeconds", 0, True),
        ("TumblingWindowInSeconds", False, False),
        ("MaximumRetryAttempts", -1, True),
        ("MaximumRetryAttempts", 0, False),
        ("BisectBatchOnFunctionError", False, True),
        ("KMSKeyArn", "", True),
        ("StartingPosition", None, True),
        ("Topics", [], True),
        ("SourceAccessConfigurations", [{"Type": "VPC_SUBNET", "URI": "subnet:subnet-1"}], True),
        ("SourceAccessConfigurations", [{"Type": "BASIC_AUTH", "URI": "env:X"}], False),
        ("SourceAccessConfigurations", ["VPC_SUBNET"], False),
        ("Tls", False, False),
    ],
)
def test_what_aws_prints_for_a_field_out_of_use_is_neutral(field, value, neutral):
    assert is_neutral(field, value) is neutral


def test_kafkas_two_kinds_have_fields_of_their_own():
    told = [
        has(field, SourceType.KAFKA, self_managed=self_managed)
        for field in ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig", "Topics")
        for self_managed in (False, True)
    ]

    assert told == [True, False, False, True, True, True]


def test_owners_are_listed_as_in_a_sentence():
    assert [owners("Topics"), owners("ParallelizationFactor")] == ["Kafka", "Kinesis and DynamoDB"]
