"""Knows when a queue deserves one poller more and when one fewer; a poller is a lane that receives and invokes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pollers:
    """How many pollers there are and what they do. `polling` are waiting for a receive's answer.

    `answered`: the function has answered once, so that more pollers are known to be of use.
    """

    open: int
    polling: int
    limit: int
    saturated: bool = False
    answered: bool = True


class Scaling:
    """Adds a poller for each full receive, and whenever the last waiting one leaves to invoke; sheds idle ones.

    Growth is paced: 10 a second and twice the open ones on top. So 90 are open 1.5 s after a backlog appears, and a
    zero-latency function is not met by a thousand pollers before the first of them has shown what it can do.
    """

    _BURST = 5.0

    def __init__(self, now: float) -> None:
        self._credit = self._BURST
        self._credited_at = now

    def grow(self, pollers: Pollers, now: float, *, full: bool, leaving: bool) -> bool:
        """Whether to open another poller after a receive that brought messages.

        `full`: it brought as many as were asked for; `leaving`: the poller goes off to invoke.
        """
        elapsed, self._credited_at = now - self._credited_at, now
        pace = 10.0 + (2.0 * pollers.open if pollers.answered else 0.0)
        self._credit = min(max(self._BURST, pace / 10), self._credit + elapsed * pace)
        wanted = full or (leaving and pollers.polling == 0)
        if not wanted or pollers.saturated or pollers.open >= pollers.limit or self._credit < 1:
            return False
        self._credit -= 1
        return True

    @staticmethod
    def shed(pollers: Pollers, *, idle: bool, backlog: bool) -> bool:
        """Whether a poller that holds nothing should end instead of receiving again.

        `idle`: its last receive came back empty; `backlog`: it was full. `pollers.polling` counts the others.
        """
        if pollers.open > pollers.limit:
            return True
        if idle:
            return pollers.polling > 0
        return not backlog and pollers.polling > max(1, pollers.open // 4)
