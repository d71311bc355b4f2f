"""Knows what a user's functions look like: four handlers, three of them written with Powertools for AWS Lambda."""

import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from outboard.demo import ledger

orders = BatchProcessor(event_type=EventType.SQS)
payments = SqsFifoPartialProcessor(skip_group_on_error=True)
parcels = BatchProcessor(event_type=EventType.KinesisDataStreams)


def process_orders(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A standard queue: what fails is reported, and comes back alone."""
    return dict(process_partial_response(event, ship, orders, context))


def process_payments(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A FIFO queue: with a failed payment, the same customer's later ones are handed back too: none overtakes."""
    return dict(process_partial_response(event, ship, payments, context))


def track_parcels(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A stream: what is behind a failed parcel comes again with it, so it is left for then: none overtakes."""
    alone = len(event["Records"]) == 1
    failed = list[str]()

    def track(record: KinesisStreamRecord) -> None:
        parcel = record.kinesis.data_as_json()
        if failed:
            raise RuntimeError(f"{parcel['id']} is behind {failed[0]}")
        try:
            # A record of a stream does not know how often it was sent: the function's own notes do.
            work_off(parcel, tried=lambda: ledger.has_failed(parcel["id"]))
        except (ValueError, TimeoutError):
            failed.append(parcel["id"])
            ledger.enter_failure(parcel["id"], alone=alone)
            raise

    return dict(process_partial_response(event, track, parcels, context))


def count_clicks(event: dict[str, Any], _context: Any) -> None:
    """A large batch collected over a window, which succeeds or fails as a whole."""
    clicks = [SQSRecord(record).json_body for record in event["Records"]]
    time.sleep(0.05)
    for click in clicks:
        ledger.enter(click["id"])


def ship(record: SQSRecord) -> None:
    """A message knows how often it was received."""
    work_off(record.json_body, tried=lambda: record.attributes.approximate_receive_count != "1")


def work_off(order: dict[str, Any], tried: Callable[[], bool]) -> None:
    """Blocks as much real code does. Some orders can never succeed, some not the first time."""
    time.sleep(0.01)
    if order["address"] is None:
        raise ValueError(f"{order['id']} has no address")
    if order["carrier"] == "unsteady" and not tried():
        raise TimeoutError(f"the carrier of {order['id']} did not answer")
    ledger.enter(order["id"])
