"""Knows the loop of one lane: take records, batch them, deliver the batch, settle it; one batch in flight at most."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from outboard.core import backoff
from outboard.core.batcher import Batcher, BatchLimits
from outboard.core.delivery import Delivery, Divert, Invoke, Policy, Settle, Settled, Wait
from outboard.core.outcome import Outcome
from outboard.core.ports import Feed, Function
from outboard.core.records import Record
from outboard.core.response import AllDelivered, Failed, Invalid, Verdict
from outboard.observe.mapping import MappingObserver
from outboard.runtime.gate import Gate
from outboard.runtime.waiting import Stop

#: A lane whose batches keep failing waits this long at most before it looks for others, which may be good.
_LONGEST_PAUSE = 5.0

#: Seconds without a failure after which a lane whose failed batches went back to the source counts as well again: what
#: failed may have gone elsewhere, to a dead-letter queue for instance.
_FORGIVEN_AFTER = 600.0

#: Seconds that a cancelled lane has for handing back what it holds.
_LAST_HAND_BACK = 1.0


@dataclass(slots=True)
class Ending:
    """How a mapping's lanes end when they are stopped: with what they have read given back, or sent once."""

    sends_what_was_read: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What every lane of a mapping works with.

    Attributes:
        trace: the X-Amzn-Trace-Id for a batch, None where it has none.
        wall: epoch seconds, for the age of records.
        jitter: a random number in [0, 1).
    """

    function: Function
    limits: BatchLimits
    policy: Policy
    gate: Gate
    observer: MappingObserver
    trace: Callable[[Sequence[Record]], str | None]
    wall: Callable[[], float]
    jitter: Callable[[], float]
    ending: Ending = field(default_factory=Ending)


class BatchLane:
    """One lane. `run` ends when it was stopped or its feed ended; all it held has been sent or released by then."""

    def __init__(self, name: str, feed: Feed, work: Work) -> None:
        self.name = name
        self._feed = feed
        self._work = work
        self._batcher = Batcher(work.limits)
        self._stop = Stop()  # nothing more is sent
        self._asked = Stop()  # nothing is tried again
        self._ended = asyncio.Event()
        self._failed_batches = 0  # in a row, of which the function delivered nothing
        self._failing_since: float | None = None  # epoch seconds
        self._last: Outcome | None = None
        self._now = asyncio.get_running_loop().time

    def stop(self) -> None:
        self._asked.request()
        if not self._work.ending.sends_what_was_read:
            self._stop.request()
        self._feed.stop()

    async def ended(self) -> None:
        await self._ended.wait()

    async def run(self) -> None:
        try:
            while batch := await self._collect():
                await self._deliver(batch)
                if self._failed_batches > 1 and not len(self._batcher):
                    pause = backoff.delay(self._failed_batches - 1, self._work.jitter())
                    await self._asked.sleep(min(_LONGEST_PAUSE, pause))
            await self._release(self._batcher.remove(lambda _: True))
        except asyncio.CancelledError:
            # The time to drain is over: what was never sent goes back all the same, which takes one call.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_HAND_BACK):
                    await self._release(self._batcher.remove(lambda _: True))
            raise
        finally:
            self._work.observer.holding(self.name, None)
            self._work.observer.lane_closed(self.name)
            self._ended.set()

    async def _collect(self) -> list[Record]:
        """The next batch; empty when there will be none."""
        batcher = self._batcher
        while not self._stop.requested:
            if batcher.due(self._now()):
                return batcher.cut()
            records = await self._feed.read(batcher.room, batcher.deadline)
            if records is None:
                return [] if self._stop.requested else batcher.cut()
            if records:
                if self._work.limits.window and not len(batcher):
                    self._hold(records)
                batcher.add(records, self._now())
        return []

    def _hold(self, records: Sequence[Record]) -> None:
        oldest = min((r.timestamp for r in records if r.timestamp > 0), default=self._work.wall())
        self._work.observer.holding(self.name, oldest)

    async def _deliver(self, batch: list[Record]) -> None:
        work = self._work
        delivery = Delivery(batch, work.policy, work.jitter, work.limits.envelope)
        self._hold(batch)
        progress = False
        while True:
            step = delivery.step(self._now(), work.wall())
            match step:
                case Settle():
                    progress |= self._progressed(bool(step.delivered))
                    await self._settle(step)
                case Divert():
                    progress |= self._progressed(True)
                    await self._give_up(step)
                case Wait() if not self._asked.requested:
                    await self._asked.sleep(step.until - self._now())
                case Invoke() if step.attempt + delivery.failures > 1 and (gone := self._feed.lapsed(step.records)):
                    delivery.taken_back(gone)
                case Wait() | Invoke():
                    over = self._stop.requested or (self._asked.requested and delivery.failures > 0)
                    if over or isinstance(step, Wait) or not await self._invoke(delivery, step):
                        await self._let_go(delivery)
                        break
                case Settled():
                    if not progress:
                        self._came_to_nothing(batch)
                    break
                case _:
                    assert_never(step)
        work.observer.holding(self.name, None)

    def _progressed(self, really: bool) -> bool:  # noqa: FBT001 - reads as what it says where it is called
        if really:
            self._failed_batches, self._failing_since = 0, None
            self._work.observer.lane_unblocked(self.name)
        return really

    def _came_to_nothing(self, batch: Sequence[Record]) -> None:
        """All of the batch went back to its source. A lane that meets nothing else is as blocked as one that holds on
        to its batch.
        """
        self._failed_batches += 1
        if self._failed_batches > 1 and self._last is not None:
            self._tell_blocked(self._last, batch, lapses=_FORGIVEN_AFTER)

    async def _let_go(self, delivery: Delivery) -> None:
        """Stopped: what no function has is handed back; what one may have is left to its source, like a failed one.
        A lane that goes on sends nothing that comes after these in their order.
        """
        doubtful, left = delivery.in_doubt, delivery.unsettled
        keys = {record.key for record in left if record.key}
        followers = self._batcher.remove(lambda record: record.key in keys) if keys else []
        if doubtful:
            await self._feed.settle((), doubtful)
        await self._release([*left[len(doubtful) :], *followers])

    async def _invoke(self, delivery: Delivery, step: Invoke) -> bool:
        """One invoke and its answer applied. False: the lane was stopped before its turn came."""
        work, gate, records = self._work, self._work.gate, step.records
        if not gate.try_enter() and not await self._stop.first(gate.enter(), gate.leave):
            return False
        if self._stop.requested:  # at the very moment at which its turn came
            gate.leave()
            return False
        try:
            payload = work.limits.envelope.payload(records)
            if step.attempt > 1 or delivery.failures:
                work.observer.retrying(max(step.attempt, delivery.failures + 1))
            work.observer.invoking(len(records), len(payload), lane=self.name, newest=records[-1].timestamp)
            started = self._now()
            outcome = await work.function.invoke(payload, work.trace(records))
            ended = self._now()
            gate.learn(outcome, started, ended)
        finally:
            gate.leave()
        splits = delivery.splits
        verdict = delivery.answered(outcome, ended)
        if delivery.splits > splits:
            work.observer.bisected()
        self._tell(outcome, verdict, records, ended - started)
        self._last = outcome
        if self._failing_since is None and not isinstance(verdict, AllDelivered):
            self._failing_since = work.wall()
        if delivery.failures > 1:
            self._feed.blocked(records)
            self._tell_blocked(outcome, records)
        return True

    def _tell_blocked(self, outcome: Outcome, records: Sequence[Record], lapses: float | None = None) -> None:
        work = self._work
        since = self._failing_since or work.wall()
        work.observer.lane_blocked(self.name, since, outcome, positions(records), lapses=lapses)

    def _tell(self, outcome: Outcome, verdict: Verdict | None, records: Sequence[Record], seconds: float) -> None:
        """Each invoke is told of once, as what it came to."""
        observer, where, request_id = self._work.observer, positions(records), outcome.request_id
        match verdict:
            case Failed():
                failed = len(verdict.indices)
                where = positions([records[index] for index in verdict.indices])
                observer.partially_failed(
                    failed, len(records) - failed, seconds, lane=self.name, positions=where, request_id=request_id
                )
            case Invalid():
                observer.response_invalid(
                    verdict.reason, len(records), seconds, lane=self.name, positions=where, request_id=request_id
                )
            case _:
                observer.invoked(outcome, len(records), seconds, lane=self.name, positions=where)

    async def _settle(self, step: Settle) -> None:
        """Apply fates. What this lane still holds of a key that just failed must not be sent before the failed ones."""
        returned = list(step.returned)
        keys = {record.key for record in returned if record.key}
        if keys:
            returned += self._batcher.remove(lambda record: record.key in keys)
        if step.too_large:
            self._work.observer.too_large(len(step.returned), positions(step.returned))
        await self._feed.settle(step.delivered, returned)
        if step.delivered:
            oldest = min((r.timestamp for r in step.delivered if r.timestamp > 0), default=0.0)
            self._work.observer.delivered(len(step.delivered), oldest)

    async def _give_up(self, step: Divert) -> None:
        where = positions(step.records)
        self._work.observer.dropped(len(step.records), step.reason, where, step.invokes, lane=self.name, last=step.last)
        await self._feed.give_up(step.records, step.reason)

    async def _release(self, records: Sequence[Record]) -> None:
        if records:
            await self._feed.release(records)


def positions(records: Sequence[Record]) -> str:
    """Where these records stand at their source, in a form for a log line: the first and the last of many."""
    shown = [_position(record) for record in (records if len(records) <= 4 else (records[0], records[-1]))]
    return (" .. " if len(records) > 4 else ", ").join(shown)


def _position(record: Record) -> str:
    match record.identifier:
        case str(identifier):
            return identifier
        case (partition, offset):
            return f"{partition}@{offset}"
    assert_never(record.identifier)
