"""Knows the messages that a mapping holds: keeps them invisible, deletes them, gives them back; by receipt handle."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from outboard.aws.calls import CallFailed
from outboard.core import backoff
from outboard.core.holds import Holds
from outboard.observe.mapping import MappingObserver
from outboard.sources.sqs.queue import ANSWER, MOST_PER_CALL, EntryError, SqsQueue

_I = TypeVar("_I")
_O = TypeVar("_O")

#: Calls under way at once for one batch of thousands of messages.
_CALLS_AT_ONCE = 16

#: A message that could not be handed back comes again by itself when its time is over, so this is tried only so often.
_HAND_BACK_TRIES = 4

#: How often a delete is tried while everybody waits for it to end.
_TRIES_WHEN_STOPPING = 2


class Receipts:
    """The receipt handles of one mapping. `keep` runs beside the lanes as long as anything may be held."""

    def __init__(
        self, queue: SqsQueue, visibility_timeout: float, observer: MappingObserver, jitter: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._holds = Holds(visibility_timeout)
        self._observer = observer
        self._jitter = jitter
        self._received = asyncio.Event()
        self._may_extend = True
        self._stopping = False
        self._now = asyncio.get_running_loop().time

    @property
    def held(self) -> int:
        return len(self._holds)

    @property
    def receive_visibility(self) -> int:
        """What a receive asks for, in seconds: named each time, since the queue's own may be changed meanwhile."""
        return int(self._holds.span)

    def stop(self) -> None:
        """From now on no delete is worth being tried for long: the next to come waits for this one's end."""
        self._stopping = True

    def usable(self, handle: str) -> bool:
        """Whether a message is still kept from other receivers."""
        return not self._may_extend or self._holds.usable(handle, self._now())

    def received(self, handles: Sequence[str]) -> None:
        self._holds.received(handles, self._now())
        self._received.set()

    async def keep(self) -> None:
        """Extend what is held before it becomes visible; runs until cancelled."""
        while True:
            due = self._holds.next_due()
            if due is None or not self._may_extend:
                self._received.clear()
                await self._received.wait()
            elif (pause := due - self._now()) > 0:
                await asyncio.sleep(pause)
            elif not await self._extend():
                await asyncio.sleep(1.0)

    async def _extend(self) -> bool:
        """Extend all that is due. False: something failed and is due again."""
        now = self._now()
        lost = self._holds.expired(now)
        if lost:
            self._holds.dropped(lost)
            self._observer.visibility_lost(len(lost), "its time ran out before it could be extended")
        asked = self._holds.due(now)
        failed = await self._in_tens(asked, self._extend_ten)
        return bool(asked) and not failed

    async def _extend_ten(self, asked: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        now = self._now()
        try:
            # One that hangs must leave time to try the others again.
            errors = await self._queue.change_visibility(asked, timeout=min(ANSWER, self._holds.span / 6))
        except CallFailed as failure:
            self._extension_refused(failure)
            return list(asked)
        again: list[tuple[str, int]] = []
        for handle, seconds in asked:
            error = errors.get(handle)
            if error is None:
                self._holds.extended(handle, seconds, now)
            elif error.sender_fault or "Invalid" in error.code:
                self._holds.dropped([handle])
                self._observer.visibility_lost(1, f"{error.code}: {error.message}")
            else:
                again.append((handle, seconds))
        self._observer.visibility_extended(len(asked) - len(errors))
        return again

    def _extension_refused(self, failure: CallFailed) -> None:
        if "AccessDenied" not in failure.code:
            self._observer.call_failed("ChangeMessageVisibility", failure.code, failure.message)
        elif self._may_extend:
            self._may_extend = False
            self._observer.visibility_lost(
                0, f"not allowed to extend it; grant sqs:ChangeMessageVisibility ({failure.message})"
            )

    async def delete(self, handles: Sequence[str]) -> None:
        """Delete; retried while a handle is valid. What could not be deleted will come again, and is counted."""
        pending, failures = list(handles), 0
        self._holds.finish(handles)
        while pending:
            failed = await self._in_tens(pending, self._delete_ten)
            if not failed:
                break
            errors = dict(failed)
            self._holds.dropped([handle for handle in pending if handle not in errors])
            hopeless = self._stopping and failures >= _TRIES_WHEN_STOPPING
            gone = [
                handle
                for handle, error in failed
                if hopeless or error.sender_fault or not self._holds.usable(handle, self._now())
            ]
            if gone:
                error = errors[gone[0]]
                self._observer.delete_failed(len(gone), error.code, error.message)
            pending = [handle for handle, _ in failed if handle not in set(gone)]
            if pending:
                failures += 1
                await asyncio.sleep(min(5.0, backoff.delay(failures, self._jitter())))
        self._holds.dropped(handles)

    async def _delete_ten(self, handles: Sequence[str]) -> list[tuple[str, EntryError]]:
        try:
            errors = await self._queue.delete(handles)
        except CallFailed as failure:
            refused = EntryError(failure.code, failure.message, sender_fault=False)
            self._observer.call_failed("DeleteMessage", failure.code, failure.message)
            return [(handle, refused) for handle in handles]
        self._observer.deleted(len(handles) - len(errors))
        return list(errors.items())

    async def give_back(self, handles: Sequence[str]) -> None:
        """The function failed these: they come again when the queue's own timeout, from the receive on, is over."""
        now = self._now()
        remaining = [(handle, self._holds.remaining(handle, now)) for handle in handles]
        self._holds.dropped(handles)
        await self._make_visible([(handle, seconds) for handle, seconds in remaining if seconds is not None])
        self._observer.returned(len(handles))

    async def hand_back(self, handles: Sequence[str]) -> None:
        """These were never sent: another receiver can have them at once."""
        self._holds.dropped(handles)
        await self._make_visible([(handle, 0) for handle in handles])
        self._observer.handed_back(len(handles))

    def leave(self, handles: Sequence[str]) -> None:
        """Leave these to the queue as they are: it brings them again when their time is over."""
        self._holds.dropped(handles)
        self._observer.returned(len(handles))

    async def _make_visible(self, asked: Sequence[tuple[str, int]]) -> None:
        pending = list(asked)
        for attempt in range(_HAND_BACK_TRIES):
            if attempt:
                await asyncio.sleep(0.1 * 2**attempt)
            pending = await self._in_tens(pending, self._make_ten_visible)
            if not pending:
                return

    async def _make_ten_visible(self, asked: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        try:
            errors = await self._queue.change_visibility(asked)
        except CallFailed as failure:
            self._observer.call_failed("ChangeMessageVisibility", failure.code, failure.message)
            return [] if "AccessDenied" in failure.code else list(asked)
        return [entry for entry in asked if (error := errors.get(entry[0])) is not None and not error.sender_fault]

    @staticmethod
    async def _in_tens(items: Sequence[_I], call: Callable[[Sequence[_I]], Awaitable[list[_O]]]) -> list[_O]:
        """Call for every ten of `items`, a bounded number of calls at once; returns all they returned."""
        if len(items) <= MOST_PER_CALL:
            return await call(items) if items else []
        tens = iter([items[start : start + MOST_PER_CALL] for start in range(0, len(items), MOST_PER_CALL)])
        results: list[_O] = []

        async def work() -> None:
            for ten in tens:
                results.extend(await call(ten))

        async with asyncio.TaskGroup() as group:
            for number in range(min(_CALLS_AT_ONCE, -(-len(items) // MOST_PER_CALL))):
                group.create_task(work(), name=f"receipts {number}")
        return results
