"""Knows what a user's functions look like: three handlers, two of them written with Powertools for AWS Lambda."""

import time
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from outboard.demo import ledger

orders = BatchProcessor(event_type=EventType.SQS)
payments = SqsFifoPartialProcessor(skip_group_on_error=True)


def process_orders(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A standard queue: what fails is reported, and comes back alone."""
    return dict(process_partial_response(event, ship, orders, context))


def process_payments(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A FIFO queue: with a failed payment, the same customer's later ones are handed back too: none overtakes."""
    return dict(process_partial_response(event, ship, payments, context))


def count_clicks(event: dict[str, Any], _context: Any) -> None:
    """A large batch collected over a window, which succeeds or fails as a whole."""
    clicks = [SQSRecord(record).json_body for record in event["Records"]]
    time.sleep(0.05)
    for click in clicks:
        ledger.enter(click["id"])


def ship(record: SQSRecord) -> None:
    """Blocks as much real code does. Some messages can never succeed, some not the first time."""
    order = record.json_body
    time.sleep(0.01)
    if order["address"] is None:
        raise ValueError(f"{order['id']} has no address")
    if order["carrier"] == "unsteady" and record.attributes.approximate_receive_count == "1":
        raise TimeoutError(f"the carrier of {order['id']} did not answer")
    ledger.enter(order["id"])
