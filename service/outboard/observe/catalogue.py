"""Knows every metric that exists: one table, from which the registry, the documentation and the tests are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from outboard.core.records import DropReason
from outboard.observe.facts import ErrorClass, InvokeError, InvokeOutcome, MappingState, PollResult, enumerated

PREFIX = "outboard_"

#: What `sourceType` can be.
SOURCE_TYPES = ("sqs", "kinesis", "dynamodb", "kafka", "mq", "documentdb")


class Kind(StrEnum):
    """A metric's type, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: without the prefix.
        help: a sentence.
        labels: beside `mapping`; each with the values it starts with at 0, none where the values are open.
        buckets: upper bounds of a histogram, ascending.
        sources: the source types whose mappings have it; empty for a metric of the whole process.
        cloudwatch: the name under which CloudWatch has it.
        promql: the query that shows what CloudWatch would, where it is not the type's usual one.
    """

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    buckets: Sequence[float] = ()
    sources: Sequence[str] = SOURCE_TYPES
    cloudwatch: str = ""
    promql: str = ""

    @property
    def full_name(self) -> str:
        return PREFIX + self.name

    @property
    def label_names(self) -> tuple[str, ...]:
        return (*(("mapping",) if self.sources else ()), *self.labels)


_SECONDS_OF_INVOKE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
_SECONDS_OF_POLL = (0.01, 0.05, 0.25, 1.0, 5.0, 10.0, 20.0)
_SECONDS_OF_LATENCY = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 3600.0)
_EVENTS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 10000.0)
_BYTES = (1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 6291456.0)

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_QUEUES = ("sqs",)
_PROCESS: Sequence[str] = ()


_FLOW = (
    Metric("polled_events_total", _C, "Events read from the source.", cloudwatch="PolledEventCount"),
    Metric(
        "polled_bytes_total",
        _C,
        "Bytes of event JSON that the events read from the source make.",
        cloudwatch="EventPollerThroughputInBytes",
    ),
    Metric(
        "filtered_out_events_total",
        _C,
        "Events that no filter matched; they are settled without an invoke.",
        cloudwatch="FilteredOutEventCount",
    ),
    Metric(
        "invoked_events_total",
        _C,
        "Events sent to the function, counted again each time they are sent again.",
        cloudwatch="InvokedEventCount",
    ),
    Metric(
        "failed_invoke_events_total",
        _C,
        "Events whose invoke failed; of a partial response, those that the function reported as failed.",
        cloudwatch="FailedInvokeEventCount",
    ),
    Metric("delivered_events_total", _C, "Events that the function reported as done."),
    Metric(
        "deleted_events_total",
        _C,
        "Events deleted from the queue after they were delivered.",
        sources=_QUEUES,
        cloudwatch="DeletedEventCount",
    ),
    Metric(
        "failed_delete_events_total",
        _C,
        "Delivered events that could not be deleted and will come again.",
        sources=_QUEUES,
    ),
    Metric(
        "returned_events_total",
        _C,
        "Events that the function failed and that went back to the source, to come again.",
        sources=_QUEUES,
    ),
    Metric(
        "handed_back_events_total",
        _C,
        "Events that were read, never sent, and given back to the source.",
        sources=_QUEUES,
    ),
    Metric(
        "dropped_events_total",
        _C,
        "Events given up for good, without an on-failure destination having accepted them.",
        {"reason": enumerated(DropReason)},
        cloudwatch="DroppedEventCount",
    ),
    Metric(
        "event_latency_seconds",
        _H,
        "Time from a delivered batch's oldest event reaching the source to its delivery.",
        buckets=_SECONDS_OF_LATENCY,
    ),
    Metric(
        "oldest_unsettled_age_seconds",
        _G,
        "Age of the oldest event that is held and not settled; 0 when caught up.",
    ),
)

_POLLING = (
    Metric("polls_total", _C, "Reads from the source, by how they ended.", {"result": enumerated(PollResult)}),
    Metric(
        "poll_duration_seconds",
        _H,
        "Time that a successful read from the source took, long polling included.",
        buckets=_SECONDS_OF_POLL,
    ),
    Metric("last_successful_poll_timestamp_seconds", _G, "When the source was last read successfully; 0 if never yet."),
    Metric(
        "polling_errors_total",
        _C,
        "Reads from the source that failed.",
        {"error": enumerated(ErrorClass)},
        cloudwatch="PollingErrorCount",
    ),
    Metric("pollers", _G, "Lanes that read from the source now.", cloudwatch="ProvisionedPollers"),
    Metric(
        "visibility_extensions_total",
        _C,
        "Messages whose visibility time-out was extended, each time counted.",
        sources=_QUEUES,
    ),
    Metric(
        "lost_visibility_events_total",
        _C,
        "Messages whose visibility time-out could not be kept, so that they may come again while they are at work.",
        sources=_QUEUES,
    ),
)

_INVOKING = (
    Metric(
        "invocations_total",
        _C,
        "Invokes that ended, by how.",
        {"outcome": enumerated(InvokeOutcome)},
        cloudwatch="Invocations",
        promql="sum by (mapping) (rate(outboard_invocations_total"
        '{outcome=~"success|partial_failure|invalid_response|function_error|timeout"}[5m]))',
    ),
    Metric(
        "invoke_errors_total",
        _C,
        "Invokes that failed as a whole, by the class of the error.",
        {"error": enumerated(InvokeError)},
        cloudwatch="InvokeErrorCount",
    ),
    Metric(
        "invoke_duration_seconds",
        _H,
        "Time that an invoke took, however it ended.",
        buckets=_SECONDS_OF_INVOKE,
        cloudwatch="Duration",
        promql="histogram_quantile(0.99, sum by (mapping, le) (rate(outboard_invoke_duration_seconds_bucket[5m])))",
    ),
    Metric("batch_size_events", _H, "Events in a batch that was sent.", buckets=_EVENTS),
    Metric("batch_payload_bytes", _H, "Bytes in the payload of a batch that was sent.", buckets=_BYTES),
    Metric("batch_item_failures_total", _C, "Events that functions reported in batchItemFailures."),
    Metric("batch_retries_total", _C, "Invokes of a batch that had been sent before."),
    Metric(
        "batch_bisections_total", _C, "Batches split in two: after a failure, or because Lambda refused their size."
    ),
    Metric("concurrency_in_use", _G, "Invokes under way now.", cloudwatch="ConcurrentExecutions"),
    Metric("concurrency_limit", _G, "Invokes that may be under way at once: the cap, less what throttles took away."),
)

_MAPPING = (
    Metric("buffered_events", _G, "Events held in memory now."),
    Metric("buffered_bytes", _G, "Bytes of the budget that are taken now."),
    Metric(
        "mapping_state",
        _G,
        "1 for the state that the mapping is in, 0 for every other.",
        {"state": enumerated(MappingState)},
    ),
    Metric(
        "mapping_info",
        _G,
        "Always 1; its labels say what the mapping connects.",
        {"uuid": (), "source_type": (), "function_arn": (), "event_source_arn": (), "batch_size": ()},
    ),
)

_OF_THE_PROCESS = (
    Metric(
        "build_info", _G, "Always 1; its labels name what is running.", {"version": (), "python": ()}, sources=_PROCESS
    ),
    Metric(
        "config_info",
        _G,
        "Always 1; its label is the hash of the configuration in force.",
        {"hash": ()},
        sources=_PROCESS,
    ),
    Metric(
        "config_reloads_total",
        _C,
        "Changed configurations that were looked at, by what became of them.",
        {"result": ("applied", "refused")},
        sources=_PROCESS,
    ),
    Metric(
        "config_last_reload_success_timestamp_seconds",
        _G,
        "When the configuration in force was loaded.",
        sources=_PROCESS,
    ),
    Metric(
        "config_last_reload_successful",
        _G,
        "1 if the newest configuration is the one in force, 0 if it was refused.",
        sources=_PROCESS,
    ),
    Metric(
        "config_restart_required",
        _G,
        "1 if the configuration has changes that only a restart brings into force.",
        sources=_PROCESS,
    ),
    Metric(
        "buffer_limit_bytes", _G, "Bytes that all mappings together may hold: MaximumBufferedBytes.", sources=_PROCESS
    ),
    Metric(
        "event_loop_lag_seconds", _G, "How late the event loop runs what is due, as a moving average.", sources=_PROCESS
    ),
    Metric("draining", _G, "1 while the process finishes its invokes before it ends, else 0.", sources=_PROCESS),
    Metric(
        "aws_requests_total",
        _C,
        "Requests to AWS or to what speaks its protocols, by the answer's error code, or OK.",
        {"service": (), "operation": (), "code": ()},
        sources=_PROCESS,
    ),
)

#: Every metric, in the order in which it is documented and exposed.
METRICS: Sequence[Metric] = (*_FLOW, *_POLLING, *_INVOKING, *_MAPPING, *_OF_THE_PROCESS)


def of_mapping(source_type: str) -> Sequence[Metric]:
    """The metrics that every mapping of a source type has."""
    return [metric for metric in METRICS if source_type in metric.sources]


def of_process() -> Sequence[Metric]:
    """The metrics that the process has once."""
    return [metric for metric in METRICS if not metric.sources]


if __name__ == "__main__":
    from outboard.observe.reference import print_reference

    print_reference()
