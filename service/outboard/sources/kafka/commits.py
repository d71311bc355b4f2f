"""Knows when the group is told how far a mapping's partitions are settled, and what becomes of a commit that fails."""

import asyncio
from collections.abc import Callable, Mapping

from outboard.core import backoff
from outboard.observe.mapping import MappingObserver
from outboard.sources.kafka.consumer import Consumer, ConsumerError, NotOurs
from outboard.sources.kafka.feed import PartitionFeed

#: Seconds between two commits: what was settled is committed within half a second.
_EVERY = 0.25


class Commits:
    """The commits of one consumer: all partitions in one, one at a time, none while the group is divided."""

    def __init__(self, consumer: Consumer, observer: MappingObserver, jitter: Callable[[], float]) -> None:
        self._consumer = consumer
        self._observer = observer
        self._jitter = jitter
        self._feeds: Mapping[int, PartitionFeed] = {}
        self._ours = asyncio.Event()  # the partitions are, for sure
        self._moved = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._under_way: asyncio.Timeout | None = None
        self._failures = 0
        self._now = asyncio.get_running_loop().time

    def moved(self) -> None:
        """Something was settled."""
        self._moved.set()

    def of(self, feeds: Mapping[int, PartitionFeed]) -> None:
        """The partitions that have a lane, or had one in this generation."""
        self._feeds = feeds

    def go_on(self) -> None:
        """The group has been divided, and the partitions are ours. What was refused or cut off before is made now."""
        self._ours.set()
        self._moved.set()

    async def last(self, seconds: float) -> None:
        """Commit once more, for so long at most; then no more until `go_on`.

        A commit that hangs is cut off: repeated under the next generation, it could undo somebody else's.
        """
        self._ours.clear()
        try:
            async with asyncio.timeout(seconds), self._one_at_a_time:
                await self._commit()
        except TimeoutError:
            if self._under_way is not None and not self._under_way.expired():
                self._under_way.reschedule(self._now())

    async def run(self) -> None:
        """Commit what is settled, until cancelled."""
        while True:
            await self._moved.wait()
            await self._ours.wait()
            await asyncio.sleep(backoff.delay(self._failures, self._jitter()) if self._failures else _EVERY)
            if self._ours.is_set():
                try:
                    async with self._one_at_a_time, asyncio.timeout(None) as self._under_way:
                        await self._commit()
                except TimeoutError:
                    pass  # the group is divided anew
                finally:
                    self._under_way = None

    async def _commit(self) -> None:
        self._moved.clear()
        ahead = {number: feed for number, feed in self._feeds.items() if feed.safe != feed.committed and not feed.lost}
        if not ahead:
            return
        offsets = {number: feed.safe for number, feed in ahead.items()}
        try:
            await self._consumer.commit(offsets)
        except NotOurs:
            self._ours.clear()  # the library learns the same and joins anew, which ends in `go_on`
        except ConsumerError as error:
            self._failures += 1
            self._moved.set()
            self._observer.checkpoint_failed(error.error_type, error.message)
        else:
            self._failures = 0
            events = sum([max(0, offsets[number] - feed.committed) for number, feed in ahead.items()])
            for number, feed in ahead.items():
                feed.was_committed(offsets[number])
            self._observer.committed(events)
