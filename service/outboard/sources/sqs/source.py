"""Knows how an SQS mapping runs: looks at its queue, keeps as many pollers as its backlog and its function deserve."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from outboard.aws.calls import CallFailed
from outboard.core.pollers import Pollers, Scaling
from outboard.core.ports import Allowance, Feed, Lane, Lanes, SourceFailed
from outboard.core.price import Price
from outboard.events.sqs import QueueFacts
from outboard.observe.mapping import MappingObserver, MappingState
from outboard.sources.sqs.feed import Desk, SqsFeed, with_remedy
from outboard.sources.sqs.groups import LiveGroups
from outboard.sources.sqs.queue import MOST_PER_CALL, SqsQueue
from outboard.sources.sqs.receipts import Receipts

#: Seconds between two looks at whether a poller that is due may be opened.
_CATCH_UP = 0.1


@dataclass(frozen=True, slots=True)
class SqsSettings:
    """What an SQS source needs beside its queue: the facts of its events, its window, its part of the memory budget.

    `memory` bounds what receives under way at once may bring at worst, in bytes.
    """

    facts: QueueFacts
    window: float
    allowance: Allowance
    observer: MappingObserver
    jitter: Callable[[], float]
    memory: int


class SqsSource:
    """The source of one SQS mapping. `feed` makes a poller's feed."""

    def __init__(self, queue: SqsQueue, settings: SqsSettings, feed: Callable[[Desk], Feed] = SqsFeed) -> None:
        self._queue = queue
        self._settings = settings
        self._make_feed = feed
        self._stopping = asyncio.Event()
        self._open: dict[Lane, str] = {}
        self._polling = 0
        self._opened = 0
        self._ending = 0
        self._failing = False
        self._answered = False
        self._quiet = False
        self._behind = asyncio.Event()
        self._receipts: Receipts | None = None
        self._now = asyncio.get_running_loop().time
        self._scaling = Scaling(self._now())

    def stop(self) -> None:
        self._stopping.set()
        if self._receipts is not None:
            self._receipts.stop()
        for lane in self._open:
            lane.stop()

    async def run(self, lanes: Lanes) -> None:
        settings = self._settings
        settings.allowance.give_back(settings.allowance.used)  # what an earlier run that crashed has left behind
        try:
            attributes = await self._queue.attributes()
        except CallFailed as failure:
            raise SourceFailed(failure.code, with_remedy(failure)) from None
        receipts = Receipts(self._queue, attributes.visibility_timeout, settings.observer, settings.jitter)
        self._desk = self._made(receipts, attributes.maximum_message_size)
        self._receipts = receipts
        settings.observer.state(MappingState.ENABLED, "")
        self._lanes = lanes
        async with asyncio.TaskGroup() as self._tasks:
            keeper = self._tasks.create_task(receipts.keep(), name="visibility")
            growth = self._tasks.create_task(self._catch_up(), name="growth")
            if not self._stopping.is_set():
                self._add_poller()
            await self._stopping.wait()
            growth.cancel()
            while self._open:
                await next(iter(self._open)).ended()
                await asyncio.sleep(0)
            keeper.cancel()

    def _made(self, receipts: Receipts, largest: int) -> Desk:
        """What the pollers share, of a queue whose messages have `largest` bytes at most."""
        settings = self._settings
        return Desk(
            queue=self._queue,
            facts=settings.facts,
            receipts=receipts,
            groups=LiveGroups(),
            allowance=settings.allowance,
            pace=self,
            observer=settings.observer,
            jitter=settings.jitter,
            window=settings.window,
            price=Price(),
            receives=asyncio.Semaphore(max(1, settings.memory // (2 * MOST_PER_CALL * largest))),
        )

    def _add_poller(self) -> None:
        self._opened += 1
        lane = self._lanes.open(f"poller-{self._opened}", self._make_feed(self._desk))
        self._open[lane] = ""
        self._settings.observer.pollers(len(self._open))
        self._tasks.create_task(self._forget(lane), name="poller's end")

    async def _forget(self, lane: Lane) -> None:
        await lane.ended()
        del self._open[lane]
        self._ending = max(0, self._ending - 1)
        self._settings.observer.pollers(len(self._open))
        if not self._open and not self._stopping.is_set():
            self._add_poller()

    # The pace of the feeds

    def polling(self) -> None:
        self._polling += 1

    @property
    def quiet(self) -> bool:
        return self._quiet

    def polled(self, messages: int, asked: int, *, leaving: bool) -> None:
        self._polling -= 1
        if asked:
            self._quiet = messages == 0
        if messages and not self._grow(full=messages >= asked, leaving=leaving):
            self._behind.set()

    def _grow(self, *, full: bool, leaving: bool) -> bool:
        """Open another poller if it is deserved and may be now."""
        if self._failing or self._stopping.is_set():
            return False
        lanes = self._lanes
        pollers = Pollers(len(self._open), self._polling, lanes.limit, lanes.saturated, answered=self._answered)
        grown = self._scaling.grow(pollers, self._now(), full=full, leaving=leaving)
        if grown:
            self._add_poller()
        return grown

    async def _catch_up(self) -> None:
        """Open a poller that was deserved too soon after others: with all of them invoking, for as long as the function
        takes, no receive would ask again.
        """
        while True:
            await self._behind.wait()
            self._behind.clear()
            while self._polling == 0 and len(self._open) < self._lanes.limit:
                await asyncio.sleep(_CATCH_UP)
                self._grow(full=False, leaving=True)

    def settled(self, *, failed: bool) -> None:
        """A function that fails whole batches gets no more pollers until it succeeds again."""
        self._failing = failed
        self._answered = True

    def surplus(self, *, idle: bool, backlog: bool) -> bool:
        staying = len(self._open) - self._ending
        pollers = Pollers(staying, self._polling, self._lanes.limit)
        surplus = staying > 1 and self._scaling.shed(pollers, idle=idle, backlog=backlog)
        self._ending += surplus
        return surplus
