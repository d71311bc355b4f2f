"""The calls that a poller makes, and how their answers are read."""

from typing import Any

import pytest

from outboard.aws.calls import CallFailed, Refused
from outboard.config.arns import Arn
from outboard.sources.sqs.queue import EntryError, SqsQueue, url_of
from tests.unit.sources.sqs.fake import URL, FakeSqs, failed
from tests.unit.virtual import virtual

HANDLES = ["a", "b", "c"]


def queue_answering(operation: str, answer: dict[str, Any]) -> SqsQueue:
    sqs = FakeSqs()
    sqs.answers[operation] = [lambda _: answer]
    return SqsQueue(sqs, URL)


def done(*identifiers: str) -> list[dict[str, str]]:
    return [{"Id": identifier} for identifier in identifiers]


@pytest.mark.parametrize("endpoint", ["https://sqs.eu-west-1.amazonaws.com", "https://sqs.eu-west-1.amazonaws.com/"])
def test_a_url_is_made_of_endpoint_and_arn(endpoint: str) -> None:
    queue = Arn.parse("arn:aws:sqs:eu-west-1:123456789012:orders.fifo")

    assert url_of(endpoint, queue) == "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo"


@virtual
async def test_a_receive_asks_for_all_attributes() -> None:
    sqs = FakeSqs()
    sqs.send("m-1")

    messages = await SqsQueue(sqs, URL).receive(7, 20, None)

    assert [message["MessageId"] for message in messages] == ["m-1"]
    assert sqs.made("ReceiveMessage") == [
        {
            "QueueUrl": URL,
            "MaxNumberOfMessages": 7,
            "WaitTimeSeconds": 20,
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        }
    ]


@virtual
async def test_a_receive_names_a_visibility_only_where_it_differs() -> None:
    sqs = FakeSqs()

    await SqsQueue(sqs, URL).receive(1, 0, 10)

    assert sqs.made("ReceiveMessage")[0]["VisibilityTimeout"] == 10


@pytest.mark.parametrize("answer", [{}, {"Messages": None}, {"Messages": []}])
@virtual
async def test_a_receive_without_messages_brings_none(answer: dict[str, Any]) -> None:
    assert len(await queue_answering("ReceiveMessage", answer).receive(10, 0, None)) == 0


@virtual
async def test_the_visibility_timeout_is_the_queues_and_sqss_own_where_it_says_nothing() -> None:
    assert (await SqsQueue(FakeSqs(90), URL).attributes()).visibility_timeout == 90
    assert (await queue_answering("GetQueueAttributes", {}).attributes()).visibility_timeout == 30


@virtual
async def test_a_delete_without_errors_reports_none() -> None:
    queue = queue_answering("DeleteMessageBatch", {"Successful": done("0", "1", "2")})

    assert await queue.delete(HANDLES) == {}


@virtual
async def test_failed_entries_are_reported_by_handle() -> None:
    answer = {"Successful": done("0", "2"), "Failed": [failed("1", "InternalError", fault=False)]}

    errors = await queue_answering("DeleteMessageBatch", answer).delete(HANDLES)

    assert errors == {"b": EntryError("InternalError", "it did not work", sender_fault=False)}


@pytest.mark.parametrize("operation", ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"])
@pytest.mark.parametrize(
    ("answer", "not_done"),
    [
        ({}, ["a", "b", "c"]),
        ({"Successful": done("1")}, ["a", "c"]),
        ({"Successful": done("2"), "Failed": [failed("0", "InternalError")]}, ["a", "b"]),
        ({"Failed": [failed("1", "InternalError")]}, ["a", "b", "c"]),
        ({"Successful": done("0", "0", "0")}, ["b", "c"]),
    ],
)
@virtual
async def test_an_entry_that_the_answer_does_not_mention_counts_as_not_done(
    operation: str, answer: dict[str, Any], not_done: list[str]
) -> None:
    queue = queue_answering(operation, answer)
    if operation == "DeleteMessageBatch":
        errors = await queue.delete(HANDLES)
    else:
        errors = await queue.change_visibility([(handle, 30) for handle in HANDLES])

    assert sorted(errors) == not_done


@virtual
async def test_visibility_is_changed_entry_by_entry() -> None:
    sqs = FakeSqs()

    await SqsQueue(sqs, URL).change_visibility([("a", 0), ("b", 30)])

    assert sqs.made("ChangeMessageVisibilityBatch")[0]["Entries"] == [
        {"Id": "0", "ReceiptHandle": "a", "VisibilityTimeout": 0},
        {"Id": "1", "ReceiptHandle": "b", "VisibilityTimeout": 30},
    ]


@virtual
async def test_a_refused_call_is_not_tried_again_here() -> None:
    sqs = FakeSqs()
    sqs.answers["DeleteMessageBatch"] = [Refused(500, "InternalFailure", "try again")]

    with pytest.raises(Refused, match="try again"):
        await SqsQueue(sqs, URL).delete(HANDLES)

    assert len(sqs.made("DeleteMessageBatch")) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"Messages": "none"},
        {"Messages": ["text"]},
        {"Messages": [{"MessageId": "m-1", "Body": "no handle"}]},
        {"Messages": [{"MessageId": 1, "ReceiptHandle": "h", "Body": "b"}]},
    ],
)
@virtual
async def test_an_unreadable_receive_is_a_failed_call(answer: dict[str, Any]) -> None:
    with pytest.raises(CallFailed, match="not what SQS documents"):
        await queue_answering("ReceiveMessage", answer).receive(10, 0, None)


@pytest.mark.parametrize("answer", [{"Failed": [{}]}, {"Failed": [{"Id": "9"}]}, {"Successful": [{"Id": "x"}]}])
@virtual
async def test_an_unreadable_batch_answer_is_a_failed_call(answer: dict[str, Any]) -> None:
    with pytest.raises(CallFailed, match="not what SQS documents"):
        await queue_answering("DeleteMessageBatch", answer).delete(HANDLES)


@virtual
async def test_unreadable_attributes_are_a_failed_call() -> None:
    queue = queue_answering("GetQueueAttributes", {"Attributes": {"VisibilityTimeout": "soon"}})

    with pytest.raises(CallFailed, match="not what SQS documents"):
        await queue.attributes()
