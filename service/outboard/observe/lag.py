"""Knows how old the oldest event of a mapping is that has not met its fate, wherever it stands on its way."""

#: An idle shard is read every second. Found with nothing in it, it counts as empty for so many seconds; not read for
#: longer, anything may have come into it since.
_SEEN_EMPTY = 5.0


class Lag:
    """What a mapping has yet to settle. Moments are epoch seconds, by the clock of `now`."""

    def __init__(self) -> None:
        self._held: dict[str, float] = {}
        self._waiting: dict[str, float] = {}
        self._behind: dict[str, tuple[float, float]] = {}

    def hold(self, lane: str, since: float | None) -> None:
        """The oldest event in the lane's batch is of this moment; None: it has no batch."""
        _note(self._held, lane, since)

    def wait(self, shard: str, since: float | None) -> None:
        """The oldest event of the shard that was read and is in no batch is of this moment; None: there is none."""
        _note(self._waiting, shard, since)

    def behind(self, shard: str, seconds: float, now: float) -> None:
        """What was not read yet of the shard is so old, at most, at this moment; 0: there was nothing more."""
        self._behind[shard] = (seconds, now)

    def close(self, lane: str) -> None:
        """There is no such lane, or no such shard, any more."""
        for each in (self._held, self._waiting, self._behind):
            each.pop(lane, None)

    def age(self, now: float) -> float:
        """Age of the oldest event not settled, in seconds; 0 when caught up. Where nothing is held and a shard has not
        been read for a while, it is what the age can be at most.
        """
        known = (now - since for ages in (self._held, self._waiting) for since in ages.values())
        unread = (_unread(seconds, now - told) for seconds, told in self._behind.values())
        return max((0.0, *known, *unread))


def _note(moments: dict[str, float], name: str, since: float | None) -> None:
    if since is None:
        moments.pop(name, None)
    else:
        moments[name] = since


def _unread(seconds: float, passed: float) -> float:
    return 0.0 if seconds <= 0 and passed <= _SEEN_EMPTY else seconds + passed
