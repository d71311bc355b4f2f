"""The table of metrics keeps the rules that promtool checks, and Prometheus' and AWS's conventions."""

import re

import pytest

from outboard.observe.catalogue import METRICS, OF_LANES, SOURCE_TYPES, Kind, Metric, of_mapping, of_process
from outboard.observe.facts import MappingFacts

BASE_UNITS = {"seconds", "bytes", "events"}
OTHER_UNITS = re.compile(
    r"_(milliseconds?|microseconds?|nanoseconds?|minutes?|hours?|days?|ms|us|ns|sec|s|kilobytes|megabytes|bits|kb|mb|percent)(_|$)"
)
TYPES = {"counter", "gauge", "histogram", "summary"}

each_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


def test_no_two_metrics_share_a_name() -> None:
    names = [metric.name for metric in METRICS]

    assert sorted(set(names)) == sorted(names)


@each_metric
def test_a_name_is_lower_case_words(metric: Metric) -> None:
    assert re.fullmatch(r"outboard(_[a-z]+)+", metric.full_name)


@each_metric
def test_only_counters_end_in_total_and_no_metric_takes_a_reserved_ending(metric: Metric) -> None:
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not metric.name.endswith(("_count", "_sum", "_bucket", "_created"))


@each_metric
def test_units_are_base_units_and_a_name_does_not_repeat_its_type(metric: Metric) -> None:
    assert OTHER_UNITS.search(metric.name) is None
    assert set(metric.name.split("_")) & TYPES == set()


@each_metric
def test_an_info_is_a_gauge_with_open_labels(metric: Metric) -> None:
    if metric.name.endswith("_info"):
        assert metric.kind is Kind.GAUGE
        assert all(values == () for values in metric.labels.values())


@each_metric
def test_help_is_a_sentence(metric: Metric) -> None:
    assert re.fullmatch(r"[A-Z1][^\n\\]*\.", metric.help)


@each_metric
def test_labels_are_snake_case_and_not_reserved(metric: Metric) -> None:
    for label in metric.labels:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", label)
        assert label not in {"mapping", "le", "quantile", "job", "instance"}


@each_metric
def test_histograms_alone_have_buckets_which_ascend_and_name_a_unit(metric: Metric) -> None:
    assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets)
    assert sorted(set(metric.buckets)) == list(metric.buckets)
    if metric.buckets:
        assert metric.name.rsplit("_", 1)[1] in BASE_UNITS


@each_metric
def test_a_metric_of_a_mapping_has_closed_labels_but_for_info_and_for_gauges_of_shards(metric: Metric) -> None:
    if metric in OF_LANES:
        assert metric.kind is Kind.GAUGE
        assert dict(metric.labels) in ({"shard": ()}, {"partition": ()})
    elif metric.sources and metric.name != "mapping_info":
        assert all(metric.labels.values())
        assert len(metric.labels) <= 1


@each_metric
def test_sources_are_known(metric: Metric) -> None:
    assert set(metric.sources) <= set(SOURCE_TYPES)


def test_each_metric_belongs_to_mappings_or_to_the_process() -> None:
    of_mappings = {metric.name for source in SOURCE_TYPES for metric in of_mapping(source)}
    process = {metric.name for metric in of_process()}

    assert of_mappings & process == set()
    assert of_mappings | process == {metric.name for metric in METRICS}


def test_queues_and_streams_have_what_the_other_has_not() -> None:
    of_sqs, of_kinesis = ({metric.name for metric in of_mapping(source)} for source in ("sqs", "kinesis"))

    assert of_sqs - of_kinesis == {
        "deleted_events_total",
        "failed_delete_events_total",
        "returned_events_total",
        "handed_back_events_total",
        "pollers",
        "visibility_extensions_total",
        "lost_visibility_events_total",
    }
    assert of_kinesis - of_sqs == {
        "iterator_age_seconds",
        "behind_latest_seconds",
        "shards_owned",
        "shards_waiting",
        "shards_done_total",
        "position_resets_total",
        "commit_errors_total",
        "unsaved_checkpoint_age_seconds",
        "last_checkpoint_timestamp_seconds",
    }


def test_a_consumer_group_has_what_neither_queues_nor_streams_have_and_no_age_of_an_iterator() -> None:
    of_sqs, of_kinesis, of_kafka = (
        {metric.name for metric in of_mapping(source)} for source in ("sqs", "kinesis", "kafka")
    )

    assert of_kafka - of_sqs - of_kinesis == {
        "offset_lag",
        "partitions_owned",
        "rebalances_total",
        "committed_events_total",
        "discarded_events_total",
        "expired_events_total",
    }
    assert (of_kafka & of_kinesis) - of_sqs == {
        "position_resets_total",
        "commit_errors_total",
        "unsaved_checkpoint_age_seconds",
        "last_checkpoint_timestamp_seconds",
    }
    assert (of_kafka & of_sqs) - of_kinesis == {"pollers"}


def test_a_lane_has_the_label_that_its_source_calls_it_by() -> None:
    for source in SOURCE_TYPES:
        labels = {label for metric in of_mapping(source) if metric in OF_LANES for label in metric.labels}

        assert labels <= {MappingFacts(name="m", uuid="u", source_type=source).lane_word}


def test_every_count_that_cloudwatch_has_for_sqs_is_there_under_its_prometheus_name() -> None:
    names = {metric.cloudwatch: metric.full_name for metric in of_mapping("sqs") if metric.cloudwatch}

    assert {
        "PolledEventCount": "outboard_polled_events_total",
        "FilteredOutEventCount": "outboard_filtered_out_events_total",
        "InvokedEventCount": "outboard_invoked_events_total",
        "FailedInvokeEventCount": "outboard_failed_invoke_events_total",
        "DroppedEventCount": "outboard_dropped_events_total",
        "DeletedEventCount": "outboard_deleted_events_total",
    }.items() <= names.items()


def test_every_metric_that_cloudwatch_has_for_streams_is_there_under_its_prometheus_name() -> None:
    names = {metric.cloudwatch: metric.full_name for metric in of_mapping("kinesis") if metric.cloudwatch}

    assert {
        "PolledEventCount": "outboard_polled_events_total",
        "FilteredOutEventCount": "outboard_filtered_out_events_total",
        "InvokedEventCount": "outboard_invoked_events_total",
        "FailedInvokeEventCount": "outboard_failed_invoke_events_total",
        "DroppedEventCount": "outboard_dropped_events_total",
        "IteratorAge": "outboard_iterator_age_seconds",
        "CommitErrorCount": "outboard_commit_errors_total",
    }.items() <= names.items()


def test_every_metric_that_cloudwatch_has_for_kafka_is_there_under_its_prometheus_name() -> None:
    names = {metric.cloudwatch: metric.full_name for metric in of_mapping("kafka") if metric.cloudwatch}

    assert {
        "PolledEventCount": "outboard_polled_events_total",
        "FilteredOutEventCount": "outboard_filtered_out_events_total",
        "InvokedEventCount": "outboard_invoked_events_total",
        "FailedInvokeEventCount": "outboard_failed_invoke_events_total",
        "DroppedEventCount": "outboard_dropped_events_total",
        "CommittedEventCount": "outboard_committed_events_total",
        "CommitErrorCount": "outboard_commit_errors_total",
        "PollingErrorCount": "outboard_polling_errors_total",
        "InvokeErrorCount": "outboard_invoke_errors_total",
        "OffsetLag": "outboard_offset_lag",
        "ProvisionedPollers": "outboard_pollers",
    }.items() <= names.items()
