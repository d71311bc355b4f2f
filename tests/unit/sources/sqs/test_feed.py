"""A poller's feed reads what its lane can send now and memory allows, and settles what came of it."""

import asyncio
from collections.abc import Sequence

import pytest

from outboard.aws.calls import CallFailed, Refused, TimedOut
from outboard.core.records import DropReason, Record
from outboard.sources.sqs.feed import SqsFeed
from tests.unit.sources.sqs.fake import BROKEN, Scene, described
from tests.unit.virtual import virtual

KIB = 1024


def now() -> float:
    return asyncio.get_running_loop().time()


def elapsed() -> float:
    return now() - 1000.0


async def read(feed: SqsFeed, limit: int = 10, until: float | None = None) -> Sequence[Record]:
    records = await feed.read(limit, until)
    assert records is not None
    return records


def named(records: Sequence[Record]) -> list[str]:
    return [str(record.identifier) for record in records]


# Reading


@virtual
async def test_a_read_is_one_receive_whose_messages_are_held() -> None:
    scene = Scene()
    scene.sqs.send("m-1", "m-2")

    records = await read(SqsFeed(scene.desk))

    assert named(records) == ["m-1", "m-2"]
    assert [record.token for record in records] == ["m-1#1", "m-2#2"]
    assert scene.receipts.held == 2
    assert scene.stage.value("polled_events_total") == 2
    assert scene.stage.value("buffered_events") == 2


@pytest.mark.parametrize(("limit", "asked"), [(1, 1), (7, 7), (10, 10), (10_000, 10)])
@virtual
async def test_no_more_is_asked_for_than_the_batch_takes_and_sqs_gives(limit: int, asked: int) -> None:
    scene = Scene()
    scene.sqs.send(*[f"m-{number}" for number in range(20)])

    records = await read(SqsFeed(scene.desk), limit)

    assert len(records) == asked
    assert scene.sqs.made("ReceiveMessage")[0]["MaxNumberOfMessages"] == asked


@virtual
async def test_with_nothing_held_it_polls_long() -> None:
    scene = Scene()

    assert named(await read(SqsFeed(scene.desk))) == []

    assert elapsed() == pytest.approx(20)
    assert scene.sqs.made("ReceiveMessage")[0]["WaitTimeSeconds"] == 20


@pytest.mark.parametrize(("seconds", "wait"), [(300.0, 20), (7.9, 7), (0.9, 0)])
@virtual
async def test_a_poll_ends_within_the_window(seconds: float, wait: int) -> None:
    scene = Scene(window=300)

    await read(SqsFeed(scene.desk), 10, now() + seconds)

    assert scene.sqs.made("ReceiveMessage")[0]["WaitTimeSeconds"] == wait
    assert elapsed() <= seconds


@virtual
async def test_short_polls_at_a_windows_end_do_not_follow_each_other_at_once() -> None:
    scene = Scene(window=1)
    feed, until = SqsFeed(scene.desk), now() + 0.9
    while now() < until - 1e-6:
        await read(feed, 10, until)

    assert scene.sqs.times("ReceiveMessage") == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert elapsed() == pytest.approx(0.9)


@virtual
async def test_a_queue_with_a_short_time_out_is_asked_for_a_longer_one() -> None:
    scene = Scene(visibility=2)

    await read(SqsFeed(scene.desk), 10, now())

    assert scene.sqs.made("ReceiveMessage")[0]["VisibilityTimeout"] == 10


@virtual
async def test_a_poller_that_is_one_too_many_ends_unless_it_holds_something() -> None:
    scene = Scene()
    scene.pace.too_many = True
    feed = SqsFeed(scene.desk)

    assert await feed.read(10, None) is None
    assert await feed.read(10, now()) is not None
    assert len(scene.sqs.made("ReceiveMessage")) == 1


@virtual
async def test_the_pace_is_told_of_every_receive() -> None:
    scene = Scene()
    scene.sqs.send(*[f"m-{number}" for number in range(12)])
    scene.sqs.answers["ReceiveMessage"] = [BROKEN]
    feed = SqsFeed(scene.desk)
    for _ in range(4):
        await read(feed)

    assert scene.pace.polls == 4
    assert scene.pace.told == [(0, 10, False), (10, 10, True), (2, 10, True), (0, 10, False)]


# Stopping


@virtual
async def test_a_stopped_feed_reads_nothing() -> None:
    scene = Scene()
    feed = SqsFeed(scene.desk)
    feed.stop()

    assert await feed.read(10, None) is None
    assert scene.sqs.calls == []


@virtual
async def test_a_receive_under_way_is_never_cut_off() -> None:
    scene = Scene()
    feed, loop = SqsFeed(scene.desk), asyncio.get_running_loop()
    loop.call_later(1, feed.stop)
    loop.call_later(5, scene.sqs.send, "m-1")

    assert named(await read(feed)) == ["m-1"]
    assert elapsed() == pytest.approx(5, abs=0.1)
    assert scene.receipts.held == 1


@virtual
async def test_a_stop_ends_a_wait_for_memory() -> None:
    scene = Scene(budget=1024 * KIB)
    while scene.share.try_take(KIB):
        pass
    feed = SqsFeed(scene.desk)
    asyncio.get_running_loop().call_later(3, feed.stop)

    assert await feed.read(10, None) is None
    assert elapsed() == pytest.approx(3)
    assert scene.share.used == 1024 * KIB
    assert scene.sqs.calls == []


@virtual
async def test_memory_that_comes_with_the_stop_is_given_back() -> None:
    scene = Scene(budget=1024 * KIB)
    while scene.share.try_take(KIB):
        pass
    feed, loop = SqsFeed(scene.desk), asyncio.get_running_loop()
    loop.call_later(3, lambda: (scene.share.give_back(1024 * KIB), feed.stop()))

    assert await feed.read(10, None) is None
    assert scene.share.used == 0
    assert scene.sqs.calls == []


@virtual
async def test_a_stop_ends_the_pause_after_a_failure() -> None:
    scene = Scene()
    scene.sqs.answers["ReceiveMessage"] = [BROKEN] * 9
    feed = SqsFeed(scene.desk)
    for _ in range(5):
        await read(feed)
    asyncio.get_running_loop().call_later(1, feed.stop)
    started = now()

    assert named(await read(feed)) == []
    assert now() - started == pytest.approx(1)


# Failing


@virtual
async def test_a_receive_that_failed_is_made_visible_and_waited_out_with_backoff() -> None:
    scene = Scene()
    scene.sqs.answers["ReceiveMessage"] = [BROKEN] * 4
    feed = SqsFeed(scene.desk)
    for _ in range(4):
        assert named(await read(feed)) == []
    scene.sqs.send("m-1")
    assert named(await read(feed)) == ["m-1"]

    assert scene.sqs.times("ReceiveMessage") == [0.0, 0.5, 1.5, 3.5, 7.5]
    assert scene.stage.value("polls_total", result="error") == 4
    assert [line["event"] for line in scene.stage.lines][-1] == "polling recovered"


@virtual
async def test_the_backoff_starts_anew_after_a_receive_that_worked() -> None:
    scene = Scene()
    scene.sqs.send("m-1")
    feed = SqsFeed(scene.desk)
    scene.sqs.answers["ReceiveMessage"] = [BROKEN] * 5
    for _ in range(6):
        await read(feed)
    scene.sqs.answers["ReceiveMessage"] = [BROKEN]
    started = now()
    await read(feed)

    assert now() - started == pytest.approx(0.5)


@virtual
async def test_a_failing_queue_does_not_keep_a_batch_beyond_its_window() -> None:
    scene = Scene(window=5)
    scene.sqs.answers["ReceiveMessage"] = [BROKEN] * 9
    feed = SqsFeed(scene.desk)
    for _ in range(6):
        await read(feed)
    started = now()

    assert named(await read(feed, 9, started + 5)) == []
    assert now() - started == pytest.approx(5)


@virtual
async def test_a_pause_after_a_failure_holds_no_memory() -> None:
    scene = Scene()
    scene.sqs.answers["ReceiveMessage"] = [BROKEN]
    feed = SqsFeed(scene.desk)
    async with asyncio.TaskGroup() as group:
        group.create_task(feed.read(10, None), name="read")
        await asyncio.sleep(0.2)
        assert scene.share.used == 0


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (
            TimedOut("TimedOut", "no answer within 30 s"),
            "ReceiveMessage was not answered in time: no answer within 30 s",
        ),
        (
            Refused(400, "QueueDoesNotExist", "no such queue"),
            "the queue does not exist; create it or correct EventSourceArn (no such queue)",
        ),
        (
            Refused(400, "AWS.SimpleQueueService.NonExistentQueue", "no such queue"),
            "the queue does not exist; create it or correct EventSourceArn (no such queue)",
        ),
        (
            Refused(403, "AccessDeniedException", "no"),
            "not allowed to receive; grant sqs:ReceiveMessage, DeleteMessage, GetQueueAttributes (no)",
        ),
        (BROKEN, "try again"),
    ],
)
@virtual
async def test_a_failure_names_its_remedy(failure: CallFailed, sentence: str) -> None:
    scene = Scene()
    scene.sqs.answers["ReceiveMessage"] = [failure]

    await read(SqsFeed(scene.desk))

    assert [line["error_message"] for line in scene.stage.lines] == [sentence]


# Memory


@virtual
async def test_what_a_receive_brought_is_paid_for_until_it_is_settled() -> None:
    scene = Scene()
    scene.sqs.send("m-1", "m-2", body="x" * 10_000)
    feed = SqsFeed(scene.desk)

    first, second = await read(feed)

    assert scene.share.used == 2 * len(first.event) + 2 * len(second.event) + 2 * KIB
    await feed.settle([first], [])
    assert scene.share.used == 2 * len(second.event) + KIB
    await feed.settle([], [second])
    assert scene.share.used == 0
    assert scene.stage.value("buffered_bytes") == 0
    assert scene.stage.value("buffered_events") == 0


@virtual
async def test_an_empty_receive_costs_nothing_and_one_under_way_what_it_may_bring() -> None:
    scene = Scene()
    feed = SqsFeed(scene.desk)
    async with asyncio.TaskGroup() as group:
        group.create_task(feed.read(10, None), name="read")
        await asyncio.sleep(1)
        assert scene.share.used == 10 * 32 * KIB

    assert scene.share.used == 0


@virtual
async def test_without_memory_for_more_what_is_held_is_sent() -> None:
    scene = Scene(budget=1024 * KIB, window=60)
    while scene.share.try_take(KIB):
        pass

    assert await SqsFeed(scene.desk).read(9, now() + 60) is None
    assert elapsed() == 0
    assert scene.sqs.calls == []


@virtual
async def test_with_nothing_held_it_waits_for_memory() -> None:
    scene = Scene(budget=1024 * KIB)
    scene.sqs.send("m-1")
    while scene.share.try_take(KIB):
        pass
    asyncio.get_running_loop().call_later(7, scene.share.give_back, 1024 * KIB)

    assert named(await read(SqsFeed(scene.desk))) == ["m-1"]
    assert scene.sqs.times("ReceiveMessage") == [7.0]


@virtual
async def test_a_message_is_expected_to_be_as_large_as_the_largest_of_the_last_minutes() -> None:
    scene = Scene()
    feed = SqsFeed(scene.desk)

    async def paid() -> float:
        """What is taken for the next receive of one message."""
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(feed.read(1, None), name="read")
            await asyncio.sleep(0)
            taken = scene.share.used
        await feed.settle(reading.result() or (), ())
        return taken / KIB

    scene.sqs.send("large", body="x" * 250 * KIB)
    assert await paid() == 32
    scene.sqs.send("small")
    after_large = await paid()
    assert 501 < after_large < 503
    scene.sqs.send("small again")
    assert await paid() == after_large
    await asyncio.sleep(130)
    scene.sqs.send("small, later", "small, again")
    await paid()
    await asyncio.sleep(61)
    assert await paid() < 3


@virtual
async def test_only_so_many_receive_at_once() -> None:
    scene = Scene(receives=2)
    feeds = [SqsFeed(scene.desk) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        for feed in feeds:
            group.create_task(feed.read(10, None), name="read")

    assert scene.sqs.times("ReceiveMessage") == [0.0, 0.0, 20.0]
    assert scene.share.used == 0


@pytest.mark.parametrize("failure", [BROKEN, None])
@virtual
async def test_a_place_to_receive_is_free_again_after_each_receive(failure: CallFailed | None) -> None:
    scene = Scene(receives=1)
    scene.sqs.answers["ReceiveMessage"] = [failure] if failure else []
    feed = SqsFeed(scene.desk)
    for _ in range(3):
        await read(feed)

    assert not scene.desk.receives.locked()


@virtual
async def test_a_stop_ends_a_wait_for_a_place_to_receive() -> None:
    scene = Scene(receives=1)
    feed = SqsFeed(scene.desk)
    await scene.desk.receives.acquire()
    asyncio.get_running_loop().call_later(3, feed.stop)

    assert await feed.read(10, None) is None
    assert elapsed() == pytest.approx(3)
    scene.desk.receives.release()
    assert not scene.desk.receives.locked()
    assert scene.share.used == 0


@virtual
async def test_a_read_that_is_cancelled_while_it_waits_for_memory_leaves_its_place_to_others() -> None:
    scene = Scene(receives=1, budget=1024 * KIB)
    while scene.share.try_take(KIB):
        pass
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(SqsFeed(scene.desk).read(10, None), name="read")
        await asyncio.sleep(1)
        reading.cancel()

    assert not scene.desk.receives.locked()


@virtual
async def test_where_little_is_granted_fewer_messages_are_asked_for() -> None:
    scene = Scene(budget=512 * KIB)
    scene.sqs.send("large", body="x" * 60 * KIB)
    feed = SqsFeed(scene.desk)
    await feed.settle(await read(feed, 1), [])
    scene.sqs.send(*[f"m-{number}" for number in range(10)])

    assert len(await read(feed)) < 10
    assert scene.sqs.made("ReceiveMessage")[-1]["MaxNumberOfMessages"] < 10
    assert scene.share.used <= 512 * KIB


# Settling


@virtual
async def test_delivered_messages_are_deleted_and_returned_ones_come_again() -> None:
    scene = Scene()
    scene.sqs.send("m-1", "m-2")
    feed = SqsFeed(scene.desk)
    first, second = await read(feed)

    await feed.settle([first], [second])

    assert scene.sqs.deleted == ["m-1"]
    assert scene.receipts.held == 0
    await asyncio.sleep(31)
    assert scene.sqs.visible() == ["m-2"]
    assert scene.stage.value("returned_events_total") == 1


@virtual
async def test_released_messages_are_visible_at_once() -> None:
    scene = Scene()
    scene.sqs.send("m-1", "m-2")
    feed = SqsFeed(scene.desk)

    await feed.release(await read(feed))

    assert scene.sqs.visible() == ["m-1", "m-2"]
    assert scene.share.used == 0


@virtual
async def test_what_is_given_up_goes_back_to_the_queue_whose_redrive_policy_decides() -> None:
    scene = Scene()
    scene.sqs.send("m-1")
    feed = SqsFeed(scene.desk)

    await feed.give_up(await read(feed), DropReason.PAYLOAD_TOO_LARGE)

    assert list(scene.sqs.messages) == ["m-1"]
    assert scene.share.used == 0
    assert scene.stage.value("returned_events_total") == 1


@virtual
async def test_what_visibility_was_lost_of_is_not_ours_to_send() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1")
    feed = SqsFeed(scene.desk)
    old = await read(feed)
    await asyncio.sleep(25)
    scene.sqs.send("m-2")
    new = await read(feed)
    await asyncio.sleep(6)

    assert named(feed.lapsed([*old, *new])) == ["m-1"]


# FIFO groups


def lapse(scene: Scene, *identifiers: str) -> None:
    """Their visibility was lost: the queue gives them, and what is behind them, to anybody."""
    for identifier in identifiers:
        scene.sqs.messages[identifier].visible_at = 0.0


@pytest.mark.parametrize(
    "spoilt",
    [
        {"MessageAttributes": {"a": {"StringValue": "b"}}},
        {"MessageAttributes": ["a"]},
        {"MessageAttributes": {"a": None}},
        {"Attributes": ["SentTimestamp"]},
        {"Attributes": 5},
    ],
)
@pytest.mark.parametrize(("fifo", "good"), [(False, ["m-1", "m-3"]), (True, ["m-1"])])
@virtual
async def test_a_message_that_cannot_be_read_is_left_to_the_queue_and_said(
    spoilt: dict[str, object], fifo: bool, good: list[str]
) -> None:
    scene = Scene(fifo=fifo)
    scene.sqs.send("m-1", "m-2", "m-3", group="A" if fifo else "")

    messages = [{**described(message), "ReceiptHandle": message.identifier} for message in scene.sqs.messages.values()]
    messages[1].update(spoilt)
    scene.sqs.answers["ReceiveMessage"] = [lambda _: {"Messages": messages}]
    records = await read(SqsFeed(scene.desk))

    assert named(records) == good
    assert scene.receipts.held == len(good)
    assert scene.stage.value("returned_events_total") == 3 - len(good)
    assert "message m-2 is not what SQS documents" in str(scene.stage.observer.snapshot()["lastError"])
    assert scene.share.used == sum(2 * len(record.event) + KIB for record in records)


@pytest.mark.parametrize("group", [["A"], {"A": 1}, 5, None])
@virtual
async def test_a_group_that_is_no_text_cannot_be_read_either(group: object) -> None:
    scene = Scene(fifo=True)
    scene.sqs.send("m-1", "m-2", group="A")

    messages = [{**described(message), "ReceiptHandle": message.identifier} for message in scene.sqs.messages.values()]
    messages[1]["Attributes"] = {**messages[1]["Attributes"], "MessageGroupId": group}
    scene.sqs.answers["ReceiveMessage"] = [lambda _: {"Messages": messages}]

    assert named(await read(SqsFeed(scene.desk))) == ["m-1"]
    assert scene.stage.value("returned_events_total") == 1


@virtual
async def test_other_groups_go_on_behind_a_message_that_cannot_be_read() -> None:
    scene = Scene(fifo=True)
    scene.sqs.send("a-1", "a-2", group="A")
    scene.sqs.send("b-1", group="B")
    messages = [{**described(message), "ReceiptHandle": message.identifier} for message in scene.sqs.messages.values()]
    messages[0]["MessageAttributes"] = {"a": {}}
    scene.sqs.answers["ReceiveMessage"] = [lambda _: {"Messages": messages}]

    assert named(await read(SqsFeed(scene.desk))) == ["b-1"]
    assert scene.stage.value("returned_events_total") == 2


@virtual
async def test_a_group_that_is_alive_in_one_poller_is_not_admitted_to_another() -> None:
    scene = Scene(fifo=True)
    scene.sqs.send("a-1", group="A")
    one, two = SqsFeed(scene.desk), SqsFeed(scene.desk)
    held = await read(one)
    scene.sqs.send("b-1", group="B")
    scene.sqs.send("a-2", group="A")

    assert named(await read(two)) == ["b-1"]

    assert scene.receipts.held == 2
    assert scene.stage.value("polled_events_total") == 3
    assert scene.stage.value("returned_events_total") == 1
    assert scene.share.used == sum(2 * len(event) + KIB for event in [held[0].event, held[0].event])


@virtual
async def test_a_group_is_free_again_once_all_of_it_is_settled() -> None:
    scene = Scene(fifo=True)
    scene.sqs.send("a-1", "a-2", group="A")
    one, two = SqsFeed(scene.desk), SqsFeed(scene.desk)
    first, second = await read(one)
    await one.settle([first], [])
    scene.sqs.send("a-3", group="A")
    assert named(await read(two, 10, now() + 1)) == []
    await one.settle([second], [])
    lapse(scene, "a-3")

    assert named(await read(two)) == ["a-3"]


@virtual
async def test_a_group_is_admitted_again_to_the_poller_that_has_it() -> None:
    scene = Scene(fifo=True)
    scene.sqs.send("a-1", group="A")
    feed = SqsFeed(scene.desk)
    await read(feed)
    lapse(scene, "a-1")

    assert named(await read(feed)) == ["a-1"]


@pytest.mark.parametrize("how", ["returned", "released", "given up"])
@virtual
async def test_a_group_that_went_back_is_free_before_the_queue_answers(how: str) -> None:
    scene = Scene(fifo=True)
    scene.sqs.send("a-1", group="A")
    scene.sqs.seconds["ChangeMessageVisibilityBatch"] = 5.0
    one, two = SqsFeed(scene.desk), SqsFeed(scene.desk)
    held = await read(one)
    async with asyncio.TaskGroup() as group:
        match how:
            case "returned":
                group.create_task(one.settle([], held), name=how)
            case "released":
                group.create_task(one.release(held), name=how)
            case _:
                group.create_task(one.give_up(held, DropReason.PAYLOAD_TOO_LARGE), name=how)
        await asyncio.sleep(1)
        lapse(scene, "a-1")
        assert named(await read(two)) == ["a-1"]


@virtual
async def test_groups_of_a_standard_queue_are_no_order() -> None:
    scene = Scene()
    scene.sqs.send("a-1", group="A")
    one, two = SqsFeed(scene.desk), SqsFeed(scene.desk)
    await read(one)
    scene.sqs.send("a-2", group="A")

    assert named(await read(two)) == ["a-2"]
