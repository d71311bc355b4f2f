"""Where partitions begin without an offset: one member says so for all, before anybody reads, and LATEST stays what it was."""

import asyncio

import pytest

from outboard.sources.kafka.beginning import Beginning, FirstStart
from outboard.sources.kafka.consumer import Earliest, Latest, NotOurs, Since
from tests.unit.sources.kafka.fake import FakeConsumer, FakeTopic
from tests.unit.virtual import virtual

ALL = frozenset({0, 1, 2})
MINE = frozenset({1, 2})


def topic_of(*counts: int) -> FakeTopic:
    topic = FakeTopic(len(counts))
    for partition, count in enumerate(counts):
        topic.put(partition, *"x" * count)
    return topic


@virtual
async def test_who_has_the_lowest_partition_gives_all_of_them_their_start_at_once() -> None:
    topic = topic_of(3, 4, 5)
    beginning = Beginning(FakeConsumer(topic), FirstStart(Latest()))

    assert await beginning.positions(frozenset({0}), frozenset({0}), lambda: True) == {0: 3}
    assert topic.commits == [(0.0, {0: 3, 1: 4, 2: 5})]


@virtual
async def test_the_others_wait_until_that_is_done() -> None:
    topic = topic_of(3, 4, 5)
    beginning = Beginning(FakeConsumer(topic), FirstStart(Latest()))

    assert await beginning.positions(MINE, MINE, lambda: True) is None
    topic.group = {0: 3, 1: 4, 2: 5}
    topic.put(1, "later")
    assert await beginning.positions(MINE, MINE, lambda: True) == {1: 4, 2: 5}
    assert topic.commits == []


@virtual
async def test_after_a_minute_each_gives_its_own() -> None:
    topic = topic_of(3, 4, 5)
    beginning = Beginning(FakeConsumer(topic), FirstStart(Latest()))
    assert await beginning.positions(MINE, MINE, lambda: True) is None
    await asyncio.sleep(60)

    assert await beginning.positions(MINE, MINE, lambda: True) == {1: 4, 2: 5}
    assert topic.commits == [(60.0, {1: 4, 2: 5})]


@virtual
async def test_a_group_that_was_divided_anew_meanwhile_is_given_nothing() -> None:
    topic = topic_of(3)
    beginning = Beginning(FakeConsumer(topic), FirstStart(Latest()))

    assert await beginning.positions(frozenset({0}), frozenset({0}), lambda: False) is None
    assert topic.commits == []


@virtual
async def test_what_was_looked_up_too_long_ago_is_looked_up_again() -> None:
    topic = topic_of(3)
    consumer = FakeConsumer(topic)
    consumer.seconds["offsets"] = 20.0
    beginning = Beginning(consumer, FirstStart(Latest()))

    assert await beginning.positions(frozenset({0}), frozenset({0}), lambda: True) is None
    assert topic.commits == []
    consumer.seconds.clear()
    assert await beginning.positions(frozenset({0}), frozenset({0}), lambda: True) == {0: 3}


@virtual
async def test_a_start_that_is_refused_is_looked_up_again() -> None:
    topic = topic_of(3)
    consumer = FakeConsumer(topic)
    consumer.errors["give start"] = [NotOurs()]
    beginning = Beginning(consumer, FirstStart(Latest()))
    with pytest.raises(NotOurs):
        await beginning.positions(frozenset({0}), frozenset({0}), lambda: True)
    topic.group = {0: 1}  # whoever had it meanwhile

    assert await beginning.positions(frozenset({0}), frozenset({0}), lambda: True) == {0: 1}


@virtual
async def test_what_has_no_offset_beside_others_is_new() -> None:
    topic = topic_of(3, 4, 5)
    topic.group = {0: 2}
    beginning = Beginning(FakeConsumer(topic), FirstStart(Latest()))

    assert await beginning.positions(ALL, ALL, lambda: True) == {0: 2, 1: 0, 2: 0}


@virtual
async def test_a_start_that_is_given_between_two_questions_is_not_taken_for_that_of_other_partitions() -> None:
    topic = topic_of(3, 4, 5)
    consumer = FakeConsumer(topic)
    consumer.seconds["partitions"] = 1.0
    asyncio.get_running_loop().call_later(0.5, topic.group.update, {0: 3, 1: 4, 2: 5})
    positions = await Beginning(consumer, FirstStart(Latest())).positions(MINE, MINE, lambda: True)

    assert positions is not None
    assert (positions[1], positions[2]) == (4, 5)


@virtual
async def test_a_topic_that_was_made_anew_is_read_from_its_beginning() -> None:
    topic = topic_of(3, 4, 5)
    beginning = Beginning(FakeConsumer(topic), FirstStart(Latest()))
    await beginning.positions(ALL, ALL, lambda: True)
    topic.group = {}

    assert await beginning.positions(ALL, ALL, lambda: True) == {0: 0, 1: 0, 2: 0}


@virtual
async def test_a_member_without_partitions_has_begun_nothing() -> None:
    topic = FakeTopic(2)
    topic.put(0, "old")
    first = FirstStart(Latest())

    assert await Beginning(FakeConsumer(topic), first).positions(frozenset(), frozenset(), lambda: True) == {}
    assert first.start == Latest()


def test_only_latest_ends_with_the_first_start() -> None:
    starts = []
    for start in (Latest(), Since(5.0), Earliest()):
        first = FirstStart(start)
        first.is_over()
        starts.append(first.start)

    assert starts == [Earliest(), Since(5.0), Earliest()]
