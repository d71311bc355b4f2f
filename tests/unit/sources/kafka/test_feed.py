"""A partition's feed takes what was fetched within its memory, hands it out, and says how far it is settled."""

import asyncio
from collections.abc import Sequence

from outboard.core.price import charge_all
from outboard.core.records import DropReason, Record
from outboard.sources.kafka.consumer import OffsetOutOfRange
from outboard.sources.kafka.feed import PartitionFeed
from tests.unit.sources.kafka.fake import DENIED, GONE, MIB, Scene, elapsed, fatal, offsets, ready
from tests.unit.virtual import virtual

KIB = 1024


async def read(feed: PartitionFeed, limit: int = 100, until: float | None = None) -> Sequence[Record]:
    records = await feed.read(limit, until)
    assert records is not None
    return records


def after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def letters(count: int) -> list[str]:
    return [f"v{number}" for number in range(count)]


# Reading


@virtual
async def test_what_was_fetched_comes_at_once_and_in_order() -> None:
    scene = Scene()
    scene.topic.put(0, *"abcde")

    records = await read(scene.feed(1))

    assert [record.identifier for record in records] == [("trades-0", offset) for offset in (1, 2, 3, 4)]
    assert b'"value":"Yg=="' in records[0].event
    assert elapsed() == 0
    assert scene.stage.value("polled_events_total") == 4


@virtual
async def test_a_page_is_handed_out_in_pieces() -> None:
    scene = Scene()
    scene.topic.put(0, *"abcdefg")
    feed = scene.feed()

    first = await read(feed, 3)
    taken = len(scene.consumer.takes)
    second = await read(feed, 3)

    assert (offsets(first), offsets(second)) == ([0, 1, 2], [3, 4, 5])
    assert len(scene.consumer.takes) == taken, "the page had enough"
    assert offsets(await read(feed, 3)) == [6]


@virtual
async def test_a_read_waits_for_a_record() -> None:
    scene = Scene()
    feed = scene.feed()
    asyncio.get_running_loop().call_later(1.5, scene.topic.put, 0, "late")

    assert offsets(await read(feed)) == [0]
    assert elapsed() == 1.5


@virtual
async def test_an_idle_read_comes_back_empty() -> None:
    scene = Scene()

    assert await read(scene.feed()) == ()
    assert elapsed() == 2.0


@virtual
async def test_a_read_ends_when_the_batch_is_due() -> None:
    scene = Scene()

    assert await read(scene.feed(), until=after(0.3)) == ()
    assert elapsed() == 0.3


# Memory


@virtual
async def test_what_is_held_is_paid_and_given_back_when_it_is_settled() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(50))
    feed = scene.feed()

    records = await read(feed, 20)
    page = scene.share.used
    await feed.settle(records, ())

    assert scene.share.used == page - charge_all(records) > 0
    assert scene.stage.value("buffered_events") == 30
    assert scene.stage.value("buffered_bytes") == scene.share.used


@virtual
async def test_an_idle_partition_keeps_no_memory() -> None:
    scene = Scene()
    async with asyncio.TaskGroup() as group:
        group.create_task(scene.feed().read(100, None), name="read")
        await asyncio.sleep(1)
        assert scene.share.used == 0

    assert scene.share.used == 0


@virtual
async def test_with_little_memory_less_is_taken() -> None:
    scene = Scene(budget=MIB)
    scene.topic.put(0, *letters(500))
    feed = scene.feed()

    records = await read(feed, 500)

    assert 1 <= len(records) < 40, "a record that was never seen is expected to cost 32 KiB"
    assert scene.share.used == charge_all(records)


@virtual
async def test_without_memory_it_waits_for_some() -> None:
    scene = Scene(budget=MIB)
    scene.topic.put(0, "a")
    feed = scene.feed()
    while scene.share.try_take(KIB):
        pass
    taken = scene.share.used
    asyncio.get_running_loop().call_later(3.0, scene.share.give_back, taken)

    assert offsets(await read(feed)) == [0]
    assert elapsed() == 3.0


@virtual
async def test_without_memory_a_batch_that_has_begun_is_sent_as_it_is() -> None:
    scene = Scene(budget=MIB)
    scene.topic.put(0, "a")
    feed = scene.feed()
    while scene.share.try_take(KIB):
        pass

    assert await feed.read(100, after(60)) is None
    assert elapsed() == 0


@virtual
async def test_a_read_that_is_cut_off_or_fails_keeps_no_memory() -> None:
    scene = Scene()
    feed = scene.feed()
    scene.consumer.errors["take"] = [GONE]

    assert await read(feed) == ()
    assert scene.share.used == 0
    await read(feed, until=after(0.75))
    assert scene.share.used == 0


# A blocked batch


@virtual
async def test_a_blocked_batch_drops_the_page_and_reads_it_again_behind_the_batch() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(30))
    feed = scene.feed()
    batch = await read(feed, 10)

    feed.blocked(batch)
    feed.blocked(batch)

    assert "pause 0" in scene.consumer.calls
    assert scene.stage.value("buffered_events") == 10
    assert scene.share.used == charge_all(batch) - sum(len(record.event) for record in batch)

    await feed.settle(batch, ())
    assert scene.share.used == 0
    assert offsets(await read(feed, 100)) == list(range(10, 30))
    assert scene.consumer.seeks == [(0, 0), (0, 10)]


@virtual
async def test_a_blocked_batch_stays_paused_when_its_partition_comes_back() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(30))
    feed = scene.feed()
    batch = await read(feed, 10)
    feed.blocked(batch)

    feed.go_on()

    assert scene.consumer.seeks == [(0, 0)]


@virtual
async def test_a_blocked_batch_that_is_done_after_its_partition_went_elsewhere_harms_nobody() -> None:
    """The consumer knows it already, the feed does not yet."""
    scene = Scene()
    scene.topic.put(0, *letters(30))
    feed = scene.feed()
    batch = await read(feed, 10)
    feed.blocked(batch)
    await feed.settle(batch, ())
    scene.consumer.assigned = frozenset({7})

    assert not await feed.read(100, None)


# Offsets that are gone, and those that were never records


@virtual
async def test_an_expired_position_goes_on_with_the_oldest_there_is_and_tells() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(20))
    scene.topic.expire(0, 15)
    feed = scene.feed(5)

    assert await read(feed) == ()
    records = await read(feed)

    assert offsets(records) == list(range(15, 20))
    assert feed.safe == 15
    assert scene.stage.value("position_resets_total", reason="offset_out_of_range") == 1
    assert scene.stage.value("expired_events_total") == 10


@virtual
async def test_what_is_under_way_while_the_next_expires_is_still_settled_first() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(10))
    feed = scene.feed()
    records = await read(feed, 10)
    scene.topic.put(0, *letters(10))
    scene.topic.expire(0, 15)

    await read(feed)
    assert feed.safe == 0, "a crash now must bring the batch again"
    await feed.settle(records, ())

    assert feed.safe == 10
    later = await read(feed)
    await feed.settle(later, ())
    assert (offsets(later), feed.safe) == (list(range(15, 20)), 20)


@virtual
async def test_what_expires_behind_a_page_never_moves_a_commit_past_the_page_nor_back() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(10))
    feed = scene.feed()
    await feed.settle(await read(feed, 4), ())
    scene.topic.put(0, *letters(10))
    scene.topic.expire(0, 15)

    seen = [feed.safe]
    for _ in range(4):
        records = await read(feed)
        seen.append(feed.safe)
        await feed.settle(records, ())
        seen.append(feed.safe)

    assert seen == sorted(seen), "what was committed never goes back"
    assert seen[1] <= 4, "six records of the page were not delivered yet"
    assert scene.stage.value("expired_events_total") == 5
    assert feed.safe == 20


@virtual
async def test_a_log_that_was_cut_off_begins_anew_only_when_nothing_of_it_is_under_way() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(10))
    feed = scene.feed()
    records = await read(feed, 10)
    scene.topic.truncate(0, 3)

    assert await read(feed) == ()
    assert await read(feed) == ()
    assert scene.stage.value("position_resets_total", reason="offset_out_of_range") == 0
    await feed.settle(records, ())
    await read(feed)

    assert scene.stage.value("position_resets_total", reason="offset_out_of_range") == 1
    assert scene.stage.value("expired_events_total") == 0
    assert feed.safe == 0
    assert offsets(await read(feed)) == [0, 1, 2]


@virtual
async def test_a_log_that_was_cut_off_waits_for_the_page_too() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(10))
    feed = scene.feed()
    await feed.settle(await read(feed, 4), ())
    scene.topic.truncate(0, 3)

    page = await read(feed)  # more than the page has: the rest is asked for
    more = await read(feed)  # a window that is still open

    assert (offsets(page), more) == ([4, 5, 6, 7, 8, 9], ())
    await feed.settle(page, ())
    assert feed.safe == 10


@virtual
async def test_what_is_no_record_is_committed_when_nothing_is_pending() -> None:
    scene = Scene()
    scene.topic.put(0, "a")
    scene.topic.skip(0, 3)
    feed = scene.feed()
    records = await read(feed)
    await read(feed)
    assert feed.safe == 0

    await feed.settle(records, ())
    assert feed.safe == 1
    await read(feed)

    assert feed.safe == 4
    await read(feed)
    assert scene.stage.value("offset_lag", partition="0") == 0


@virtual
async def test_a_position_that_is_asked_for_in_vain_changes_nothing() -> None:
    scene = Scene()
    scene.topic.skip(0, 3)
    scene.consumer.errors["position"] = [GONE]
    feed = scene.feed()

    assert await read(feed) == ()
    assert feed.safe == 0
    assert await read(feed) == ()
    assert feed.safe == 3


# Errors


@virtual
async def test_an_error_is_told_and_read_again_after_a_growing_while() -> None:
    scene = Scene()
    scene.topic.put(0, *"abc")
    feed = scene.feed(1)
    scene.consumer.errors["take"] = [DENIED, DENIED, GONE]

    for _ in range(3):
        assert await read(feed) == ()
    times = [at for at, *_ in scene.consumer.takes]
    records = await read(feed)

    assert offsets(records) == [1, 2]
    assert times == [0.0, 0.5, 1.5]
    assert elapsed() == 3.5
    assert scene.consumer.seeks == [(0, 1)] * 4
    assert scene.stage.value("polls_total", result="error") == 3
    assert scene.journal.broken_by == []


@virtual
async def test_no_record_is_passed_over_when_a_read_fails_between_two_pages() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(5))
    feed = scene.feed()
    first = await read(feed, 2)
    scene.consumer.errors["take"] = [GONE]
    page = await read(feed)
    scene.topic.put(0, "later")

    assert [*offsets(first), *offsets(page), *offsets(await read(feed))] == [0, 1, 2, 3, 4, 5]


@virtual
async def test_what_ends_the_consumer_is_told_at_once() -> None:
    scene = Scene()
    feed = scene.feed()
    error = fatal()
    scene.consumer.errors["take"] = [error]

    await read(feed)

    assert scene.journal.broken_by == [error]


@virtual
async def test_the_oldest_offset_that_cannot_be_asked_for_is_asked_for_again() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(20))
    scene.topic.expire(0, 15)
    scene.consumer.errors["offsets"] = [GONE]
    feed = scene.feed(5)

    assert [await read(feed) for _ in range(2)] == [(), ()]
    assert offsets(await read(feed)) == list(range(15, 20))
    assert scene.stage.value("expired_events_total") == 10


# Settling


@virtual
async def test_safe_is_behind_what_is_settled_without_a_gap() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(9))
    feed = scene.feed()
    one, two, three = await read(feed, 3), await read(feed, 3), await read(feed, 3)

    await feed.settle(two, ())
    assert (feed.safe, scene.journal.moves) == (0, 0)
    await feed.settle(one, ())
    assert feed.safe == 6
    await feed.give_up(three, DropReason.RECORD_AGE_EXCEEDED)
    assert feed.safe == 9
    assert scene.stage.value("offset_lag", partition="0") == 0
    assert (scene.share.used, scene.stage.value("buffered_events")) == (0, 0)


@virtual
async def test_what_is_handed_back_is_not_settled() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(6))
    feed = scene.feed()
    records = await read(feed, 6)

    await feed.settle((), records[:2])
    await feed.release(records[2:])

    assert (feed.safe, feed.committed, scene.share.used) == (0, 0, 0)


# The group, and the end


@virtual
async def test_a_lost_feed_discards_what_comes_late_and_gives_its_memory_back() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(6))
    feed = scene.feed()
    records = await read(feed, 4)

    feed.lose()
    assert scene.share.used == charge_all(records), "the page is gone"
    await feed.settle(records, ())

    assert await feed.read(10, None) is None
    assert feed.lost
    assert feed.safe == 0
    assert scene.journal.moves == 0
    assert scene.stage.value("discarded_events_total") == 4
    assert scene.share.used == 0


@virtual
async def test_a_partition_that_came_back_is_read_on_where_it_was() -> None:
    scene = Scene()
    scene.topic.put(0, *letters(6))
    feed = scene.feed()
    await read(feed, 2)

    feed.go_on()

    assert scene.consumer.seeks[-1] == (0, 6), "the page is behind already"
    assert offsets(await read(feed)) == [2, 3, 4, 5]


@virtual
async def test_a_stop_cuts_a_read_off() -> None:
    scene = Scene()
    feed = scene.feed()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(feed.read(100, None), name="read")
        await asyncio.sleep(0.5)
        feed.stop()

    assert waiting.result() is None
    assert elapsed() == 0.5
    assert scene.share.used == 0


@virtual
async def test_a_stop_cuts_the_wait_for_memory_and_that_after_an_error_off() -> None:
    scene = Scene(budget=MIB)
    failing, poor = scene.feed(), scene.feed()
    scene.consumer.errors["take"] = [GONE]
    await read(failing)
    while scene.share.try_take(KIB):
        pass
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(feed.read(1, None), name="read") for feed in (failing, poor)]
        await ready()
        failing.stop()
        poor.stop()

    assert [task.result() for task in waiting] == [None, None]
    assert elapsed() == 0


@virtual
async def test_a_stop_hands_back_the_page_even_if_it_came_just_then() -> None:
    scene = Scene()
    feed = scene.feed()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(feed.read(100, None), name="read")
        await ready()
        scene.topic.put(0, "a")
        feed.stop()

    assert waiting.result() is None
    assert scene.share.used == 0
    assert scene.stage.value("buffered_events") == 0


@virtual
async def test_an_offset_that_never_was_is_told_by_its_number() -> None:
    assert str(OffsetOutOfRange(3, 17)) == "partition 3 has no offset 17 any more"
