"""What the service says of itself over HTTP becomes one snapshot."""

from outboard.demo.watch import Reading, Snapshot, snapshot

METRICS = """\
# HELP outboard_delivered_events_total Events that the function reported as done.
# TYPE outboard_delivered_events_total counter
outboard_delivered_events_total{mapping="orders"} 41.0
outboard_delivered_events_total{mapping="parcels"} 7.0
# TYPE outboard_failed_invoke_events_total counter
outboard_failed_invoke_events_total{mapping="orders"} 3.0
outboard_failed_invoke_events_total{mapping="parcels"} 9.0
# TYPE outboard_batch_retries_total counter
outboard_batch_retries_total{mapping="parcels"} 8.0
# TYPE outboard_returned_events_total counter
outboard_returned_events_total{mapping="orders"} 2.0
# TYPE outboard_deleted_events_total counter
outboard_deleted_events_total{mapping="orders"} 40.0
# TYPE outboard_dropped_events_total counter
outboard_dropped_events_total{mapping="orders",reason="retry_attempts_exhausted"} 0.0
outboard_dropped_events_total{mapping="parcels",reason="retry_attempts_exhausted"} 2.0
outboard_dropped_events_total{mapping="parcels",reason="record_age_exceeded"} 1.0
# TYPE outboard_concurrency_in_use gauge
outboard_concurrency_in_use{mapping="orders"} 5.0
"""


def mapping(name: str, **fields: object) -> dict[str, object]:
    return {
        "name": name,
        "uuid": "u",
        "sourceType": "sqs",
        "state": "Enabled",
        "stateReason": "",
        "lastError": None,
        "inFlight": 5,
        "lagSeconds": 1.5,
        "lagRecords": None,
        "counts": {},
    } | fields


def test_a_snapshot_joins_mappings_and_counters() -> None:
    seen = snapshot({"configHash": "x", "mappings": [mapping("orders")]}, METRICS, 12.5)

    expected = Reading("orders", "Enabled", "", 5, 1.5, delivered=41, failed=3, came_back=2, removed=40)
    assert seen == Snapshot(12.5, (expected,))


def test_a_stream_takes_nothing_back_and_deletes_nothing() -> None:
    [seen] = snapshot({"mappings": [mapping("parcels")]}, METRICS, 0).readings

    counts = {"delivered": 7, "failed": 9, "came_back": 6, "retries": 8, "removed": 7, "dropped": 3}
    assert seen == Reading("parcels", "Enabled", "", 5, 1.5, **counts)


def test_a_counter_that_is_not_there_yet_is_zero() -> None:
    [seen] = snapshot({"mappings": [mapping("clicks", inFlight=0, lagSeconds=None)]}, METRICS, 0).readings

    assert seen == Reading("clicks", "Enabled")


def test_the_reason_is_the_state_s_and_otherwise_the_last_error_s_first_line() -> None:
    error = {"at": 1, "type": "ValueError", "message": "no address\nTraceback ..."}
    mappings = [mapping("a", stateReason="no such queue", lastError=error), mapping("b", lastError=error), mapping("c")]

    assert [each.reason for each in snapshot({"mappings": mappings}, "", 0).readings] == [
        "no such queue",
        "no address",
        "",
    ]
