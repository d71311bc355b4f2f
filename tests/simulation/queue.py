"""Knows an SQS queue, standard or FIFO: what is visible to whom, and since when; no calls, no faults."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.loop import VirtualTimeLoop

#: SQS keeps a message invisible no longer than this after it was received.
LONGEST_INVISIBLE = 43_200.0


@dataclass(slots=True, eq=False)
class Message:
    """One message. It is in flight while it was received and `visible_at` lies ahead."""

    id: str
    body: str
    group: str
    sequence: int
    sent: float
    visible_at: float
    receives: int = 0
    first_received: float | None = None
    received: float = 0.0
    handle: str = ""
    deleted: bool = False
    #: When it left the queue, deleted or as a dead letter.
    gone: float | None = None


class HandleInvalid(Exception):
    """The receipt handle is no longer good for what was asked. `str()` is SQS's error code."""


@dataclass(slots=True, eq=False)
class _Waiter:
    limit: int
    visibility: float
    give: Callable[[list[Message]], None]
    timer: asyncio.TimerHandle | None = None


class Queue:
    """A queue in virtual time. A message received `redrive` times and visible again goes to `dead_letters`."""

    def __init__(
        self, loop: VirtualTimeLoop, rng: random.Random, name: str, *, fifo: bool, visibility: int, redrive: int = 0
    ) -> None:
        self.name = name
        self.fifo = fifo
        self.visibility = visibility
        self.redrive = redrive
        self.messages: dict[str, Message] = {}
        self.ever: dict[str, Message] = {}
        self.dead_letters: dict[str, Message] = {}
        self.missing = self.forbidden = False
        #: The share of receives after which a standard queue shows a message to somebody else as well.
        self.duplicates = 0.0
        #: Old handles of a standard queue still delete, as AWS has it; ElasticMQ refuses them.
        self.lenient = True
        self._loop = loop
        self._rng = rng
        self._handles: dict[str, Message] = {}
        self._waiters: list[_Waiter] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._sequence = 0
        self._outside = loop.outside()

    def send(self, identifier: str, body: str, group: str = "") -> Message:
        self._sequence += 1
        now = self._loop.time()
        message = Message(identifier, body, group, self._sequence, now, now)
        self.messages[identifier] = self.ever[identifier] = message
        self._wake()
        return message

    def receive(self, limit: int, visibility: float, wait: float, give: Callable[[list[Message]], None]) -> None:
        """Call `give` with up to `limit` messages, at once or when there are some, with none after `wait` seconds."""
        waiter = _Waiter(limit, visibility, give)
        self._waiters.append(waiter)
        self._wake()
        if waiter not in self._waiters:
            return
        if wait <= 0:
            self._expire(waiter)
        else:
            waiter.timer = self._loop.call_later(wait, self._expire, waiter, context=self._outside)

    def delete(self, handle: str) -> Message | None:
        """Returns the message that this removed, None if it was gone. Raises `HandleInvalid`."""
        message = self._handles.get(handle)
        if message is None:
            raise HandleInvalid("ReceiptHandleIsInvalid")
        if message.deleted:
            if self.lenient:
                return None
            raise HandleInvalid("ReceiptHandleIsInvalid")
        current = message.handle == handle
        if (self.fifo and (not current or not self._in_flight(message))) or (not current and not self.lenient):
            raise HandleInvalid("InvalidParameterValue" if self.lenient else "ReceiptHandleIsInvalid")
        message.deleted, message.gone = True, message.gone or self._loop.time()
        self.messages.pop(message.id, None)
        self.dead_letters.pop(message.id, None)
        self._wake()
        return message

    def change_visibility(self, handle: str, seconds: float) -> Message:
        """Raises `HandleInvalid`."""
        message = self._handles.get(handle)
        if message is None or message.deleted or message.handle != handle:
            raise HandleInvalid("ReceiptHandleIsInvalid" if not self.lenient else "InvalidParameterValue")
        if not self._in_flight(message):
            raise HandleInvalid("MessageNotInflight")
        if self._loop.time() + seconds > message.received + LONGEST_INVISIBLE:
            raise HandleInvalid("InvalidParameterValue")
        message.visible_at = self._loop.time() + seconds
        self._wake()
        return message

    def counts(self) -> tuple[int, int]:
        """How many messages are visible and how many in flight."""
        hidden = sum(map(self._in_flight, self.messages.values()))
        return len(self.messages) - hidden, hidden

    def owner_of(self, handle: str) -> Message | None:
        """The message behind `handle` if that is its newest handle and keeps it from others."""
        message = self._handles.get(handle)
        if message is None or message.deleted or message.handle != handle or not self._in_flight(message):
            return None
        return message

    def find(self, handle: str) -> Message | None:
        return self._handles.get(handle)

    def _in_flight(self, message: Message) -> bool:
        return message.receives > 0 and message.visible_at > self._loop.time()

    def _take(self, limit: int, visibility: float) -> list[Message]:
        taken: list[Message] = []
        for message in self._visible():
            if len(taken) == limit:
                break
            if self.redrive and message.receives >= self.redrive:
                self.dead_letters[message.id] = self.messages.pop(message.id)
                message.gone = self._loop.time()
                continue
            taken.append(message)
        if not self.fifo and len(taken) > 1 and self._rng.random() < 0.2:
            # Short polling of a part of SQS's servers: fewer than there are.
            taken = taken[: self._rng.randint(1, len(taken))]
        for message in taken:
            self._hand_out(message, visibility)
        return taken

    def _visible(self) -> list[Message]:
        now = self._loop.time()
        if self.fifo:
            locked = {message.group for message in self.messages.values() if self._in_flight(message)}
            return [message for message in self.messages.values() if message.group not in locked]
        ready = [message for message in self.messages.values() if message.visible_at <= now]
        if len(ready) > 1 and self._rng.random() < 0.3:
            self._rng.shuffle(ready)
        return ready

    def _hand_out(self, message: Message, visibility: float) -> None:
        now = self._loop.time()
        message.receives += 1
        message.first_received = now if message.first_received is None else message.first_received
        message.received = now
        message.visible_at = now + visibility
        message.handle = f"{message.id}+{message.receives}"
        self._handles[message.handle] = message
        if not self.fifo and self.duplicates and self._rng.random() < self.duplicates:
            message.visible_at = now + self._rng.uniform(0.001, visibility / 2)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._rng.choice(self._waiters)
            taken = self._take(waiter.limit, waiter.visibility)
            if not taken:
                break
            self._waiters.remove(waiter)
            if waiter.timer is not None:
                waiter.timer.cancel()
            waiter.give(taken)
        self._set_alarm()

    def _expire(self, waiter: _Waiter) -> None:
        self._waiters.remove(waiter)
        waiter.give([])

    def _set_alarm(self) -> None:
        """Be woken when the next invisible message becomes visible, if anybody waits for one."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self._loop.time()
        hidden = [message.visible_at for message in self.messages.values() if message.visible_at > now]
        if self._waiters and hidden:
            # A hair later than the earliest: equal times are equal for every comparison of `visible_at` with now.
            self._alarm = self._loop.call_at(min(hidden) + 1e-6, self._wake, context=self._outside)
