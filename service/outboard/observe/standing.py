"""Knows how a mapping stands: its state as told, what is wrong with it, how far behind it is; what of that shows."""

from outboard.observe.facts import MappingState
from outboard.observe.lag import Lag
from outboard.observe.trouble import Place, Trouble, Work, iso

#: States in which a mapping delivers, or should.
_AT_WORK = frozenset({MappingState.CREATING, MappingState.ENABLED})

#: States in which it finishes what is under way.
_DRAINING = frozenset({MappingState.DISABLING, MappingState.UPDATING, MappingState.DELETING})


class Standing:
    """One mapping's standing. `now` is epoch seconds, like every moment here."""

    def __init__(self, lane_word: str = "lane") -> None:
        """`lane_word`: what a lane of the mapping's source is called."""
        self.trouble = Trouble(lane_word)
        self.lag = Lag()
        self._state = MappingState.CREATING
        self._reason = ""

    def state(self, now: float) -> MappingState:
        """A mapping that should work and in which something fails again and again is shown as blocked."""
        if self._state in _AT_WORK and self.trouble.is_blocked(now):
            return MappingState.BLOCKED
        return self._state

    def reason(self, now: float) -> str:
        """Why it is in this state, in a sentence or two: positions that cannot be saved stop nothing, and show."""
        said = self.trouble.why_blocked(now) if self.state(now) is MappingState.BLOCKED else self._reason
        unsaved = self.trouble.why_unsaved() if self._state in _AT_WORK | _DRAINING else ""
        return ". ".join(filter(None, (said, unsaved)))

    def age(self, now: float) -> float:
        """Age of the oldest event not settled, in seconds, at least as long as the source could not be read: what came
        into it since is waiting. 0 when caught up.
        """
        unread = self.trouble.unread_for(now) if self._state in _AT_WORK | _DRAINING else 0.0
        return max(self.lag.age(now), unread)

    def become(self, state: MappingState, reason: str) -> bool:
        """Whether that is news."""
        news = (state, reason) != (self._state, self._reason)
        self._state, self._reason = state, reason
        return news

    def close_lane(self, lane: str) -> None:
        """There is no such lane any more: what was wrong with it is over."""
        self.lag.close(lane)
        self.trouble.over(Place(Work.SENDING, lane))

    def describe(self, now: float) -> dict[str, object]:
        """The part of a mapping's JSON object that says how it stands."""
        failure = self.trouble.last(now)
        return {
            "state": self.state(now).value,
            "stateReason": self.reason(now),
            "lastError": failure and {"at": iso(failure.at), "type": failure.error_type, "message": failure.message},
            "lagSeconds": round(self.age(now), 3),
        }
