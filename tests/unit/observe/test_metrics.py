"""What `/metrics` exposes, judged by prometheus_client: the same series, written the same way."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from outboard.observe import catalogue
from outboard.observe.catalogue import Kind
from outboard.observe.facts import MappingFacts
from outboard.observe.metrics import Metrics
from tests.unit.observe.stage import ORDERS

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def ours(text: bytes) -> list[str]:
    """The lines about our own metrics: those about the process change from one look to the next."""
    return [line for line in text.decode().splitlines() if "outboard_" in line or line == "# EOF"]


def named(name: str, source_type: str = "sqs") -> MappingFacts:
    return MappingFacts(name=name, uuid=name, source_type=source_type)


def test_every_series_of_a_mapping_is_there_from_the_start_at_zero() -> None:
    metrics = Metrics()
    metrics.open(ORDERS)

    for metric in catalogue.of_mapping("sqs"):
        if metric.kind is Kind.HISTOGRAM or metric.name == "mapping_info":
            continue
        for values in product(*metric.labels.values()):
            labels = {"mapping": "orders", **dict(zip(metric.labels, values, strict=True))}
            assert metrics.registry.get_sample_value(metric.full_name, labels) == 0.0, (metric.name, labels)


def test_a_histogram_starts_with_empty_buckets() -> None:
    metrics = Metrics()
    metrics.open(ORDERS)

    read = metrics.registry.get_sample_value

    assert read("outboard_invoke_duration_seconds_bucket", {"mapping": "orders", "le": "+Inf"}) == 0.0
    assert read("outboard_invoke_duration_seconds_bucket", {"mapping": "orders", "le": "0.005"}) == 0.0
    assert read("outboard_invoke_duration_seconds_count", {"mapping": "orders"}) == 0.0


def test_info_says_what_the_mapping_connects() -> None:
    metrics = Metrics()
    metrics.open(ORDERS)

    labels = {
        "mapping": "orders",
        "uuid": ORDERS.uuid,
        "source_type": "sqs",
        "function_arn": ORDERS.function_arn,
        "event_source_arn": ORDERS.source_arn,
        "batch_size": "10",
    }

    assert metrics.registry.get_sample_value("outboard_mapping_info", labels) == 1.0


@pytest.mark.parametrize("source_type", catalogue.SOURCE_TYPES)
def test_a_mapping_costs_at_most_150_series(source_type: str) -> None:
    assert 0 < len(Metrics().open(named("orders", source_type))) <= 150


def test_a_closed_mapping_leaves_no_series_behind() -> None:
    metrics = Metrics()
    before = ours(metrics.expose()[0])
    series = metrics.open(ORDERS)
    metrics.open(named("bills"))

    metrics.close(series)

    assert [line for line in ours(metrics.expose()[0]) if "orders" in line] == []
    assert [line for line in ours(metrics.expose()[0]) if 'mapping="bills"' in line] != []
    assert len(before) < len(ours(metrics.expose()[0]))


def test_a_new_mapping_takes_the_place_of_a_draining_one_with_its_name_and_keeps_it() -> None:
    metrics = Metrics()
    old = metrics.open(named("orders"))
    old.counter("polled_events_total").inc(5)
    new = metrics.open(named("orders"))
    new.counter("polled_events_total").inc(2)

    metrics.close(old)

    assert metrics.registry.get_sample_value("outboard_polled_events_total", {"mapping": "orders"}) == 2.0


def test_what_a_source_does_not_have_can_be_counted_and_is_not_exposed() -> None:
    metrics = Metrics()
    metrics.open(named("stream", "kinesis")).counter("deleted_events_total").inc()

    assert b"outboard_deleted_events" not in metrics.expose()[0]


def test_the_gauges_of_a_shard_are_there_from_their_first_value_until_they_are_forgotten() -> None:
    metrics = Metrics()
    series = metrics.open(named("clicks", "kinesis"))
    labels = {"mapping": "clicks", "shard": "shard-1"}
    read = metrics.registry.get_sample_value
    seen = [read("outboard_behind_latest_seconds", labels)]
    series.set_of_lane("behind_latest_seconds", "shard-1", 5.0)
    series.set_of_lane("iterator_age_seconds", "shard-1", 7.0)
    seen += [read(f"outboard_{name}", labels) for name in ("behind_latest_seconds", "iterator_age_seconds")]
    series.forget_lane("shard-1")
    seen += [read(f"outboard_{name}", labels) for name in ("behind_latest_seconds", "iterator_age_seconds")]

    assert seen == [None, 5.0, 7.0, None, None]
    assert b"shard-1" not in metrics.expose()[0]


def test_the_gauge_of_a_partition_says_so_and_can_be_added_up() -> None:
    metrics = Metrics()
    series = metrics.open(named("trades", "kafka"))
    seen = [series.of_lanes("offset_lag")]
    for partition, lag in (("0", 5.0), ("1", 7.0), ("0", 6.0)):
        series.set_of_lane("offset_lag", partition, lag)
    seen.append(series.of_lanes("offset_lag"))

    assert seen == [[], [6.0, 7.0]]
    assert metrics.registry.get_sample_value("outboard_offset_lag", {"mapping": "trades", "partition": "1"}) == 7.0
    series.forget_lane("1")
    assert series.of_lanes("offset_lag") == [6.0]
    assert metrics.open(named("orders")).of_lanes("offset_lag") == []


@given(shards=st.dictionaries(st.text(max_size=8), st.floats(0, 1e6), max_size=4))
def test_the_gauges_of_shards_are_written_as_prometheus_client_writes_them(shards: dict[str, float]) -> None:
    metrics = Metrics()
    series = metrics.open(named("clicks", "kinesis"))
    for shard, behind in shards.items():
        series.set_of_lane("behind_latest_seconds", shard, behind)

    assert ours(metrics.expose()[0]) == ours(generate_latest(metrics.registry))
    assert ours(metrics.expose(OPENMETRICS)[0]) == ours(generate_openmetrics(metrics.registry))


def test_a_misspelt_metric_is_an_error() -> None:
    with pytest.raises(KeyError):
        Metrics().open(ORDERS).counter("poled_events_total")


@given(
    name=st.text(min_size=1, max_size=12),
    counted=st.integers(0, 10**12),
    seconds=st.lists(st.floats(0, 2000, allow_nan=False), max_size=5),
)
def test_the_text_is_what_prometheus_client_writes(name: str, counted: int, seconds: list[float]) -> None:
    metrics = Metrics()
    series = metrics.open(named(name))
    metrics.open(named("another"))
    series.counter("invocations_total", "throttled").inc(counted)
    series.gauge("buffered_bytes").set(counted / 3)
    for value in seconds:
        series.histogram("invoke_duration_seconds").observe(value)

    assert ours(metrics.expose()[0]) == ours(generate_latest(metrics.registry))
    assert ours(metrics.expose(OPENMETRICS)[0]) == ours(generate_openmetrics(metrics.registry))


def test_a_histogram_is_written_anew_after_each_observation() -> None:
    metrics = Metrics()
    latency = metrics.open(ORDERS).histogram("event_latency_seconds")
    for value in (0.2, 7.0):
        latency.observe(value)
        metrics.expose()

    assert ours(metrics.expose()[0]) == ours(generate_latest(metrics.registry))


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    metrics = Metrics()
    metrics.open(ORDERS).histogram("batch_size_events").observe(10)

    read = metrics.registry.get_sample_value

    assert read("outboard_batch_size_events_bucket", {"mapping": "orders", "le": "10.0"}) == 1.0
    assert read("outboard_batch_size_events_bucket", {"mapping": "orders", "le": "5.0"}) == 0.0


def test_prometheus_text_is_served_by_default_and_parses() -> None:
    metrics = Metrics()
    metrics.open(ORDERS)
    text, content_type = metrics.expose()
    families = {family.name: family.type for family in parse_text(text.decode())}

    assert content_type.startswith("text/plain; version=0.0.4")
    assert families["outboard_polled_events"] == "counter"
    assert families["outboard_invoke_duration_seconds"] == "histogram"


def test_openmetrics_is_served_on_request_and_parses() -> None:
    metrics = Metrics()
    metrics.open(ORDERS)
    text, content_type = metrics.expose(OPENMETRICS)
    families = {family.name for family in parse_openmetrics(text.decode())}

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.count(b"# EOF\n") == 1
    assert text.endswith(b"# EOF\n")
    assert {"outboard_polled_events", "outboard_aws_requests", "process_resident_memory_bytes"} <= families


def test_no_created_series_are_exposed() -> None:
    metrics = Metrics()
    metrics.open(ORDERS)
    metrics.counter("aws_requests_total").labels("sqs", "ReceiveMessage", "OK").inc()

    assert b"_created" not in metrics.expose()[0]
    assert b"_created" not in metrics.expose(OPENMETRICS)[0]


def test_the_process_starts_with_its_enumerated_counters_at_zero() -> None:
    read = Metrics().registry.get_sample_value

    assert [read("outboard_config_reloads_total", {"result": result}) for result in ("applied", "refused")] == [
        0.0,
        0.0,
    ]
    assert read("outboard_draining") == 0.0
