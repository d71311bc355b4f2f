"""Knows how long received messages stay invisible, when to extend that, and what is left of the queue's own time."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

#: SQS takes no extension beyond twelve hours after the receive.
LONGEST = 43_200.0

#: A hold shorter than this could not be extended in time; queues with less get this much while a message is held.
SHORTEST = 10.0

#: A queue with a timeout below so many seconds would bring a message that keeps failing back in a tight loop.
_SHORT = 5.0
_SOONEST = 1


@dataclass(slots=True)
class Hold:
    """One received message in our hands. Times are the loop's clock."""

    handle: str
    received: float
    invisible_until: float
    extended: bool = False


class Holds:
    """Every message that a mapping holds, in the order in which they must be extended."""

    def __init__(self, visibility_timeout: float) -> None:
        self._queue_timeout = visibility_timeout
        self._span = max(SHORTEST, visibility_timeout)
        self._held: OrderedDict[str, Hold] = OrderedDict()
        self._final: dict[str, Hold] = {}  # never to be extended again

    def __len__(self) -> int:
        return len(self._held) + len(self._final)

    @property
    def span(self) -> float:
        """Seconds a message is made invisible for, at the receive and by each extension."""
        return self._span

    @property
    def differs_from_queue(self) -> bool:
        """Whether a receive must name the span because the queue's own timeout is too short to work with."""
        return self._span != self._queue_timeout

    def received(self, handles: Sequence[str], now: float) -> None:
        """Messages came in at `now`."""
        until = now + self._span
        for handle in handles:
            self._held[handle] = Hold(handle, now, until)

    def dropped(self, handles: Sequence[str]) -> None:
        """These are no longer ours to extend."""
        for handle in handles:
            if self._held.pop(handle, None) is None:
                self._final.pop(handle, None)

    def finish(self, handles: Sequence[str]) -> None:
        """These are done with and wait to be deleted: as long as they are invisible now, and no longer."""
        for handle in handles:
            hold = self._held.pop(handle, None)
            if hold is not None:
                self._final[handle] = hold

    def usable(self, handle: str, now: float) -> bool:
        """Whether `handle` still keeps its message from other receivers."""
        hold = self._find(handle)
        return hold is not None and now < hold.invisible_until

    def next_due(self) -> float | None:
        """When the first extension is due: with half the time gone, so that a failed one can be tried again."""
        first = next(iter(self._held.values()), None)
        return None if first is None else first.invisible_until - self._span / 2

    def due(self, now: float) -> list[tuple[str, int]]:
        """The handles to extend now and the whole seconds to extend them by.

        Those that fall due within the next twentieth of the span come along, so that a batch needs few calls; one that
        SQS would refuse is not among them.
        """
        ahead = now + self._span / 2 + self._span / 20
        asked: list[tuple[str, int]] = []
        for hold in self._held.values():
            if hold.invisible_until > ahead:
                break
            seconds = min(self._span, hold.received + LONGEST - now)
            if seconds >= 1:
                asked.append((hold.handle, int(seconds)))
        return asked

    def extended(self, handle: str, seconds: float, now: float) -> None:
        """SQS took an extension that was asked for at `now`."""
        hold = self._held.get(handle)
        if hold is not None:
            hold.invisible_until, hold.extended = now + seconds, True
            self._held.move_to_end(handle)
            if seconds < int(self._span):  # that was up to the cap
                self.finish([handle])

    def remaining(self, handle: str, now: float) -> int | None:
        """Whole seconds left of the queue's own timeout, 0 if it is past: when AWS would see the message again. None
        where nothing was changed and the queue brings it back by itself.
        """
        hold = self._find(handle)
        if hold is None or not (hold.extended or self.differs_from_queue):
            return None
        return max(_SOONEST if self._queue_timeout < _SHORT else 0, round(hold.received + self._queue_timeout - now))

    def expired(self, now: float) -> list[str]:
        """Handles that no longer keep their message from others."""
        holds = (*self._held.values(), *self._final.values())
        return [hold.handle for hold in holds if hold.invisible_until <= now]

    def _find(self, handle: str) -> Hold | None:
        return self._held.get(handle) or self._final.get(handle)
