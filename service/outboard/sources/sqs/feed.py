"""Knows one poller's view of the queue: receives what its lane can send now and settles what came of it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from outboard.aws.calls import CallFailed, TimedOut
from outboard.core import backoff
from outboard.core.ports import Allowance
from outboard.core.price import Price, charge, charge_all
from outboard.core.records import DropReason, Record
from outboard.events.sqs import QueueFacts, render
from outboard.observe.mapping import MappingObserver
from outboard.sources.sqs.groups import LiveGroups
from outboard.sources.sqs.queue import MOST_PER_CALL, SqsQueue
from outboard.sources.sqs.receipts import Receipts

#: The longest that SQS lets a receive wait.
LONG_POLL = 20

#: Between two short polls for the last part of a window.
_SHORT_POLL_PAUSE = 0.2


class Pace(Protocol):
    """Who decides how many pollers there are."""

    @property
    def quiet(self) -> bool:
        """Whether the receive that ended last, anybody's, brought nothing."""

    def polling(self) -> None: ...

    def polled(self, messages: int, asked: int, *, leaving: bool) -> None: ...

    def surplus(self, *, idle: bool, backlog: bool) -> bool: ...

    def settled(self, *, failed: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What the feeds of one mapping share."""

    queue: SqsQueue
    facts: QueueFacts
    receipts: Receipts
    groups: LiveGroups
    allowance: Allowance
    pace: Pace
    observer: MappingObserver
    jitter: Callable[[], float]
    window: float
    price: Price
    receives: asyncio.Semaphore


class SqsFeed:
    """The feed of one poller's lane."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stopped = asyncio.Event()
        self._paying: asyncio.Task[int] | None = None
        self._failures = 0
        self._idle = False
        self._backlog = False

    def stop(self) -> None:
        self._stopped.set()
        if self._paying is not None:
            self._paying.cancel()

    def blocked(self, records: Sequence[Record]) -> None:
        """There is never more here than what is in the batch."""

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        """One receive. A poller that holds nothing and is one too many ends here."""
        if self._stopped.is_set():
            return None
        if until is None and self._desk.pace.surplus(idle=self._idle, backlog=self._backlog):
            return None
        now = asyncio.get_running_loop().time()
        asked = min(MOST_PER_CALL, limit)
        price = self._desk.price.of(now)
        self._desk.pace.polling()  # waiting for room is as good: it says that there are pollers enough
        granted = await self._pay(asked * price, wait=until is None)
        if granted is None:
            self._desk.pace.polled(0, 0, leaving=False)
            return None
        asked = max(1, min(asked, granted // price))
        wait = LONG_POLL if until is None else max(0, min(LONG_POLL, int(until - now)))
        try:
            messages = await self._receive(asked, wait)
        finally:
            self._desk.receives.release()
        records = self._admit(messages)
        self._charge(granted, records)
        if self._failures:
            await self._pause(backoff.delay(self._failures, self._desk.jitter()), until)
        elif not messages and wait == 0:
            await self._pause(_SHORT_POLL_PAUSE, until)
        return records

    async def _pay(self, size: int, *, wait: bool) -> int | None:
        """A place to receive in, and the bytes granted for it; None: not now, or no longer wanted."""
        desk = self._desk
        if not desk.receives.locked() and desk.allowance.try_take(size):
            await desk.receives.acquire()  # at once: there is a place
            return size
        if not wait:
            return None
        async with asyncio.TaskGroup() as group:
            taking = self._paying = group.create_task(self._take(size), name="budget")
        self._paying = None
        if taking.cancelled():
            return None
        # The last poller goes on: ending here, it would be opened again, wait again and end again.
        if self._stopped.is_set() or (desk.pace.quiet and desk.pace.surplus(idle=True, backlog=False)):
            desk.allowance.give_back(taking.result())
            desk.receives.release()
            return None
        return taking.result()

    async def _take(self, size: int) -> int:
        await self._desk.receives.acquire()
        try:
            return await self._desk.allowance.take(size)
        except BaseException:
            self._desk.receives.release()
            raise

    async def _receive(self, asked: int, wait: int) -> Sequence[Mapping[str, Any]]:
        """One receive, never cut off: messages of an answer nobody reads stay invisible. Nothing where it failed."""
        desk, loop = self._desk, asyncio.get_running_loop()
        started, messages = loop.time(), None
        try:
            messages = await desk.queue.receive(asked, wait, desk.receipts.receive_visibility)
        except CallFailed as failure:
            self._failures += 1
            desk.observer.polling_failed(failure.code, with_remedy(failure))
        finally:
            count = len(messages or ())
            self._idle, self._backlog = count == 0, count >= asked
            desk.pace.polled(count, asked, leaving=count > 0 and (desk.window == 0 or count >= asked))
        if messages is None:
            return ()
        self._failures = 0
        size = sum([len(message.get("Body", "")) for message in messages])
        desk.observer.polled(len(messages), size, loop.time() - started)
        return messages

    def _admit(self, messages: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Render; what belongs to a FIFO group that is alive in another lane is left to the queue for its time."""
        desk = self._desk
        desk.receipts.received([message["ReceiptHandle"] for message in messages])
        records = self._rendered(messages)
        if not desk.facts.fifo:
            return records
        admitted, refused = desk.groups.admit(self, records)
        desk.receipts.leave([str(record.token) for record in refused])
        return admitted

    def _rendered(self, messages: Sequence[Mapping[str, Any]]) -> list[Record]:
        try:
            return [render(message, self._desk.facts) for message in messages]
        except _UNREADABLE:
            return self._readable(messages)

    def _readable(self, messages: Sequence[Mapping[str, Any]]) -> list[Record]:
        """What cannot be read is left to the queue, and on a FIFO queue with it what follows in its group."""
        desk = self._desk
        records, left, groups = list[Record](), list[str](), set[str | None]()
        for message in messages:
            group = _group(message) if desk.facts.fifo else ""
            try:
                if groups and (group in groups or None in groups):
                    left.append(message["ReceiptHandle"])
                    continue
                records.append(render(message, desk.facts))
            except _UNREADABLE as error:
                left.append(message["ReceiptHandle"])
                if desk.facts.fifo:
                    groups.add(group)
                what = f"message {message['MessageId']} is not what SQS documents ({error!r}); it is left to the queue"
                desk.observer.call_failed("ReceiveMessage", "UnreadableMessage", what)
        desk.receipts.leave(left)
        return records

    def _charge(self, granted: int, records: Sequence[Record]) -> None:
        """Replace what a receive was expected to bring by what it did."""
        self._desk.allowance.adjust(granted, charge_all(records))
        self._show()
        if records:
            self._desk.price.saw(max(map(charge, records)), asyncio.get_running_loop().time())

    async def settle(self, delivered: Sequence[Record], returned: Sequence[Record]) -> None:
        receipts = self._desk.receipts
        self._desk.pace.settled(failed=not delivered)
        self._leave_groups(delivered)
        self._leave_groups(returned)
        if returned:
            await receipts.give_back([str(record.token) for record in returned])
        if delivered:
            await receipts.delete([str(record.token) for record in delivered])
        self._let_go([*delivered, *returned])

    def lapsed(self, records: Sequence[Record]) -> Sequence[Record]:
        """Those whose visibility is over: another receiver may have them, so AWS drops its copy then, as we do."""
        return [record for record in records if not self._desk.receipts.usable(str(record.token))]

    async def give_up(self, records: Sequence[Record], reason: DropReason) -> None:  # noqa: ARG002
        """SQS's own redrive policy decides about messages that keep failing: they go back to the queue."""
        await self.settle((), records)

    async def release(self, records: Sequence[Record]) -> None:
        self._leave_groups(records)
        await self._desk.receipts.hand_back([str(record.token) for record in records])
        self._let_go(records)

    def _let_go(self, records: Sequence[Record]) -> None:
        self._desk.allowance.give_back(charge_all(records))
        self._show()

    def _leave_groups(self, records: Sequence[Record]) -> None:
        """No attempt at these is alive any more. Said before the queue is told: once it knows, it gives their groups'
        next messages to any poller, even where its own answer to us is lost.
        """
        if self._desk.facts.fifo:
            self._desk.groups.leave(self, records)

    def _show(self) -> None:
        self._desk.observer.buffered(self._desk.receipts.held, self._desk.allowance.used)

    async def _pause(self, seconds: float, until: float | None) -> None:
        """Wait so long, but not past the end of the batch's window and not past a stop."""
        end = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(end if until is None else min(end, until)):
                await self._stopped.wait()
        except TimeoutError:
            pass


#: What comes of rendering a message whose parts are not what they should be.
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)


def _group(message: Mapping[str, Any]) -> str | None:
    """A message's group; None if it cannot be told."""
    attributes = message.get("Attributes")
    found = attributes.get("MessageGroupId") if isinstance(attributes, dict) else None
    return found if isinstance(found, str) else None


def with_remedy(failure: CallFailed) -> str:
    """The failure for an operator, with what to do where only they can do it."""
    if isinstance(failure, TimedOut):
        return f"ReceiveMessage was not answered in time: {failure.message}"
    if "QueueDoesNotExist" in failure.code or "NonExistentQueue" in failure.code:
        return f"the queue does not exist; create it or correct EventSourceArn ({failure.message})"
    if "AccessDenied" in failure.code:
        return (
            f"not allowed to receive; grant sqs:ReceiveMessage, DeleteMessage, GetQueueAttributes ({failure.message})"
        )
    return failure.message
