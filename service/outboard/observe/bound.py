"""Knows the series of one mapping by name: looked up once, so that counting is an addition."""

from outboard.observe.facts import InvokeOutcome, PollResult
from outboard.observe.metrics import MappingSeries

#: The counts of `/mappings` and the metrics whose sums they are.
_COUNTS = {
    "polledEvents": "polled_events_total",
    "filteredOutEvents": "filtered_out_events_total",
    "invokedEvents": "invoked_events_total",
    "failedInvokeEvents": "failed_invoke_events_total",
    "deliveredEvents": "delivered_events_total",
    "deletedEvents": "deleted_events_total",
    "returnedEvents": "returned_events_total",
    "handedBackEvents": "handed_back_events_total",
    "droppedEvents": "dropped_events_total",
    "invocations": "invocations_total",
    "invokeErrors": "invoke_errors_total",
    "batchItemFailures": "batch_item_failures_total",
    "batchRetries": "batch_retries_total",
    "pollingErrors": "polling_errors_total",
}


class Reading:
    """What is counted between the source and the batch."""

    def __init__(self, series: MappingSeries) -> None:
        self.polled_events = series.counter("polled_events_total")
        self.polled_bytes = series.counter("polled_bytes_total")
        self.polls = series.counters("polls_total")
        self.polls_with_records = self.polls[PollResult.RECORDS]
        self.polls_without = self.polls[PollResult.EMPTY]
        self.poll_seconds = series.histogram("poll_duration_seconds")
        self.last_poll = series.gauge("last_successful_poll_timestamp_seconds")
        self.polling_errors = series.counters("polling_errors_total")
        self.filtered_out = series.counter("filtered_out_events_total")
        self.pollers = series.gauge("pollers")
        self.buffered_events = series.gauge("buffered_events")
        self.buffered_bytes = series.gauge("buffered_bytes")
        self.extensions = series.counter("visibility_extensions_total")
        self.lost_visibility = series.counter("lost_visibility_events_total")


class Invoking:
    """What is counted between the batch and the function's answer."""

    def __init__(self, series: MappingSeries) -> None:
        self.invoked_events = series.counter("invoked_events_total")
        self.failed_invoke_events = series.counter("failed_invoke_events_total")
        self.invocations = series.counters("invocations_total")
        self.successes = self.invocations[InvokeOutcome.SUCCESS]
        self.invoke_errors = series.counters("invoke_errors_total")
        self.invoke_seconds = series.histogram("invoke_duration_seconds")
        self.batch_events = series.histogram("batch_size_events")
        self.batch_bytes = series.histogram("batch_payload_bytes")
        self.item_failures = series.counter("batch_item_failures_total")
        self.retries = series.counter("batch_retries_total")
        self.bisections = series.counter("batch_bisections_total")
        self.in_use = series.gauge("concurrency_in_use")
        self.limit = series.gauge("concurrency_limit")


class Positions:
    """What is counted about shards and the positions in them."""

    def __init__(self, series: MappingSeries) -> None:
        self.owned = series.gauge("shards_owned")
        self.waiting = series.gauge("shards_waiting")
        self.done = series.counter("shards_done_total")
        self.resets = series.counters("position_resets_total")
        self.commit_errors = series.counters("commit_errors_total")
        self.last_checkpoint = series.gauge("last_checkpoint_timestamp_seconds")


class Settling:
    """What is counted between the function's answer and the end of a record's way."""

    def __init__(self, series: MappingSeries) -> None:
        self.delivered = series.counter("delivered_events_total")
        self.latency = series.histogram("event_latency_seconds")
        self.deleted = series.counter("deleted_events_total")
        self.failed_deletes = series.counter("failed_delete_events_total")
        self.returned = series.counter("returned_events_total")
        self.handed_back = series.counter("handed_back_events_total")
        self.dropped = series.counters("dropped_events_total")


def counts(series: MappingSeries) -> dict[str, int]:
    """The counts that `/mappings` shows."""
    return {shown: series.total(name) for shown, name in _COUNTS.items()}
