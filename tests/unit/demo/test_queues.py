"""The demo's queues, on the demo's own SQS server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from outboard.demo import parts
from outboard.demo.load import message
from outboard.demo.parts import PartError
from outboard.demo.queues import FUNCTIONS, ORDERS, PAYMENTS, Queues, connected, dead_letter_queue, entry
from outboard.demo.worker import handler_at


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Queues]:
    async with parts.aws_server(tmp_path) as (_part, url), connected(url, "key", "secret") as queues:
        await queues.create()
        yield queues


def test_a_fifo_queue_s_dead_letter_queue_is_fifo() -> None:
    assert [dead_letter_queue(name) for name in ("orders", "payments.fifo")] == ["orders-dead", "payments-dead.fifo"]


def test_a_message_with_a_key_is_sent_to_its_group() -> None:
    sent = message(PAYMENTS, 13)

    assert entry(sent) == {
        "Id": "13",
        "MessageBody": sent.body,
        "MessageGroupId": "customer-1",
        "MessageDeduplicationId": "payments-000013",
    }


def test_every_mapping_s_function_exists() -> None:
    named = {str(workload.mapping["FunctionName"]) for workload in Queues(None).workloads}

    assert named == set(FUNCTIONS)
    assert [callable(handler_at(path)) for path in FUNCTIONS.values()] == [True] * len(FUNCTIONS)


async def test_what_was_sent_is_the_backlog_and_then_what_is_left(source: Queues) -> None:
    messages = [message(ORDERS, number) for number in range(1, 24)]

    await source.send(ORDERS, messages)

    assert await source.backlog(ORDERS) == 23
    assert sorted(await source.left(ORDERS)) == [each.identifier for each in messages]
    assert (await source.backlog(ORDERS), await source.given_up(ORDERS)) == (0, [])


async def test_a_server_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    async with parts.aws_server(tmp_path) as (_part, url):
        pass
    async with connected(url, "key", "secret") as queues:
        with pytest.raises(PartError, match=r"The demo could not create the queue orders-dead: "):
            await queues.create()
