"""What is settled of all partitions is committed together, soon, and never when it may be somebody else's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from outboard.sources.kafka.commits import Commits
from outboard.sources.kafka.consumer import NotOurs
from tests.unit.sources.kafka.fake import DENIED, Scene, elapsed
from tests.unit.virtual import virtual


class Bench:
    """Feeds of two partitions, and what commits them."""

    def __init__(self) -> None:
        self.scene = Scene(partitions=2)
        for partition in (0, 1):
            self.scene.topic.put(partition, *"abcdefghij")
        self.feeds = {partition: self.scene.feed(0, partition) for partition in (0, 1)}
        self.commits = Commits(self.scene.consumer, self.scene.stage.observer, lambda: 0.0)

    async def settle(self, partition: int, count: int) -> None:
        feed = self.feeds[partition]
        records = await feed.read(count, None)
        assert records is not None
        assert len(records) == count
        await feed.settle(records, ())
        self.commits.moved()

    @property
    def made(self) -> list[tuple[float, dict[int, int]]]:
        return self.scene.topic.commits

    @asynccontextmanager
    async def running(self, *, ours: bool = True) -> AsyncIterator[None]:
        if ours:
            self.commits.of(self.feeds)
            self.commits.go_on()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.commits.run(), name="commits")
            yield
            task.cancel()


@virtual
async def test_all_partitions_are_in_one_commit_a_quarter_of_a_second_after_the_first_was_settled() -> None:
    bench = Bench()
    async with bench.running():
        await bench.settle(0, 3)
        await asyncio.sleep(0.1)
        await bench.settle(1, 4)
        await asyncio.sleep(5)

    assert bench.made == [(0.25, {0: 3, 1: 4})]
    assert (bench.feeds[0].committed, bench.feeds[1].committed) == (3, 4)
    assert bench.scene.stage.value("committed_events_total") == 7


@virtual
async def test_only_what_moved_is_committed_and_its_difference_counted() -> None:
    bench = Bench()
    async with bench.running():
        await bench.settle(0, 3)
        await asyncio.sleep(1)
        await bench.settle(0, 2)
        await asyncio.sleep(1)

    assert [offsets for _, offsets in bench.made] == [{0: 3}, {0: 5}]
    assert bench.scene.stage.value("committed_events_total") == 5


@virtual
async def test_what_is_settled_during_a_commit_has_the_next_one() -> None:
    bench = Bench()
    bench.scene.consumer.seconds["commit"] = 1.0
    async with bench.running():
        await bench.settle(0, 3)
        await asyncio.sleep(0.5)  # the commit is under way
        await bench.settle(0, 2)
        await asyncio.sleep(3)

    assert bench.made == [(1.25, {0: 3}), (2.5, {0: 5})]


@virtual
async def test_none_is_made_before_the_group_is_divided() -> None:
    bench = Bench()
    async with bench.running(ours=False):
        await bench.settle(0, 3)
        await asyncio.sleep(10)
        assert bench.made == []
        bench.commits.of(bench.feeds)
        bench.commits.go_on()
        await asyncio.sleep(1)

    assert bench.made == [(10.25, {0: 3})]


@virtual
async def test_after_the_last_none_is_made_until_it_goes_on() -> None:
    bench = Bench()
    async with bench.running():
        await bench.settle(0, 3)
        await bench.commits.last(5.0)
        assert bench.made == [(0.0, {0: 3})]

        await bench.settle(0, 2)
        await asyncio.sleep(10)
        assert len(bench.made) == 1
        bench.commits.of(bench.feeds)
        bench.commits.go_on()
        await asyncio.sleep(0.5)

    assert [offsets for _, offsets in bench.made] == [{0: 3}, {0: 5}]


@virtual
async def test_the_last_stops_one_that_was_about_to_be_made() -> None:
    bench = Bench()
    async with bench.running():
        await bench.settle(0, 3)
        await asyncio.sleep(0.1)
        bench.feeds[0].lose()
        await bench.commits.last(5.0)
        await asyncio.sleep(5)

    assert bench.made == []


@virtual
async def test_the_last_cuts_a_hanging_commit_off_after_its_time() -> None:
    bench = Bench()
    bench.scene.consumer.seconds["commit"] = 60.0
    async with bench.running():
        await bench.settle(0, 3)
        await asyncio.sleep(1)  # it hangs
        await bench.commits.last(5.0)
        assert elapsed() == 6.0
        await asyncio.sleep(100)

    assert bench.made == [], "it must not be made under the next generation"
    assert bench.feeds[0].committed == 0


@virtual
async def test_the_last_one_itself_is_cut_off_after_its_time() -> None:
    bench = Bench()
    bench.scene.consumer.seconds["commit"] = 60.0
    async with bench.running():
        await bench.settle(0, 3)
        await bench.commits.last(5.0)
        assert elapsed() == 5.0
        await asyncio.sleep(100)

    assert bench.made == []


@virtual
async def test_what_a_cut_off_commit_would_have_said_is_said_when_it_goes_on() -> None:
    """Nothing else is settled meanwhile: the partition may be idle for days."""
    bench = Bench()
    bench.scene.consumer.seconds["commit"] = 60.0
    async with bench.running():
        await bench.settle(0, 3)
        await bench.commits.last(5.0)
        bench.scene.consumer.seconds["commit"] = 0.0
        bench.commits.of(bench.feeds)
        bench.commits.go_on()
        await asyncio.sleep(1)

    assert [offsets for _, offsets in bench.made] == [{0: 3}]


@virtual
async def test_one_that_hung_in_the_background_is_made_when_it_goes_on() -> None:
    bench = Bench()
    bench.scene.consumer.seconds["commit"] = 60.0
    async with bench.running():
        await bench.settle(0, 3)
        await asyncio.sleep(1)
        await bench.commits.last(5.0)
        bench.scene.consumer.seconds["commit"] = 0.0
        bench.commits.of(bench.feeds)
        bench.commits.go_on()
        await asyncio.sleep(1)

    assert [offsets for _, offsets in bench.made] == [{0: 3}]


@virtual
async def test_a_group_that_moved_on_ends_the_commits_until_it_is_divided() -> None:
    bench = Bench()
    bench.scene.consumer.errors["commit"] = [NotOurs()]
    async with bench.running():
        await bench.settle(0, 3)
        await asyncio.sleep(1)
        await bench.settle(1, 4)
        await asyncio.sleep(10)
        assert bench.scene.consumer.calls.count("commit") == 1

        bench.commits.of(bench.feeds)
        bench.commits.go_on()
        await asyncio.sleep(1)

    assert [offsets for _, offsets in bench.made] == [{0: 3, 1: 4}]
    assert bench.scene.stage.events("warning") == []


@virtual
async def test_what_a_group_that_moved_on_refused_is_committed_once_it_is_divided() -> None:
    """Nothing else is settled meanwhile."""
    bench = Bench()
    bench.scene.consumer.errors["commit"] = [NotOurs()]
    async with bench.running():
        await bench.settle(0, 3)
        await asyncio.sleep(1)
        bench.commits.of(bench.feeds)
        bench.commits.go_on()
        await asyncio.sleep(1)

    assert [offsets for _, offsets in bench.made] == [{0: 3}]


@virtual
async def test_a_failed_commit_is_told_and_repeated_after_a_growing_while() -> None:
    bench = Bench()
    bench.scene.consumer.errors["commit"] = [DENIED, DENIED, DENIED]
    async with bench.running():
        await bench.settle(0, 3)
        await asyncio.sleep(10)
        assert bench.made == [(3.75, {0: 3})]  # 0.25 + 0.5 + 1 + 2
        await bench.settle(0, 1)
        await asyncio.sleep(1)

    assert bench.made[1:] == [(10.25, {0: 4})], "the backoff is over"
    assert bench.scene.stage.value("commit_errors_total", error="access_denied") == 3
    assert bench.scene.stage.events("warning") == ["checkpoint failed"]
    assert "checkpoints saved again" in bench.scene.stage.events("info")
    assert bench.scene.stage.value("committed_events_total") == 4


@virtual
async def test_nothing_is_committed_for_a_partition_that_is_somebody_elses() -> None:
    bench = Bench()
    async with bench.running():
        await bench.settle(0, 3)
        await bench.settle(1, 3)
        bench.feeds[0].lose()
        await asyncio.sleep(1)

    assert bench.made == [(0.25, {1: 3})]


@virtual
async def test_offsets_that_begin_anew_are_committed_and_count_for_nothing() -> None:
    bench = Bench()
    async with bench.running():
        await bench.settle(0, 10)
        await asyncio.sleep(1)
        bench.scene.topic.truncate(0, 2)
        await bench.feeds[0].read(1, None)
        bench.commits.moved()
        await asyncio.sleep(1)

    assert [offsets for _, offsets in bench.made] == [{0: 10}, {0: 0}]
    assert bench.scene.stage.value("committed_events_total") == 10
