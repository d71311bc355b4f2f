"""Knows how long to wait before the next attempt after so many failures in a row."""

_FIRST = 1.0
_LONGEST = 60.0
_DOUBLINGS = 6  # 1 s doubled six times is past _LONGEST; bounds it for a count of any size
_LONGEST_ASKED_FOR = 300.0


def delay(failures: int, jitter: float, retry_after: float | None = None) -> float:
    """Seconds to wait after `failures` failures in a row, counted from 1 and anew after progress.

    The first wait is between 0.5 and 1 s; each further failure doubles it, up to between 30 and 60 s; `jitter`, in
    [0, 1), places it in that range. `retry_after`, in seconds, is what the service asked for: at least that is waited,
    up to 300 s, spread by up to a tenth so that those who were told the same do not all return at once.
    """
    doublings = min(max(failures - 1, 0), _DOUBLINGS)
    own = min(_LONGEST, _FIRST * (1 << doublings)) * (1 + jitter) / 2
    if retry_after is None:
        return own
    return max(own, min(retry_after * (1 + jitter / 10), _LONGEST_ASKED_FOR))
