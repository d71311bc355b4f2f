"""Knows how many invokes a mapping may have in flight: additive growth, halving on throttles, as TCP does it."""


class ConcurrencyLimit:
    """A limit between 1 and `maximum` that follows what the function can take.

    A throttle halves it and remembers where; a function that cannot be reached halves it and remembers nothing, since
    that says nothing about its capacity. Successes double it per round up to that point, then add one per round.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = float(maximum)
        self._limit = self._maximum
        self._threshold = self._maximum
        self._cut_at = float("-inf")

    @property
    def limit(self) -> int:
        return int(self._limit)

    def succeeded(self) -> None:
        """An invoke reached the function."""
        if self._limit < self._maximum:
            step = 1.0 if self._limit < self._threshold else 1.0 / self._limit
            self._limit = min(self._maximum, self._limit + step)

    def throttled(self, started: float, now: float, in_flight: int) -> None:
        """An invoke begun at `started` met a throttle. Those begun before the last cut say nothing new."""
        if self._cut(started, now, in_flight):
            self._threshold = self._limit

    def unavailable(self, started: float, now: float, in_flight: int) -> None:
        """An invoke begun at `started` did not reach the function at all."""
        self._cut(started, now, in_flight)

    def _cut(self, started: float, now: float, in_flight: int) -> bool:
        if started < self._cut_at:
            return False
        self._cut_at = now
        self._limit = max(1.0, min(self._limit, float(in_flight)) // 2)
        return True
