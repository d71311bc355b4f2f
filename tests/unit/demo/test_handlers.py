"""The demo's handlers, given AWS's events, answer as Powertools does and note what they finished."""

import base64
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outboard.demo import handlers, ledger
from outboard.demo.load import message
from outboard.demo.worker import Context
from outboard.demo.world import Workload

CONTEXT = Context("process-orders", "request")
SOUND = Workload("orders", share=1.0)
FLAKY = Workload("orders", share=1.0, flaky_every=1)
POISON = Workload("orders", share=1.0, poison_every=1)


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Path]:
    """The ledger that the handlers find in their environment."""
    path = tmp_path / "ledger.txt"
    os.environ[ledger.VARIABLE] = str(path)
    yield path
    del os.environ[ledger.VARIABLE]


def record(workload: Workload, number: int, *, received: int = 1, group: str = "") -> dict[str, Any]:
    attributes = {"ApproximateReceiveCount": str(received)} | ({"MessageGroupId": group} if group else {})
    return {
        "messageId": f"m{number}",
        "receiptHandle": "handle",
        "body": message(workload, number).body,
        "attributes": attributes,
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:orders",
        "awsRegion": "eu-west-1",
    }


def parcel(workload: Workload, number: int) -> dict[str, Any]:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "customer-1",
            "sequenceNumber": str(number),
            "data": base64.b64encode(message(workload, number).body.encode()).decode(),
            "approximateArrivalTimestamp": 1735236331.5,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/outboard",
        "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
    }


def invoice(workload: Workload, number: int, customer: str = "a") -> dict[str, Any]:
    return {
        "topic": "invoices",
        "partition": 2,
        "offset": number,
        "timestamp": 1735236331500,
        "timestampType": "CREATE_TIME",
        "key": base64.b64encode(customer.encode()).decode(),
        "value": base64.b64encode(message(workload, number).body.encode()).decode(),
        "headers": [],
    }


def invoices(*records: dict[str, Any]) -> dict[str, Any]:
    return {
        "eventSource": "SelfManagedKafka",
        "bootstrapServers": "127.0.0.1:9092",
        "records": {"invoices-2": [*records]},
    }


def failed_offsets(*offsets: int) -> dict[str, Any]:
    return {
        "batchItemFailures": [{"itemIdentifier": {"partition": "invoices-2", "offset": offset}} for offset in offsets]
    }


def failures(*numbers: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": f"m{number}"} for number in numbers]}


def test_sound_orders_are_finished(notes: Path) -> None:
    answer = handlers.process_orders({"Records": [record(SOUND, 1), record(SOUND, 2)]}, CONTEXT)

    assert answer == failures()
    assert ledger.notes(notes).finished == ["orders-000001", "orders-000002"]


def test_poison_and_first_time_flaky_orders_are_reported_and_not_finished(notes: Path) -> None:
    event = {"Records": [record(POISON, 1), record(FLAKY, 2), record(SOUND, 3), record(FLAKY, 4, received=2)]}

    assert handlers.process_orders(event, CONTEXT) == failures(1, 2)
    assert ledger.notes(notes).finished == ["orders-000003", "orders-000004"]


def test_a_batch_in_which_every_order_fails_is_an_error_of_the_function_that_says_what_the_first_one_has(
    notes: Path,
) -> None:
    with pytest.raises(ValueError, match=r"^orders-000001 has no address$"):
        handlers.process_orders({"Records": [record(POISON, 1), record(POISON, 2)]}, CONTEXT)

    assert ledger.notes(notes).finished == []


def test_behind_a_failed_payment_those_of_its_group_are_handed_back_and_others_are_not(notes: Path) -> None:
    event = {
        "Records": [
            record(SOUND, 1, group="a"),
            record(FLAKY, 2, group="a"),
            record(SOUND, 3, group="a"),
            record(SOUND, 4, group="b"),
        ]
    }

    assert handlers.process_payments(event, CONTEXT) == failures(2, 3)
    assert ledger.notes(notes).finished == ["orders-000001", "orders-000004"]


def test_clicks_are_finished_as_a_whole(notes: Path) -> None:
    event = {"Records": [record(SOUND, number) for number in (1, 2, 3)]}

    assert handlers.count_clicks(event, CONTEXT) is None
    assert ledger.notes(notes).finished == ["orders-000001", "orders-000002", "orders-000003"]


def test_behind_a_failed_parcel_nothing_is_tried(notes: Path) -> None:
    event = {"Records": [parcel(SOUND, 1), parcel(POISON, 2), parcel(SOUND, 3), parcel(POISON, 4)]}

    assert handlers.track_parcels(event, CONTEXT) == {
        "batchItemFailures": [{"itemIdentifier": str(number)} for number in (2, 3, 4)]
    }
    assert ledger.notes(notes) == ledger.Notes(["orders-000001"], Counter())
    assert (ledger.has_failed("orders-000002"), ledger.has_failed("orders-000004")) == (True, False)


def test_a_flaky_parcel_fails_once(notes: Path) -> None:
    event = {"Records": [parcel(SOUND, 1), parcel(FLAKY, 2)]}

    answers = [handlers.track_parcels(event, CONTEXT) for _ in range(2)]

    assert answers == [{"batchItemFailures": [{"itemIdentifier": "2"}]}, {"batchItemFailures": []}]


def test_a_parcel_that_fails_alone_is_a_function_error_and_noted_as_such(notes: Path) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="no address"):
            handlers.track_parcels({"Records": [parcel(POISON, 1)]}, CONTEXT)

    assert ledger.notes(notes) == ledger.Notes([], Counter({"orders-000001": 2}))


def test_a_new_invoke_begins_anew_behind_the_failure_of_another(notes: Path) -> None:
    with pytest.raises(ValueError, match="no address"):
        handlers.track_parcels({"Records": [parcel(POISON, 1)]}, CONTEXT)

    assert handlers.track_parcels({"Records": [parcel(SOUND, 2)]}, CONTEXT) == {"batchItemFailures": []}


def test_behind_a_failed_invoice_those_of_its_customer_are_listed_too_and_others_are_done(notes: Path) -> None:
    event = invoices(invoice(SOUND, 1), invoice(POISON, 2), invoice(SOUND, 3), invoice(SOUND, 4, "b"))

    assert handlers.mail_invoices(event, CONTEXT) == failed_offsets(2, 3)
    assert ledger.notes(notes).finished == ["orders-000001", "orders-000004"]
    assert (ledger.has_failed("orders-000002"), ledger.has_failed("orders-000003")) == (True, False)


def test_a_flaky_invoice_fails_once(notes: Path) -> None:
    event = invoices(invoice(SOUND, 1), invoice(FLAKY, 2))

    assert [handlers.mail_invoices(event, CONTEXT) for _ in range(2)] == [failed_offsets(2), failed_offsets()]
    assert ledger.notes(notes) == ledger.Notes(["orders-000001", "orders-000001", "orders-000002"], Counter())


def test_an_invoice_that_fails_alone_is_noted_as_such(notes: Path) -> None:
    with pytest.raises(ValueError, match=r"^orders-000001 has no address$"):
        handlers.mail_invoices(invoices(invoice(POISON, 1)), CONTEXT)

    assert ledger.notes(notes) == ledger.Notes([], Counter({"orders-000001": 1}))
