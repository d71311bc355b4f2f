"""Knows one partition's records: takes what was fetched, hands it out in batches, keeps how far they are settled."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from outboard.core import backoff
from outboard.core.offsets import OffsetProgress
from outboard.core.price import charge, charge_all
from outboard.core.records import DropReason, Record
from outboard.events.kafka import renderer
from outboard.observe.facts import PositionReset
from outboard.sources.holdings import Batch
from outboard.sources.kafka.consumer import ConsumerError, Earliest, OffsetOutOfRange
from outboard.sources.kafka.desk import TopicDesk

#: Records that are taken at once, if a batch needs no more, and how many bytes of the budget they may cost: about one
#: batch of 6 MB.
_AHEAD = 1_000
_ENOUGH = 12 * 1024 * 1024

#: Seconds that one read waits for records at most; it comes back to see how far the log has gone on without any.
_WAIT = 2.0


class PartitionFeed:
    """The feed of one partition's lane, which reads on at `offset`: so far, the group knows, everything is settled."""

    def __init__(self, desk: TopicDesk, partition: int, offset: int) -> None:
        self._desk = desk
        self._partition = partition
        self._name = str(partition)
        self._render = renderer(desk.topic, partition)
        self._page: deque[Record] = deque()
        self._read_to = offset  # behind the last record of the page
        self._given_to = offset  # behind the last record that the lane was given
        self._progress = OffsetProgress()
        self._safe = offset
        self._committed = offset
        self._batch = Batch(desk.holdings)
        self._paused = False
        self._stopped = False
        self._lost = False
        self._reading: asyncio.Timeout | None = None
        self._due = 0.0  # when the next read may start
        self._failures = 0
        self._answered = 0.0  # when a fetch was answered last
        self._now = asyncio.get_running_loop().time

    @property
    def safe(self) -> int:
        """Where to read on when all that is settled is behind: what the group may be told."""
        return self._safe

    @property
    def committed(self) -> int:
        """What the group has been told."""
        return self._committed

    def was_committed(self, offset: int) -> None:
        self._committed = offset

    @property
    def lost(self) -> bool:
        return self._lost

    # The group

    def lose(self) -> None:
        """The partition is somebody else's now: nothing of it is sent, and what comes of what was sent is not kept."""
        self._lost = True
        self.stop()

    def go_on(self) -> None:
        """The partition came back, and nobody has had it meanwhile."""
        if not self._paused:
            self._desk.consumer.seek(self._partition, self._read_to)

    def stop(self) -> None:
        """Reading takes nothing away from anybody: a read that is under way is cut off."""
        self._stopped = True
        self._drop_page()
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(self._now())

    # Reading

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        memory = True
        if len(self._page) < limit and not self._stopped:
            try:
                async with asyncio.timeout_at(until) as self._reading:
                    memory = await self._fill(limit, wait=until is None)
            except TimeoutError:
                pass
            finally:
                self._reading = None
        if self._stopped:
            self._drop_page()  # it may have come just before
            return None
        if not self._page:
            return () if memory else None
        return self._hand_out(limit)

    def _hand_out(self, limit: int) -> list[Record]:
        page = self._page
        records = [page.popleft() for _ in range(min(limit, len(page)))]
        offsets = _offsets(records)
        self._progress.track(offsets)
        self._given_to = offsets[-1] + 1
        self._desk.observer.waiting(self._name, page[0].timestamp if page else None)
        return records

    async def _fill(self, limit: int, *, wait: bool) -> bool:
        """Take what was fetched, waiting for it only with an empty page. False: there is no memory for it now."""
        desk = self._desk
        await asyncio.sleep(max(0.0, self._due - self._now()))
        if self._paused:
            self._paused = False
            with suppress(ConsumerError):  # it went elsewhere: there is nothing more to read
                desk.consumer.seek(self._partition, self._read_to)
        price = desk.price.of(self._now())
        if not self._page:
            # What is waited for is paid when it is there: an idle partition keeps no memory from a busy one.
            if not await self._has_memory(price, wait=wait):
                return False
            if not await self._take(1, _WAIT, 0):
                await self._follow_gaps()
                return True
        granted = self._pay(max(limit, _AHEAD) * price, price)
        if granted:
            await self._take(granted // price, 0.0, granted)
        return True

    async def _has_memory(self, price: int, *, wait: bool) -> bool:
        allowance = self._desk.holdings.allowance
        if allowance.try_take(price):
            allowance.give_back(price)
        elif wait:
            allowance.give_back(await allowance.take(price))
        else:
            return False
        return True

    def _pay(self, size: int, price: int) -> int:
        size = min(size, max(price, _ENOUGH))
        while size >= price:
            if self._desk.holdings.allowance.try_take(size):
                return size
            size //= 2
        return 0

    async def _take(self, limit: int, seconds: float, granted: int) -> int:
        """Put up to `limit` records, for which so many bytes were granted, on the page; returns how many there were."""
        desk, started = self._desk, self._now()
        try:
            messages = await desk.consumer.take(self._partition, limit, seconds)
            records = list(map(self._render, messages))
        except OffsetOutOfRange as error:
            desk.holdings.allowance.give_back(granted)
            await self._begin_anew(error.offset)
            return 0
        except ConsumerError as error:
            desk.holdings.allowance.give_back(granted)
            self._failed(error)
            return 0
        except BaseException:
            desk.holdings.allowance.give_back(granted)
            raise
        desk.holdings.hold(len(records), charge_all(records), granted)
        if records:
            self._page.extend(records)
            self._read_to = messages[-1].offset + 1
            desk.price.saw(max(map(charge, records)), self._now())
        self._tell(records, self._now() - started)
        return len(records)

    def _tell(self, records: Sequence[Record], seconds: float) -> None:
        answered = self._desk.consumer.fetched(self._partition)
        if records or answered > self._answered:
            self._failures = 0
            size = sum([len(record.event) for record in records])
            self._desk.observer.polled(len(records), size, seconds, place=self._name)
        self._answered = answered
        self._show_lag()

    def _show_lag(self) -> None:
        end = self._desk.consumer.end(self._partition)
        if end is not None:
            self._desk.observer.offset_lag(self._name, max(0, end - self._safe))

    async def _follow_gaps(self) -> None:
        """With nothing held, whatever lies before the consumer's position will never be a record: aborted, control."""
        if self._progress.pending or self._paused:
            return
        with suppress(ConsumerError):
            position = await self._desk.consumer.position(self._partition)
            if position > self._read_to and not (self._page or self._progress.pending or self._lost):
                self._read_to = self._given_to = position
                self._move(position)
                self._show_lag()

    def _failed(self, error: ConsumerError) -> None:
        self._failures += 1
        self._due = self._now() + backoff.delay(self._failures, self._desk.jitter())
        self._desk.observer.polling_failed(error.error_type, error.message, place=self._name)
        if error.fatal:
            self._desk.journal.broken(error)
        with suppress(ConsumerError):  # it went elsewhere: there is nothing more to read
            self._desk.consumer.seek(self._partition, self._read_to)

    async def _begin_anew(self, refused: int) -> None:
        """The records behind our position are gone: on to the oldest there are, never to the end."""
        desk = self._desk
        try:
            if refused != self._read_to:  # by a fetch from before the last `seek`
                desk.consumer.seek(self._partition, self._read_to)
                return
            found = await desk.consumer.offsets(frozenset({self._partition}), Earliest())
            offset = found[self._partition]
            desk.consumer.seek(self._partition, offset)
        except ConsumerError as error:
            self._failed(error)
            return
        if self._page or (offset < self._read_to and self._progress.pending):
            # First what was read before; and where the log was cut off at its end, so that its numbers begin anew, what
            # is under way too.
            self._due = self._now() + (0.0 if self._page else _WAIT)
            desk.consumer.seek(self._partition, self._read_to)
            return
        desk.observer.position_reset(self._name, PositionReset.OFFSET_OUT_OF_RANGE)
        if offset > self._read_to:
            desk.observer.expired(offset - self._read_to, self._name)
        self._read_to = self._given_to = offset
        if not self._progress.pending:
            self._move(offset)

    # Settling

    async def settle(self, delivered: Sequence[Record], returned: Sequence[Record]) -> None:
        """Returned ones are those that a stopped lane was in doubt about: whoever reads next has them again."""
        self._settled(delivered)
        self._batch.let_go(returned)

    async def give_up(self, records: Sequence[Record], reason: DropReason) -> None:  # noqa: ARG002
        self._settled(records)

    async def release(self, records: Sequence[Record]) -> None:
        """Nothing was taken: whoever reads next goes on behind what was committed."""
        self._batch.let_go(records)

    def lapsed(self, records: Sequence[Record]) -> Sequence[Record]:  # noqa: ARG002
        """No invoke begins while it is not known whose the partition is."""
        return ()

    def blocked(self, records: Sequence[Record]) -> None:
        """The rest of the page goes, and is read again when the batch is out of the way; that has no payload while it
        waits for its retry.
        """
        if not self._paused:
            self._paused = True
            self._drop_page()
            self._read_to = self._given_to
            with suppress(ConsumerError):
                self._desk.consumer.pause(self._partition)
        self._batch.blocked(records)

    def _settled(self, records: Sequence[Record]) -> None:
        if self._lost:
            if records:
                self._desk.observer.discarded(len(records), self._name)
        elif self._progress.settle(_offsets(records)) and self._progress.safe is not None:
            self._move(self._progress.safe)
            self._show_lag()
        self._batch.let_go(records)

    def _move(self, offset: int) -> None:
        self._safe = offset
        self._desk.journal.moved()

    def _drop_page(self) -> None:
        self._desk.holdings.let_go(self._page)
        self._page.clear()


def _offsets(records: Sequence[Record]) -> list[int]:
    return [record.identifier[1] for record in records]  # type: ignore[misc]  # Kafka's are (topic-partition, offset)
