"""The demo's handlers, given AWS's events, answer as Powertools does and note what they finished."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

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


def failures(*numbers: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": f"m{number}"} for number in numbers]}


def test_sound_orders_are_finished(notes: Path) -> None:
    answer = handlers.process_orders({"Records": [record(SOUND, 1), record(SOUND, 2)]}, CONTEXT)

    assert answer == failures()
    assert ledger.entries(notes) == ["orders-000001", "orders-000002"]


def test_poison_and_first_time_flaky_orders_are_reported_and_not_finished(notes: Path) -> None:
    event = {"Records": [record(POISON, 1), record(FLAKY, 2), record(SOUND, 3), record(FLAKY, 4, received=2)]}

    assert handlers.process_orders(event, CONTEXT) == failures(1, 2)
    assert ledger.entries(notes) == ["orders-000003", "orders-000004"]


def test_a_batch_in_which_every_order_fails_is_a_function_error(notes: Path) -> None:
    with pytest.raises(BatchProcessingError):
        handlers.process_orders({"Records": [record(POISON, 1)]}, CONTEXT)

    assert ledger.entries(notes) == []


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
    assert ledger.entries(notes) == ["orders-000001", "orders-000004"]


def test_clicks_are_finished_as_a_whole(notes: Path) -> None:
    event = {"Records": [record(SOUND, number) for number in (1, 2, 3)]}

    assert handlers.count_clicks(event, CONTEXT) is None
    assert ledger.entries(notes) == ["orders-000001", "orders-000002", "orders-000003"]


def test_a_ledger_that_nobody_wrote_to_is_empty(tmp_path: Path) -> None:
    assert ledger.entries(tmp_path / "none.txt") == []
