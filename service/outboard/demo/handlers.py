"""Knows what a user's functions look like: five handlers, four of them written with Powertools for AWS Lambda."""

import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from aws_lambda_powertools.utilities.data_classes.kafka_event import KafkaEventRecord
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from outboard.demo import ledger

orders = BatchProcessor(event_type=EventType.SQS)
payments = SqsFifoPartialProcessor(skip_group_on_error=True)
parcels = BatchProcessor(event_type=EventType.KinesisDataStreams)
invoices = BatchProcessor(event_type=EventType.Kafka)


def process_orders(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A standard queue: what fails is reported, and comes back alone."""
    return answer(event, ship, orders, context)


def process_payments(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A FIFO queue: with a failed payment, the same customer's later ones are handed back too: none overtakes."""
    return answer(event, ship, payments, context)


def track_parcels(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A stream: what is behind a failed parcel comes again with it, so it is left for then: none overtakes."""
    alone = len(event["Records"]) == 1
    failed: dict[str, str] = {}

    def track(record: KinesisStreamRecord) -> None:
        work_off_in_turn(record.kinesis.data_as_json(), "the shard", failed, alone=alone)

    return answer(event, track, parcels, context)


def mail_invoices(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A topic: only what is listed comes again, so the same customer's later ones are listed too: none overtakes."""
    alone = sum(len(records) for records in event["records"].values()) == 1
    failed: dict[str, str] = {}

    def mail(record: KafkaEventRecord) -> None:
        work_off_in_turn(record.json_value, str(record.key), failed, alone=alone)

    return answer(event, mail, invoices, context)


def count_clicks(event: dict[str, Any], _context: Any) -> None:
    """A large batch collected over a window, which succeeds or fails as a whole."""
    clicks = [SQSRecord(record).json_body for record in event["Records"]]
    time.sleep(0.05)
    for click in clicks:
        ledger.enter(click["id"])


def ship(record: SQSRecord) -> None:
    """A message knows how often it was received."""
    work_off(record.json_body, tried=lambda: record.attributes.approximate_receive_count != "1")


def work_off_in_turn(order: dict[str, Any], turn: str, failed: dict[str, str], *, alone: bool) -> None:
    """Work it off unless one before it failed in the same `turn`; `failed` keeps the first that did, by turn."""
    if turn in failed:
        raise RuntimeError(f"{order['id']} is behind {failed[turn]}")
    try:
        # A record does not know how often it was sent: the function's own notes do.
        work_off(order, tried=lambda: ledger.has_failed(order["id"]))
    except (ValueError, TimeoutError):
        failed[turn] = order["id"]
        ledger.enter_failure(order["id"], alone=alone)
        raise


def work_off(order: dict[str, Any], tried: Callable[[], bool]) -> None:
    """Blocks as much real code does. Some orders can never succeed, some not the first time."""
    time.sleep(0.01)
    if order["address"] is None:
        raise ValueError(f"{order['id']} has no address")
    if order["carrier"] == "unsteady" and not tried():
        raise TimeoutError(f"the carrier of {order['id']} did not answer")
    ledger.enter(order["id"])


def answer(event: dict[str, Any], handle: Callable[..., None], processor: Any, context: Any) -> dict[str, Any]:
    """What Powertools answers; where all records failed, what the first one failed with, instead of every traceback."""
    try:
        return dict(process_partial_response(event, handle, processor, context))
    except BatchProcessingError as failure:
        raise next((error for _, error, _ in failure.child_exceptions if error), failure) from None
