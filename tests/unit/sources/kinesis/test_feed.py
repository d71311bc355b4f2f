"""A shard's feed reads pages at AWS's pace within its memory, hands them out, and says how far they are settled."""

import asyncio
import base64
import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from outboard.aws.calls import CallFailed, Refused, TimedOut, Unreachable
from outboard.core.records import DropReason, Record
from outboard.core.shards import After, Beginning, Since
from outboard.sources.kinesis.feed import ShardFeed
from tests.unit.observe.stage import START
from tests.unit.sources.kinesis.fake import (
    ARN,
    BROKEN,
    EXPIRED,
    FIRST,
    INVALID,
    MISSING,
    THROTTLED,
    Scene,
    contents,
    elapsed,
    now,
    wall,
)
from tests.unit.virtual import virtual

KIB = 1024
MIB = 1024 * KIB


async def read(feed: ShardFeed, limit: int = 100, until: float | None = None) -> Sequence[Record]:
    records = await feed.read(limit, until)
    assert records is not None
    return records


async def first(feed: ShardFeed, limit: int = 100) -> Sequence[Record]:
    """What the next read that brings something brings."""
    while not (records := await read(feed, limit)):
        pass
    return records


def charge(*records: Record) -> int:
    return sum(2 * len(record.event) + KIB for record in records)


def take_all(scene: Scene) -> int:
    """Leave no memory to anybody; returns how much that was."""
    before = scene.share.used
    while scene.share.try_take(KIB):
        pass
    return scene.share.used - before


# Reading


@virtual
async def test_a_read_is_a_page_of_rendered_records() -> None:
    scene = Scene()
    one, two = scene.kinesis.put(FIRST, "a", "b", key="k")

    records = await read(scene.feed())

    assert [record.identifier for record in records] == [one, two]
    assert contents(records) == ["a", "b"]
    assert [record.timestamp for record in records] == [START, START]
    assert [record.key for record in records] == ["", ""]
    assert f'"eventID":"{FIRST}:{one}"'.encode() in records[0].event
    assert f'"eventSourceARN":"{ARN}"'.encode() in records[0].event
    assert scene.kinesis.made("GetRecords")[0]["StreamARN"] == ARN
    assert scene.stage.value("polled_events_total") == 2
    assert scene.stage.value("polled_bytes_total") == sum(len(record.event) for record in records)


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (Beginning(), "TRIM_HORIZON"),
        (Since(1_699_999_999.25), "AT_TIMESTAMP 1699999999.25"),
    ],
)
@virtual
async def test_it_begins_at_its_position(position: Beginning | Since, words: str) -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "old", arrived=START - 10)
    scene.kinesis.put(FIRST, "new")

    records = await read(scene.feed(position))

    assert contents(records) == (["old", "new"] if position == Beginning() else ["new"])
    assert scene.kinesis.started_at(FIRST) == [words]


@virtual
async def test_it_goes_on_behind_a_sequence_number() -> None:
    scene = Scene()
    one, _, _ = scene.kinesis.put(FIRST, "a", "b", "c")

    assert contents(await read(scene.feed(After(one)))) == ["b", "c"]
    assert scene.kinesis.started_at(FIRST) == [one]


@virtual
async def test_a_page_is_handed_out_in_pieces_and_nothing_is_read_meanwhile() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, *"abcdefg")
    feed = scene.feed()

    pieces = [contents(await read(feed, limit)) for limit in (3, 1, 10)]

    assert pieces == [["a", "b", "c"], ["d"], ["e", "f", "g"]]
    assert len(scene.kinesis.made("GetRecords")) == 1
    assert elapsed() == 0


@virtual
async def test_pages_follow_each_other_without_a_gap() -> None:
    scene = Scene()
    scene.kinesis.records_per_page = 2
    scene.kinesis.put(FIRST, *"abcde")
    feed, found = scene.feed(), []
    while len(found) < 5:
        found += contents(await read(feed))

    assert found == list("abcde")
    assert scene.kinesis.started_at(FIRST) == ["TRIM_HORIZON"]


# Pace


@virtual
async def test_an_idle_shard_is_read_once_a_second() -> None:
    scene = Scene()
    feed = scene.feed()
    for _ in range(5):
        assert await read(feed) == ()

    assert scene.kinesis.times("GetRecords") == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert len(scene.kinesis.made("GetShardIterator")) == 1


@virtual
async def test_a_busy_shard_is_read_four_times_a_second() -> None:
    scene = Scene()
    scene.kinesis.records_per_page = 1
    scene.kinesis.put(FIRST, *"abcdef")
    feed = scene.feed()
    for _ in range(6):
        assert len(await read(feed)) == 1

    assert scene.kinesis.times("GetRecords") == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]


@virtual
async def test_an_empty_page_of_a_shard_that_is_behind_is_followed_at_once() -> None:
    scene = Scene()
    behind = {"Records": [], "NextShardIterator": f"{FIRST}/1", "MillisBehindLatest": 60_000}
    scene.kinesis.answers["GetRecords"] = [lambda _: behind] * 3
    feed = scene.feed()
    for _ in range(5):
        await read(feed)

    assert scene.kinesis.times("GetRecords") == [0.0, 0.25, 0.5, 0.75, 1.75]


@virtual
async def test_the_pace_counts_from_the_start_of_a_read() -> None:
    scene = Scene()
    scene.kinesis.seconds["GetRecords"] = 0.4
    feed = scene.feed()
    for _ in range(3):
        await read(feed)
    scene.kinesis.put(FIRST, "a")
    await read(feed)
    await read(feed)

    assert scene.kinesis.times("GetRecords") == [0.0, 1.0, 2.0, 3.0, 3.4]


@virtual
async def test_a_page_that_took_long_to_work_off_is_followed_at_once() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a", "b")
    feed = scene.feed()
    await read(feed, 1)
    await asyncio.sleep(60)
    await read(feed, 1)
    await read(feed, 1)

    assert scene.kinesis.times("GetRecords") == [0.0, 60.0]


@virtual
async def test_reads_that_are_cut_off_count_for_the_pace_too() -> None:
    """A window that ends every tenth of a second must not make a slow stream be asked ten times a second."""
    scene = Scene()
    scene.kinesis.seconds["GetRecords"] = 5.0
    feed = scene.feed()
    while elapsed() < 3:
        await read(feed, 100, now() + 0.1)

    times = scene.kinesis.times("GetRecords")
    assert len(times) > 3
    assert all(later - earlier >= 0.2499 for earlier, later in itertools.pairwise(times)), times


@virtual
async def test_how_far_behind_it_is_is_told() -> None:
    scene = Scene()
    scene.kinesis.records_per_page = 1
    scene.kinesis.put(FIRST, "a", "b", arrived=START - 60)
    feed = scene.feed()
    await read(feed)
    assert scene.stage.value("behind_latest_seconds", shard=FIRST) == 60
    await read(feed)
    assert scene.stage.value("behind_latest_seconds", shard=FIRST) == 0


@virtual
async def test_what_is_read_and_in_no_batch_yet_counts_as_unsettled() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a", arrived=START - 60)
    scene.kinesis.put(FIRST, "b", "c", arrived=START - 50)
    feed = scene.feed()
    await read(feed, 1)
    assert scene.stage.value("oldest_unsettled_age_seconds") == 50
    await read(feed, 1)
    assert scene.stage.value("oldest_unsettled_age_seconds") == 50
    await read(feed, 1)
    assert scene.stage.value("oldest_unsettled_age_seconds") == 0


# Windows


@virtual
async def test_a_wait_for_records_ends_with_the_window() -> None:
    scene = Scene()
    feed = scene.feed()
    await read(feed)

    assert await read(feed, 100, now() + 0.3) == ()
    assert elapsed() == 0.3
    assert scene.kinesis.times("GetRecords") == [0.0]


@virtual
async def test_a_read_that_is_cut_off_by_the_windows_end_loses_nothing() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a", "b")
    scene.kinesis.seconds["GetRecords"] = 5.0
    feed = scene.feed()

    assert await read(feed, 100, now() + 2) == ()
    assert elapsed() == 2
    assert scene.share.used == 0

    scene.kinesis.put(FIRST, "c")
    assert contents(await read(feed)) == ["a", "b", "c"]


@virtual
async def test_an_iterator_that_was_asked_for_in_vain_is_asked_for_again() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a")
    scene.kinesis.seconds["GetShardIterator"] = 5.0
    feed = scene.feed()

    assert await read(feed, 100, now() + 2) == ()
    records = await read(feed)
    assert contents(records) == ["a"]
    assert scene.share.used == charge(*records)


@virtual
async def test_a_window_that_is_over_brings_nothing_and_asks_nothing() -> None:
    scene = Scene()
    feed = scene.feed()

    assert await read(feed, 100, now()) == ()
    assert elapsed() == 0
    assert scene.share.used == 0


@virtual
async def test_a_window_gathers_from_several_pages() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a")
    feed, until = scene.feed(), now() + 5
    asyncio.get_running_loop().call_later(2.5, scene.kinesis.put, FIRST, "b")
    found = []
    while now() < until - 1e-6:
        found += contents(await read(feed, 100, until))

    assert found == ["a", "b"]
    assert elapsed() == 5


# Memory


@virtual
async def test_a_read_under_way_is_paid_for_and_what_it_brought_until_it_is_settled() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "x" * 10_000, "y" * 5_000, "z")
    scene.kinesis.seconds["GetRecords"] = 2.0
    feed = scene.feed()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(feed.read(2, None), name="read")
        await asyncio.sleep(1)
        assert scene.share.used == 1000 * 32 * KIB
    one, two = reading.result() or ()
    (three,) = await read(feed)

    assert scene.share.used == charge(one, two, three)
    await feed.settle([one, two], [])
    assert scene.share.used == charge(three)
    await feed.settle([three], [])
    assert scene.share.used == 0


@virtual
async def test_an_empty_page_costs_nothing() -> None:
    scene = Scene()
    await read(scene.feed())

    assert scene.share.used == 0


@virtual
async def test_the_limit_follows_from_what_is_granted() -> None:
    scene = Scene()
    await read(scene.feed())
    small = Scene(budget=2 * MIB)
    await read(small.feed())

    assert [body["Limit"] for body in scene.kinesis.made("GetRecords")] == [1_000]
    (limit,) = [body["Limit"] for body in small.kinesis.made("GetRecords")]
    assert 1 <= limit <= 2 * MIB // (32 * KIB)


@virtual
async def test_as_much_is_asked_for_as_the_last_page_was_large() -> None:
    scene = Scene()
    feed = scene.feed()
    for content in ("a", "b", "x" * 2 * MIB, "c", "d"):
        scene.kinesis.put(FIRST, content)
        await read(feed)

    assert [body["Limit"] for body in scene.kinesis.made("GetRecords")] == [1_000, 1_000, 1_000, 2_500, 1_000]


@virtual
async def test_one_large_record_does_not_make_the_pages_after_it_small() -> None:
    scene = Scene()
    feed = scene.feed()
    scene.kinesis.put(FIRST, "x" * 2 * MIB)
    await feed.settle(await read(feed), ())
    scene.kinesis.put(FIRST, *map(str, range(2000)))

    assert len(await read(feed, 2000)) == 2000


@virtual
async def test_after_failures_less_is_asked_for_each_time() -> None:
    scene = Scene()
    scene.kinesis.answers["GetRecords"] = [BROKEN] * 4
    scene.kinesis.put(FIRST, "a")
    await first(scene.feed())

    assert [body["Limit"] for body in scene.kinesis.made("GetRecords")] == [
        1_000,
        500,
        200,
        100,
        62,
    ]  # in whole batches of 100


@virtual
async def test_the_end_of_a_shard_without_children_is_believed_once_it_is_listed_as_closed() -> None:
    scene = Scene()
    scene.journal.open = True
    scene.kinesis.answers["GetRecords"] = [lambda _: {"Records": [], "MillisBehindLatest": 0}] * 2
    feed = scene.feed()
    assert (await read(feed), await read(feed)) == ((), ())
    assert len(scene.journal.doubts) == 2
    scene.kinesis.put(FIRST, "a")
    assert contents(await first(feed)) == ["a"]

    scene.kinesis.answers["GetRecords"] = [lambda _: {"Records": [], "MillisBehindLatest": 0}]
    scene.journal.open = False
    assert await feed.read(10, None) is None
    assert scene.journal.positions == ["SHARD_END"]


@virtual
async def test_a_sequence_number_may_come_twice() -> None:
    scene = Scene()
    entry = {"SequenceNumber": "7", "PartitionKey": "k", "Data": "YQ==", "ApproximateArrivalTimestamp": 1.5}
    scene.kinesis.answers["GetRecords"] = [
        lambda _: {"Records": [entry, {**entry, "PartitionKey": "l"}], "NextShardIterator": "n"}
    ]
    feed = scene.feed()
    batch = await read(feed)
    await feed.settle(batch[:1], ())
    await feed.settle(batch[1:], ())

    assert scene.journal.positions == ["7", "7"]


@pytest.mark.parametrize(("batch", "limit"), [(100, 2_500), (300, 2_400), (1024, 2_048), (5_000, 5_000)])
@virtual
async def test_a_page_is_whole_batches_where_it_is_several(batch: int, limit: int) -> None:
    scene = Scene()
    feed = scene.feed()
    scene.kinesis.put(FIRST, "x" * MIB)
    await feed.settle(await read(feed, batch), ())
    await read(feed, batch)

    assert scene.kinesis.made("GetRecords")[1]["Limit"] == limit


@virtual
async def test_of_large_records_no_more_are_asked_for_than_make_a_batch_of_6_mb() -> None:
    scene = Scene()
    feed = scene.feed()
    for _ in range(3):
        scene.kinesis.put(FIRST, *["x" * 10 * KIB] * 2000)
    while len(scene.kinesis.made("GetRecords")) < 4:
        await feed.settle(await read(feed, 10_000), ())

    first, *rest = [body["Limit"] for body in scene.kinesis.made("GetRecords")]
    assert first == 1_000
    assert all(400 < limit < 450 for limit in rest)  # of 13.7 KB in base64, which the payload doubles


@virtual
async def test_with_nothing_held_it_waits_for_memory() -> None:
    scene = Scene(budget=MIB)
    scene.kinesis.put(FIRST, "a")
    taken = take_all(scene)
    asyncio.get_running_loop().call_later(7, scene.share.give_back, taken)

    assert contents(await read(scene.feed())) == ["a"]
    assert scene.kinesis.times("GetRecords") == [7.0]


@virtual
async def test_without_memory_for_more_what_is_held_is_sent() -> None:
    scene = Scene(budget=MIB)
    take_all(scene)

    assert await scene.feed().read(9, now() + 60) is None
    assert elapsed() == 0
    assert scene.kinesis.calls == []


@virtual
async def test_a_small_budget_does_not_cut_windows_short() -> None:
    """All of the smallest budget that is accepted is free: there is room for what the batch can still take."""
    scene = Scene(budget=16 * MIB)
    scene.kinesis.put(FIRST, "a")
    feed, until = scene.feed(), now() + 5
    await read(feed)
    asyncio.get_running_loop().call_later(2.5, scene.kinesis.put, FIRST, "b")
    found = []
    while now() < until - 1e-6:
        records = await feed.read(99, until)
        assert records is not None, f"the batch is sent {elapsed()} s after its first record"
        found += contents(records)

    assert found == ["b"]


@virtual
async def test_while_a_batch_fills_a_page_is_as_large_as_there_is_memory() -> None:
    scene = Scene(budget=MIB)
    scene.kinesis.put(FIRST, *"abc")
    taken = take_all(scene)
    scene.share.give_back(5 * 32 * KIB)

    assert contents(await read(scene.feed(), 99, now() + 5)) == ["a", "b", "c"]
    (limit,) = [body["Limit"] for body in scene.kinesis.made("GetRecords")]
    assert 1 <= limit <= 5
    assert scene.share.used < taken


@virtual
async def test_a_record_larger_than_what_was_paid_for_is_held_all_the_same() -> None:
    scene = Scene(budget=MIB)
    scene.kinesis.put(FIRST, "x" * 2 * MIB)
    feed = scene.feed()
    (record,) = await read(feed)

    assert scene.share.used == charge(record) > MIB
    await feed.settle([record], [])
    assert scene.share.used == 0


@pytest.mark.parametrize("way", ["settled", "returned", "given up", "released"])
@virtual
async def test_memory_is_given_back_in_every_way_records_leave(way: str) -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, *"abc")
    feed = scene.feed()
    records = await read(feed)
    match way:
        case "settled":
            await feed.settle(records, ())
        case "returned":
            await feed.settle((), records)
        case "given up":
            await feed.give_up(records, DropReason.RECORD_AGE_EXCEEDED)
        case _:
            await feed.release(records)

    assert scene.share.used == 0


@pytest.mark.parametrize("failure", [BROKEN, THROTTLED, EXPIRED, MISSING, INVALID, TimedOut("Timeout", "x")])
@pytest.mark.parametrize("operation", ["GetRecords", "GetShardIterator"])
@virtual
async def test_a_read_that_failed_costs_nothing(operation: str, failure: CallFailed) -> None:
    scene = Scene()
    scene.kinesis.answers[operation] = [failure]

    assert await read(scene.feed()) == ()
    assert scene.share.used == 0


@virtual
async def test_a_cancelled_read_costs_nothing_at_whatever_moment() -> None:
    for ticks in range(12):
        scene = Scene(budget=MIB, reads=1)
        taken = take_all(scene)
        feed = scene.feed()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(feed.read(10, None), name="read")
            await asyncio.sleep(1)
            scene.share.give_back(taken)
            for _ in range(ticks):
                await asyncio.sleep(0)
            reading.cancel()

        assert scene.share.used == 0, f"cancelled {ticks} turns after there was memory"
        assert not scene.desk.reads.locked()


@virtual
async def test_only_so_many_pages_are_on_their_way_at_once() -> None:
    scene = Scene(reads=2)
    scene.kinesis.seconds["GetRecords"] = 3.0
    async with asyncio.TaskGroup() as group:
        for feed in [scene.feed() for _ in range(3)]:
            group.create_task(feed.read(10, None), name="read")

    assert scene.kinesis.times("GetRecords") == [0.0, 0.0, 3.0]
    assert scene.share.used == 0
    assert not scene.desk.reads.locked()


@pytest.mark.parametrize("trailing", [False, True])
@virtual
async def test_a_blocked_lanes_page_goes_and_is_read_again_behind_what_was_given(trailing: bool) -> None:
    scene = Scene()
    scene.kinesis.trailing = trailing
    numbers = scene.kinesis.put(FIRST, *"abcde")
    scene.kinesis.close(FIRST)
    feed = scene.feed()
    batch = await read(feed, 2)

    feed.blocked(batch)
    assert scene.share.used == charge(*batch) - sum(len(record.event) for record in batch)
    feed.blocked(batch)
    await asyncio.sleep(600)
    await feed.settle(batch, ())
    found = await read(feed)

    assert contents(found) == ["c", "d", "e"]
    assert scene.kinesis.started_at(FIRST) == ["TRIM_HORIZON", numbers[1]]
    await feed.settle(found, ())
    assert await feed.read(10, None) is None or await feed.read(10, None) is None
    assert scene.journal.positions == [numbers[1], numbers[4], "SHARD_END"]
    assert scene.share.used == 0


@virtual
async def test_a_blocked_lane_that_holds_all_there_was_goes_on_where_it_is() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a", "b")
    feed = scene.feed()
    batch = await read(feed)
    feed.blocked(batch)
    await feed.settle(batch, ())
    assert scene.share.used == 0
    scene.kinesis.put(FIRST, "c")

    assert contents(await read(feed)) == ["c"]
    assert len(scene.kinesis.made("GetShardIterator")) == 1


@virtual
async def test_what_was_let_go_and_expired_meanwhile_waits_no_more() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a", "b", arrived=START - 60)
    feed = scene.feed()
    batch = await read(feed, 1)
    feed.blocked(batch)
    scene.kinesis.trim(FIRST, 2)
    await feed.settle(batch, ())
    await read(feed)

    assert scene.stage.value("oldest_unsettled_age_seconds") == 0


@virtual
async def test_what_the_feeds_of_a_mapping_hold_in_memory_is_shown() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a", "b")
    feed, other = scene.feed(), scene.feed()

    def shown() -> tuple[float | None, float | None]:
        return scene.stage.value("buffered_events"), scene.stage.value("buffered_bytes")

    batch = await read(feed, 1)
    await read(other)
    assert shown() == (4, scene.share.used)
    feed.blocked(batch)
    assert shown()[0] == 3
    await feed.settle(batch, ())
    assert shown() == (2, scene.share.used)
    assert scene.share.used > 0


# Failing


@virtual
async def test_a_failed_read_is_made_visible_for_its_shard_and_waited_out_with_backoff() -> None:
    scene = Scene()
    scene.kinesis.answers["GetRecords"] = [BROKEN] * 4
    scene.kinesis.put(FIRST, "a")
    feed = scene.feed()

    assert contents(await first(feed)) == ["a"]

    assert scene.kinesis.times("GetRecords") == [0.0, 0.5, 1.5, 3.5, 7.5]
    assert {line["shard"] for line in scene.logged("polling failed")} == {FIRST}
    assert [line["shard"] for line in scene.logged("polling recovered")] == [FIRST]
    assert scene.stage.value("polling_errors_total", error="service_error") == 4


@virtual
async def test_the_backoff_starts_anew_after_a_page() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a", "b")
    scene.kinesis.records_per_page = 1
    feed = scene.feed()
    scene.kinesis.answers["GetRecords"] = [BROKEN] * 2
    await first(feed)
    scene.kinesis.answers["GetRecords"] = [BROKEN]
    await first(feed)

    assert scene.kinesis.times("GetRecords") == [0.0, 0.5, 1.5, 1.75, 2.25]


@virtual
async def test_a_failing_shard_does_not_hold_up_the_batch_it_has_begun() -> None:
    scene = Scene()
    scene.kinesis.answers["GetRecords"] = [BROKEN] * 9
    feed, until = scene.feed(), now() + 2
    while now() < until - 1e-6:
        assert await read(feed, 100, until) == ()

    assert elapsed() == 2


@virtual
async def test_an_expired_iterator_is_replaced_at_once_behind_the_last_record_read() -> None:
    scene = Scene()
    _, two = scene.kinesis.put(FIRST, "a", "b")
    feed = scene.feed()
    batch = await read(feed, 1)
    await asyncio.sleep(400)
    await feed.settle(batch, ())
    scene.kinesis.put(FIRST, "c")
    found = contents(await read(feed, 1)) + contents(await first(feed))

    assert found == ["b", "c"]
    assert scene.kinesis.started_at(FIRST) == ["TRIM_HORIZON", two]
    assert scene.kinesis.times("GetRecords")[1:] == [400.0, 400.0]
    assert scene.logged("polling failed") == []
    assert scene.stage.value("polls_total", result="error") == 0


@virtual
async def test_an_iterator_that_expires_before_anything_came_begins_where_the_feed_began() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "old", arrived=START - 100)
    feed = scene.feed(Since(START - 50))
    await read(feed)
    scene.kinesis.expire_iterators()
    scene.kinesis.put(FIRST, "new")

    assert contents(await first(feed)) == ["new"]
    assert scene.kinesis.started_at(FIRST) == [f"AT_TIMESTAMP {START - 50!r}"] * 2


@virtual
async def test_iterators_that_expire_again_and_again_are_a_failure() -> None:
    scene = Scene()
    scene.kinesis.answers["GetRecords"] = [EXPIRED] * 4
    scene.kinesis.put(FIRST, "a")

    assert contents(await first(scene.feed())) == ["a"]

    assert scene.kinesis.times("GetRecords") == [0.0, 0.0, 0.5, 1.5, 3.5]
    assert scene.stage.value("polls_total", result="error") == 3


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "ThrottlingException",
        "KMSThrottlingException",
    ],
)
@virtual
async def test_a_throttle_keeps_the_iterator(code: str) -> None:
    scene = Scene()
    scene.kinesis.answers["GetRecords"] = [Refused(400, code, "slow down")] * 3
    scene.kinesis.put(FIRST, "a")

    assert contents(await first(scene.feed())) == ["a"]

    assert len(scene.kinesis.made("GetShardIterator")) == 1
    assert scene.kinesis.times("GetRecords") == [0.0, 0.5, 1.5, 3.5]
    assert scene.stage.value("polling_errors_total", error="throttled") == 3


@virtual
async def test_any_other_failure_takes_a_new_iterator() -> None:
    scene = Scene()
    one, _ = scene.kinesis.put(FIRST, "a", "b")
    scene.kinesis.records_per_page = 1
    feed = scene.feed()
    await read(feed)
    scene.kinesis.answers["GetRecords"] = [Unreachable("ServerDisconnectedError", "gone")]

    assert contents(await first(feed)) == ["b"]
    assert scene.kinesis.started_at(FIRST) == ["TRIM_HORIZON", one]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"SequenceNumber": "1"},
        {"SequenceNumber": 1, "PartitionKey": "k", "Data": "", "ApproximateArrivalTimestamp": 1.0},
        {"SequenceNumber": "1", "PartitionKey": "k", "Data": "", "ApproximateArrivalTimestamp": "soon"},
        "rubbish",
    ],
)
@virtual
async def test_a_page_that_cannot_be_understood_is_read_again_and_costs_nothing(entry: object) -> None:
    scene = Scene()
    rubbish = {"Records": [entry], "NextShardIterator": "next", "MillisBehindLatest": 0}
    scene.kinesis.answers["GetRecords"] = [lambda _: rubbish]
    feed = scene.feed()

    assert await read(feed) == ()
    assert scene.share.used == 0
    assert scene.stage.value("polls_total", result="error") == 1
    scene.kinesis.put(FIRST, "a")
    assert contents(await first(feed)) == ["a"]


@virtual
async def test_a_failure_names_its_remedy() -> None:
    scene = Scene()
    scene.kinesis.answers["GetRecords"] = [Refused(400, "KMSAccessDeniedException", "no")]

    await read(scene.feed())

    (line,) = scene.logged("polling failed")
    assert line["error_message"] == "not allowed to decrypt the stream; grant kms:Decrypt on its key (no)"


# Positions that are of no use


@virtual
async def test_latest_by_a_clock_that_is_ahead_begins_earlier_rather_than_later() -> None:
    scene = Scene()
    ahead = wall() + 30
    feed = ShardFeed(replace(scene.desk, latest=True), FIRST, Since(ahead))
    asyncio.get_running_loop().call_later(1.0, scene.kinesis.put, FIRST, "a")
    while not (found := await read(feed)):
        pass

    assert contents(found) == ["a"]
    moments = [float(text.partition(" ")[2]) for text in scene.journal.positions]
    assert moments == [ahead - 2, ahead - 6, ahead - 14, ahead - 30]


@virtual
async def test_a_position_that_is_refused_twice_is_lost_and_the_shard_is_read_from_its_beginning() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a", "b")
    feed = scene.feed(After("49590338271490256608559692538361571095921575989136588898"))

    assert contents(await first(feed)) == ["a", "b"]

    assert scene.kinesis.times("GetShardIterator") == [0.0, 0.5, 1.5]
    assert scene.kinesis.started_at(FIRST)[-1] == "TRIM_HORIZON"
    assert scene.stage.value("position_resets_total", reason="unknown_sequence_number") == 1
    (line,) = scene.logged("position reset")
    assert line["shard"] == FIRST
    assert scene.journal.doubts == [0.0, 0.5]


@virtual
async def test_a_position_that_is_refused_once_is_kept() -> None:
    scene = Scene()
    one, _ = scene.kinesis.put(FIRST, "a", "b")
    scene.kinesis.answers["GetShardIterator"] = [INVALID, BROKEN]

    assert contents(await first(scene.feed(After(one)))) == ["b"]
    assert scene.logged("position reset") == []


@virtual
async def test_a_read_that_is_refused_does_not_lose_a_position_that_is_known() -> None:
    """An iterator of a server that was restarted: the position behind it is as good as ever."""
    scene = Scene()
    one, _ = scene.kinesis.put(FIRST, "a", "b")
    scene.kinesis.answers["GetRecords"] = [INVALID] * 4

    assert contents(await first(scene.feed(After(one)))) == ["b"]
    assert scene.logged("position reset") == []
    assert scene.kinesis.started_at(FIRST) == [one] * 5


@pytest.mark.parametrize(("old", "resets"), [(True, 1), (False, 0)])
@virtual
async def test_records_that_may_have_expired_behind_a_position_are_counted_once_and_what_is_left_is_read(
    old: bool, resets: int
) -> None:
    """The stream gives what is left behind a position and says nothing of what is not."""
    scene = Scene()
    scene.kinesis.records_per_page = 1
    one, *_ = scene.kinesis.put(FIRST, *"abcd")
    scene.kinesis.trim(FIRST, 2)
    scene.journal.old = old
    feed = scene.feed(After(one))

    assert contents(await first(feed)) + contents(await first(feed)) == ["c", "d"]
    assert scene.stage.value("position_resets_total", reason="records_expired") == resets


@virtual
async def test_old_records_of_a_shard_that_is_read_from_its_beginning_are_no_loss() -> None:
    scene = Scene()
    scene.journal.old = True
    scene.kinesis.put(FIRST, *"ab")

    assert contents(await first(scene.feed())) == ["a", "b"]
    assert scene.stage.value("position_resets_total", reason="records_expired") == 0


@virtual
async def test_a_moment_that_the_stream_has_not_come_to_yet_is_waited_for() -> None:
    """Our clock is ahead of the stream's: it refuses what lies in its future."""
    scene = Scene()
    scene.kinesis.put(FIRST, "before")
    feed = scene.feed(Since(START + 5))
    asyncio.get_running_loop().call_later(6, scene.kinesis.put, FIRST, "after")

    assert contents(await first(feed)) == ["after"]
    assert set(scene.kinesis.started_at(FIRST)) == {f"AT_TIMESTAMP {START + 5!r}"}
    assert scene.logged("position reset") == []


@virtual
async def test_a_shard_that_is_not_there_is_looked_for_and_read_on_while_it_is_listed() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a")
    scene.kinesis.answers["GetRecords"] = [MISSING] * 3

    assert contents(await first(scene.feed())) == ["a"]
    assert scene.journal.doubts == [0.0, 0.5, 1.5]
    assert scene.journal.positions == []


@virtual
async def test_a_shard_that_is_listed_no_more_is_over_and_counted() -> None:
    scene = Scene()
    scene.kinesis.answers["GetShardIterator"] = [MISSING] * 9
    scene.journal.listed = False

    assert await scene.feed().read(10, None) is None
    assert scene.journal.positions == ["SHARD_END"]
    assert scene.stage.value("position_resets_total", reason="shard_expired") == 1


@virtual
async def test_a_shard_that_is_listed_no_more_ends_only_when_what_was_given_of_it_is_settled() -> None:
    scene = Scene()
    (one,) = scene.kinesis.put(FIRST, "a")
    feed, until = scene.feed(), now() + 60
    batch = await read(feed)
    scene.kinesis.answers["GetRecords"] = [MISSING] * 9
    scene.journal.listed = False

    assert await feed.read(10, until) is None
    assert scene.journal.positions == []
    await feed.settle(batch, ())
    assert await feed.read(10, None) is None
    assert scene.journal.positions == [one, "SHARD_END"]


# The end of a shard


@pytest.mark.parametrize("trailing", [False, True])
@virtual
async def test_a_closed_shard_ends_when_all_of_it_is_settled(trailing: bool) -> None:
    scene = Scene()
    scene.kinesis.trailing = trailing
    _, two = scene.kinesis.put(FIRST, "a", "b")
    scene.kinesis.close(FIRST)
    feed = scene.feed()
    batch = await read(feed)
    assert scene.journal.positions == []
    await feed.settle(batch, ())

    assert await feed.read(10, None) is None

    assert scene.journal.positions == [two, "SHARD_END"]
    assert scene.stage.value("shards_done_total") == 1
    assert scene.share.used == 0


@virtual
async def test_a_closed_shard_without_records_ends_at_once() -> None:
    scene = Scene()
    scene.kinesis.close(FIRST)

    assert await scene.feed().read(10, None) is None
    assert scene.journal.positions == ["SHARD_END"]


@virtual
async def test_a_begun_batch_is_sent_when_the_shard_ends_and_then_the_end_is_told_once() -> None:
    scene = Scene()
    (one,) = scene.kinesis.put(FIRST, "a")
    scene.kinesis.trailing = True
    scene.kinesis.close(FIRST)
    feed, until = scene.feed(), now() + 60
    batch = await read(feed)

    assert await feed.read(10, until) is None
    assert scene.journal.positions == []
    assert elapsed() == 0.25
    await feed.settle(batch, ())
    assert await feed.read(10, None) is None
    assert scene.journal.positions == [one, "SHARD_END"]


@virtual
async def test_a_stopped_feed_says_nothing_of_an_end_that_it_has_seen() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a")
    scene.kinesis.close(FIRST)
    feed = scene.feed()
    batch = await read(feed)
    feed.stop()
    await feed.release(batch)

    assert await feed.read(10, None) is None
    assert scene.journal.positions == []


# Settling


@virtual
async def test_the_checkpoint_is_never_ahead_of_what_is_settled() -> None:
    scene = Scene()
    numbers = scene.kinesis.put(FIRST, *"abcde")
    feed = scene.feed()
    a, b, c, d, e = await read(feed)

    await feed.settle([b], [])
    assert scene.journal.positions == []
    await feed.settle([a], [])
    assert scene.journal.positions == [numbers[1]]
    await feed.give_up([d, e], DropReason.RETRY_ATTEMPTS_EXHAUSTED)
    assert scene.journal.positions == [numbers[1]]
    await feed.settle([c], [])
    assert scene.journal.positions == [numbers[1], numbers[4]]


@virtual
async def test_what_is_given_up_is_checkpointed_past() -> None:
    scene = Scene()
    one, two = scene.kinesis.put(FIRST, "a", "b")
    feed = scene.feed()
    a, b = await read(feed)
    await feed.give_up([a], DropReason.PAYLOAD_TOO_LARGE)
    await feed.settle([b], [])

    assert scene.journal.positions == [one, two]


@pytest.mark.parametrize("how", ["returned", "released"])
@virtual
async def test_what_goes_back_holds_the_checkpoint_where_it_is(how: str) -> None:
    scene = Scene()
    one, _, _ = scene.kinesis.put(FIRST, "a", "b", "c")
    feed = scene.feed()
    a, b, c = await read(feed)
    await feed.settle([a], [])
    if how == "returned":
        await feed.settle([], [b])
    else:
        await feed.release([b])
    await feed.settle([c], [])

    assert scene.journal.positions == [one]
    assert scene.share.used == 0


@virtual
async def test_nothing_ever_lapses() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, "a")
    feed = scene.feed()

    assert feed.lapsed(await read(feed)) == ()


@virtual
async def test_binary_data_arrives_as_it_was_sent() -> None:
    scene = Scene()
    sent = bytes(range(256)) * 3
    scene.kinesis.put(FIRST, sent)

    (record,) = await read(scene.feed())

    assert b'"data":"' + base64.b64encode(sent) + b'"' in record.event


# Stopping


@virtual
async def test_a_stopped_feed_reads_nothing() -> None:
    scene = Scene()
    feed = scene.feed()
    feed.stop()

    assert await feed.read(10, None) is None
    assert scene.kinesis.calls == []


@pytest.mark.parametrize("where", ["the budget", "the line of reads", "GetShardIterator", "GetRecords"])
@pytest.mark.parametrize("window", [None, 60.0])
@virtual
async def test_a_stop_ends_a_read_at_once_wherever_it_is(where: str, window: float | None) -> None:
    scene = Scene(budget=64 * MIB, reads=1)
    match where:
        case "the budget":
            take_all(scene)
        case "the line of reads":
            await scene.desk.reads.acquire()
        case operation:
            scene.kinesis.seconds[operation] = 30.0
    feed, held = scene.feed(), scene.share.used
    asyncio.get_running_loop().call_later(3, feed.stop)

    assert await feed.read(10, None if window is None else now() + window) is None

    assert elapsed() == (0 if where == "the budget" and window else 3)
    assert scene.share.used == held
    assert scene.desk.reads.locked() == (where == "the line of reads")


@virtual
async def test_a_stop_ends_the_wait_for_the_next_read_and_for_the_end_of_a_backoff() -> None:
    scene = Scene()
    feed, loop = scene.feed(), asyncio.get_running_loop()
    await read(feed)
    loop.call_later(0.5, feed.stop)
    assert await feed.read(10, None) is None
    assert elapsed() == 0.5

    scene.kinesis.answers["GetRecords"] = [BROKEN] * 9
    other = scene.feed()
    for _ in range(5):
        await read(other)
    started = elapsed()
    loop.call_later(2, other.stop)
    assert await other.read(10, None) is None
    assert elapsed() == started + 2


@virtual
async def test_memory_that_comes_with_the_stop_is_given_back() -> None:
    scene = Scene(budget=MIB)
    taken = take_all(scene)
    feed, loop = scene.feed(), asyncio.get_running_loop()
    loop.call_later(3, lambda: (scene.share.give_back(taken), feed.stop()))

    assert await feed.read(10, None) is None
    assert scene.share.used == 0
    assert scene.kinesis.made("GetRecords") == []


@virtual
async def test_a_stopped_feed_holds_no_page() -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, *"abcde")
    feed = scene.feed()
    batch = await read(feed, 2)

    feed.stop()
    assert scene.share.used == charge(*batch)
    await feed.settle(batch, ())

    assert scene.share.used == 0
    assert await feed.read(10, None) is None


@pytest.mark.parametrize("turns", range(12))
@virtual
async def test_a_page_that_comes_with_the_stop_is_not_held(turns: int) -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, *"abcde")
    scene.kinesis.seconds["GetRecords"] = 3.0
    feed = scene.feed()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(feed.read(10, None), name="read")
        await asyncio.sleep(3)
        for _ in range(turns):
            await asyncio.sleep(0)
        feed.stop()
    if records := reading.result():
        await feed.release(records)

    assert scene.share.used == 0, f"stopped {turns} turns after the page came"


@virtual
async def test_what_is_settled_after_the_stop_is_checkpointed() -> None:
    scene = Scene()
    one, two = scene.kinesis.put(FIRST, "a", "b")
    feed = scene.feed()
    batch = await read(feed)
    feed.stop()
    await feed.settle(batch, ())

    assert scene.journal.positions == [two]
    assert one != two


@pytest.mark.parametrize("settle", [True, False])
@virtual
async def test_the_next_process_goes_on_where_this_one_stopped(settle: bool) -> None:
    scene = Scene()
    scene.kinesis.put(FIRST, *"abcd")
    feed = scene.feed()
    a, b = await read(feed, 2)
    await feed.settle([a, b] if settle else [a], [] if settle else [b])
    feed.stop()

    assert contents(await read(scene.feed(After(scene.journal.positions[-1])))) == (
        ["c", "d"] if settle else ["b", "c", "d"]
    )
