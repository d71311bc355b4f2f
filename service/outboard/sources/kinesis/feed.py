"""Knows one shard's records: reads a page, hands it out in batches, and keeps how far they are settled."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext

from outboard.aws.calls import CallFailed, Unreachable
from outboard.core import backoff
from outboard.core.price import charge, charge_all
from outboard.core.progress import Progress
from outboard.core.records import DropReason, Record
from outboard.core.shards import After, Beginning, End, Position, Since
from outboard.events.kinesis import renderer
from outboard.observe.facts import PositionReset
from outboard.sources.holdings import Batch
from outboard.sources.kinesis.desk import LARGEST_PAGE, ShardDesk
from outboard.sources.kinesis.page_size import PageSize, whole_batches
from outboard.sources.kinesis.stream import Page, with_remedy

#: Seconds between the starts of two reads of a shard that has records, and of one that has none. Kinesis allows five
#: reads a second for all readers of a shard together.
BUSY = 0.25
IDLE = 1.0

#: So often in a row must the stream refuse a position before it is taken for lost.
_REFUSALS = 2

#: The start is moved back by two seconds, four, and so on up to the clock skew with which AWS accepts no call any more.
_REFUSALS_OF_START = 8

_THROTTLES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "ThrottlingException",
        "KMSThrottlingException",
    }
)


class ShardFeed:
    """The feed of one shard's lane, which goes on at `position`."""

    def __init__(self, desk: ShardDesk, shard: str, position: Position) -> None:
        self._desk = desk
        self._shard = shard
        self._render = renderer(desk.facts, shard)
        self._page: deque[Record] = deque()
        self._read_to = position  # behind the last record of the page
        self._given_to = position  # behind the last record that the lane was given
        self._progress: Progress[tuple[object, str]] = Progress()
        self._batch = Batch(desk.holdings)
        self._iterator: str | None = None
        self._at_end = False  # no page will follow
        self._stopped = False
        self._size = PageSize()
        self._reading: asyncio.Timeout | None = None
        self._due = 0.0  # when the next read may start
        self._failures = 0
        self._refusals = 0
        self._renewed = False  # the iterator, since the last page
        self._gone_back = False  # to a stored position, behind which no record was read yet
        self._now = asyncio.get_running_loop().time

    def stop(self) -> None:
        """Reading takes nothing away from anybody: a read that is under way is cut off."""
        self._stopped = True
        self._drop_page()
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(self._now())

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        if not self._page and not self._at_end and not self._stopped:
            try:
                async with asyncio.timeout_at(until) as self._reading:
                    if not await self._fetch(limit, wait=until is None):
                        return None
            except TimeoutError:
                pass
            finally:
                self._reading = None
        if self._stopped:
            self._drop_page()  # it may have come just before
            return None
        if self._page:
            return self._hand_out(limit)
        if not self._at_end:
            return ()
        if until is None:
            self._finish()
        return None

    def _hand_out(self, limit: int) -> list[Record]:
        page = self._page
        records = [page.popleft() for _ in range(min(limit, len(page)))]
        for record in records:
            self._progress.track((record.token, str(record.identifier)))
        self._given_to = After(str(records[-1].identifier))
        self._desk.observer.waiting(self._shard, page[0].timestamp if page else None)
        return records

    def _finish(self) -> None:
        """Nothing is held any more and nothing will come: the lane ends, and the children may begin."""
        self._desk.observer.shard_done(self._shard)
        self._desk.journal.at(self._shard, End())

    # Reading

    async def _fetch(self, limit: int, *, wait: bool) -> bool:
        """One read when it is due; False: its memory is not to be had now, and the lane has something to send."""
        await asyncio.sleep(max(0.0, self._due - self._now()))
        async with self._desk.reads if self._size.large else nullcontext():
            price, most = self._desk.price.of(self._now()), self._size.wanted(limit, self._failures)
            granted = await self._pay(most if wait else limit, price, wait=wait)
            if granted:
                # No page costs more than the largest, whatever one of its records may.
                affordable = most if granted >= LARGEST_PAGE else granted // price
                await self._read(granted, whole_batches(min(most, affordable), limit))
        return granted > 0

    async def _read(self, granted: int, limit: int) -> None:
        desk = self._desk
        try:
            iterator = await self._where()
            started = self._now()
            self._due = started + BUSY  # even if it is cut off
            page = await desk.stream.read(iterator, limit)
            records = self._rendered(page)
        except CallFailed as failure:
            desk.holdings.allowance.give_back(granted)
            self._failed(failure)
        except BaseException:
            desk.holdings.allowance.give_back(granted)
            raise
        else:
            cost = charge_all(records)
            desk.holdings.hold(len(records), cost, granted)
            self._size.saw(len(records), cost)
            self._take(page, records, started)

    async def _pay(self, records: int, price: int, *, wait: bool) -> int:
        """The bytes granted for so many records; 0: none now. Where they are not to be had at once, fewer are taken."""
        allowance, size = self._desk.holdings.allowance, min(records * price, LARGEST_PAGE)
        while size >= price:
            if allowance.try_take(size):
                return size
            size //= 2
        return await allowance.take(price) if wait else 0

    async def _where(self) -> str:
        if self._iterator is None:
            self._gone_back = isinstance(self._read_to, After)
            self._iterator = await self._desk.stream.iterator(self._shard, self._read_to)
        return self._iterator

    def _rendered(self, page: Page) -> list[Record]:
        """The page's records. What they are made of goes at once: a page of 10 MB is in memory once, not twice."""
        entries, records = page.entries, []
        entries.reverse()
        try:
            while entries:
                records.append(self._render(entries.pop()))
        except (KeyError, TypeError, ValueError) as error:
            raise Unreachable("UnreadableAnswer", "GetRecords gave records that are none") from error
        return records

    def _take(self, page: Page, records: Sequence[Record], started: float) -> None:
        desk, now = self._desk, self._now()
        self._failures = self._refusals = 0
        self._renewed = False
        if records:
            self._page.extend(records)
            self._read_to = After(str(records[-1].identifier))
            desk.price.saw(max(map(charge, records)), now)
            if self._gone_back and desk.journal.expires(records[0].timestamp):
                # The stream does not say so: it begins with the oldest record that is left behind a position.
                desk.observer.position_reset(self._shard, PositionReset.RECORDS_EXPIRED)
            self._gone_back = False
        desk.observer.waiting(self._shard, records[0].timestamp if records else None)
        self._iterator, self._at_end = page.next_iterator, self._is_last(page)
        self._due = started + (BUSY if records or page.behind > 0 else IDLE)
        desk.observer.behind(self._shard, 0.0 if self._at_end else page.behind)
        size = sum([len(record.event) for record in records])
        desk.observer.polled(len(records), size, now - started, place=self._shard)

    def _is_last(self, page: Page) -> bool:
        """Kinesis ends a closed shard with its children; without them, it is believed once the listing says closed."""
        if page.next_iterator is not None:
            return False
        if page.has_children or not self._desk.journal.is_open(self._shard):
            return True
        self._desk.journal.doubt()
        return False

    def _failed(self, failure: CallFailed) -> None:
        """A read came to nothing: what to do before the next one, and when that is."""
        no_iterator = self._iterator is None  # and so it was the position that was refused
        expired = failure.code == "ExpiredIteratorException" and not no_iterator
        if failure.code not in _THROTTLES:
            self._iterator = None
        if expired and not self._renewed:
            self._renewed, self._due = True, self._now()  # at once: it was not read for long, which is no fault
            return
        self._failures += 1
        self._due = self._now() + backoff.delay(self._failures, self._desk.jitter())
        missing = failure.code == "ResourceNotFoundException"
        said = f"the shard is not there any more ({failure.message})" if missing else with_remedy(failure)
        self._desk.observer.polling_failed(failure.code, said, place=self._shard)
        if missing:
            self._not_there()
        elif failure.code == "InvalidArgumentException" and no_iterator:
            self._refused()

    def _not_there(self) -> None:
        """A shard goes when the last of its records expires; what was not read by then is gone."""
        if self._desk.journal.is_listed(self._shard):
            self._desk.journal.doubt()
            return
        self._desk.observer.position_reset(self._shard, PositionReset.SHARD_EXPIRED)
        self._at_end = True

    def _refused(self) -> None:
        """The stream does not know the position, or it is another stream: that is looked at first."""
        self._refusals += 1
        self._desk.journal.doubt()
        if isinstance(self._read_to, Since) and self._desk.latest:
            self._begin_earlier(self._read_to)
        elif self._refusals >= _REFUSALS and isinstance(self._read_to, After) and not self._progress.pending:
            self._desk.observer.position_reset(self._shard, PositionReset.UNKNOWN_SEQUENCE_NUMBER)
            self._read_to = Beginning()

    def _begin_earlier(self, start: Since) -> None:
        """Kinesis refuses moments to come, and LATEST is a moment of our clock, which may be ahead of its own: rather
        some records from before than none from between.
        """
        earlier = Since(start.moment - 2 ** min(self._refusals, _REFUSALS_OF_START))
        self._read_to = self._given_to = earlier
        self._desk.journal.at(self._shard, earlier)

    # Settling

    async def settle(self, delivered: Sequence[Record], returned: Sequence[Record]) -> None:
        """Returned ones are those that a stopped lane was in doubt about: they are read again after the next start."""
        self._settled(delivered)
        self._batch.let_go(returned)

    async def give_up(self, records: Sequence[Record], reason: DropReason) -> None:  # noqa: ARG002
        self._settled(records)

    async def release(self, records: Sequence[Record]) -> None:
        """Nothing of the stream was taken: whoever reads next goes on behind what was settled."""
        self._batch.let_go(records)

    def lapsed(self, records: Sequence[Record]) -> Sequence[Record]:  # noqa: ARG002
        """A stream takes nothing back."""
        return ()

    def blocked(self, records: Sequence[Record]) -> None:
        """The rest of the page goes, and is read again when the batch is out of the way; that has no payload while it
        waits for its retry.
        """
        if self._page:
            self._drop_page()
            self._read_to, self._iterator, self._at_end = self._given_to, None, False
        self._batch.blocked(records)

    def _drop_page(self) -> None:
        self._desk.holdings.let_go(self._page)
        self._page.clear()

    def _settled(self, records: Sequence[Record]) -> None:
        moved = False
        for record in records:
            moved |= self._progress.settle((record.token, str(record.identifier)))
        if moved and self._progress.safe is not None:
            self._desk.journal.at(self._shard, After(self._progress.safe[1]))
        self._batch.let_go(records)
