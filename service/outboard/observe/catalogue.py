"""Knows every metric that exists: one table, from which the registry, the documentation and the tests are made."""

from collections.abc import Mapping, Sequence

from outboard.core.records import DropReason
from outboard.observe.definition import PREFIX, SOURCE_TYPES, Kind, Metric
from outboard.observe.facts import (
    CommitError,
    ErrorClass,
    InvokeError,
    InvokeOutcome,
    MappingState,
    PollResult,
    PositionReset,
    enumerated,
)
from outboard.observe.process_metrics import OF_THE_PROCESS

__all__ = ["METRICS", "OF_LANES", "PREFIX", "SOURCE_TYPES", "Kind", "Metric", "of_mapping", "of_process"]

_SECONDS_OF_INVOKE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
_SECONDS_OF_POLL = (0.01, 0.05, 0.25, 1.0, 5.0, 10.0, 20.0)
_SECONDS_OF_LATENCY = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 3600.0)
_EVENTS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 10000.0)
_BYTES = (1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 6291456.0)

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_QUEUES = ("sqs",)
_SHARDED = ("kinesis", "dynamodb")
_GROUPS = ("kafka",)
_POSITIONED = (*_SHARDED, *_GROUPS, "documentdb")

#: The labels of the gauges that each shard or partition has; they are on no counter and no histogram.
LANE_LABELS = frozenset({"shard", "partition"})
_OF_EACH_SHARD: Mapping[str, Sequence[str]] = {"shard": ()}
_OF_EACH_PARTITION: Mapping[str, Sequence[str]] = {"partition": ()}


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
        "Events that went back to the queue to come again: failed, too large, or of the message group of a failed one.",
        sources=_QUEUES,
    ),
    Metric(
        "handed_back_events_total",
        _C,
        "Events given back to the queue at once, at a stop, since no function has them: unsent, or due for a retry.",
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
        "Age of the oldest event known and not settled; while the source cannot be read, at least for how long.",
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
        "Reads from the source that failed, and failed tries to open it, which are no reads (polls_total).",
        {"error": enumerated(ErrorClass)},
        cloudwatch="PollingErrorCount",
    ),
    Metric(
        "pollers",
        _G,
        "Pollers that read from the source now.",
        sources=tuple(each for each in SOURCE_TYPES if each not in _SHARDED),
        cloudwatch="ProvisionedPollers",
    ),
    Metric(
        "visibility_extensions_total",
        _C,
        "Messages whose visibility timeout was extended, each time counted.",
        sources=_QUEUES,
    ),
    Metric(
        "lost_visibility_events_total",
        _C,
        "Messages whose visibility timeout could not be kept, so that they may come again while they are at work.",
        sources=_QUEUES,
    ),
)

_SHARDS = (
    Metric(
        "iterator_age_seconds",
        _G,
        "Age of the last event of the batch that was sent last, when it was sent.",
        _OF_EACH_SHARD,
        sources=_SHARDED,
        cloudwatch="IteratorAge",
        promql="max by (mapping) (outboard_iterator_age_seconds)",
    ),
    Metric(
        "behind_latest_seconds",
        _G,
        "How far the last read was from the shard's newest event: MillisBehindLatest.",
        _OF_EACH_SHARD,
        sources=_SHARDED,
    ),
    Metric("shards_owned", _G, "Shards that are read now.", sources=_SHARDED),
    Metric("shards_waiting", _G, "Shards that are read once those they came from are done.", sources=_SHARDED),
    Metric("shards_done_total", _C, "Closed shards whose events are all settled.", sources=_SHARDED),
    Metric(
        "position_resets_total",
        _C,
        "Positions lost: the source does not know them and is read from its beginning, or what followed has expired.",
        {"reason": enumerated(PositionReset)},
        sources=(*_SHARDED, *_GROUPS),
    ),
    Metric(
        "offset_lag",
        _G,
        "Offsets between what is settled of a partition and its end, as of the last read.",
        _OF_EACH_PARTITION,
        sources=_GROUPS,
        cloudwatch="OffsetLag",
    ),
    Metric("partitions_owned", _G, "Partitions that the group has given to this process.", sources=_GROUPS),
    Metric("rebalances_total", _C, "Rebalances of the group that this process took part in.", sources=_GROUPS),
    Metric(
        "committed_events_total",
        _C,
        "Offsets by which the group's committed positions advanced, gaps included.",
        sources=_GROUPS,
        cloudwatch="CommittedEventCount",
    ),
    Metric(
        "discarded_events_total",
        _C,
        "Events that were sent, but whose partition had gone to another member meanwhile, which will send them again.",
        sources=_GROUPS,
    ),
    Metric(
        "expired_events_total",
        _C,
        "Offsets whose events the source deleted before they were read.",
        sources=_GROUPS,
    ),
    Metric(
        "commit_errors_total",
        _C,
        "Attempts to save positions that failed; they are repeated.",
        {"error": enumerated(CommitError)},
        sources=_POSITIONED,
        cloudwatch="CommitErrorCount",
    ),
    Metric(
        "unsaved_checkpoint_age_seconds",
        _G,
        "For how long positions could not be saved; 0 while they can.",
        sources=_POSITIONED,
    ),
    Metric(
        "last_checkpoint_timestamp_seconds",
        _G,
        "When the state that holds the mapping's positions was last saved; 0 if not since the start.",
        sources=_POSITIONED,
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

#: Every metric, in the order in which it is documented and exposed.
METRICS: Sequence[Metric] = (*_FLOW, *_POLLING, *_SHARDS, *_INVOKING, *_MAPPING, *OF_THE_PROCESS)

#: Those that a mapping has once for each shard or partition.
OF_LANES: Sequence[Metric] = tuple(metric for metric in METRICS if LANE_LABELS & metric.labels.keys())


def of_mapping(source_type: str) -> Sequence[Metric]:
    """The metrics that every mapping of a source type has."""
    return [metric for metric in METRICS if source_type in metric.sources]


def of_process() -> Sequence[Metric]:
    """The metrics that the process has once."""
    return [metric for metric in METRICS if not metric.sources]


if __name__ == "__main__":
    from outboard.observe.reference import print_reference

    print_reference()
