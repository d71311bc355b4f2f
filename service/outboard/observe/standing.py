"""Knows how a mapping stands: its state as told, what is wrong with it, what it holds, and what of that is shown."""

from outboard.observe.facts import MappingState
from outboard.observe.trouble import Trouble, iso


class Standing:
    """One mapping's standing. `now` is epoch seconds, like every moment here."""

    def __init__(self) -> None:
        self.trouble = Trouble()
        self._state = MappingState.CREATING
        self._reason = ""
        self._held: dict[str, float] = {}

    @property
    def state(self) -> MappingState:
        """A mapping that should work and in which something fails again and again is shown as blocked."""
        if self._state in {MappingState.CREATING, MappingState.ENABLED} and self.trouble.is_blocked:
            return MappingState.BLOCKED
        return self._state

    @property
    def reason(self) -> str:
        """Why it is in this state, as a sentence."""
        return self.trouble.reason() if self.state is MappingState.BLOCKED else self._reason

    def become(self, state: MappingState, reason: str) -> bool:
        """Whether that is news."""
        news = (state, reason) != (self._state, self._reason)
        self._state, self._reason = state, reason
        return news

    def hold(self, lane: str, since: float | None) -> None:
        """The lane's oldest unsettled event is of this moment; None: it has none."""
        if since is None:
            self._held.pop(lane, None)
        else:
            self._held[lane] = since

    def close_lane(self, lane: str) -> None:
        """There is no such lane any more: what was wrong with it is over."""
        self.hold(lane, None)
        self.trouble.over(lane)
        self.trouble.unblock(lane)

    def oldest_age(self, now: float) -> float:
        """Age of the oldest event held and not settled, in seconds; 0 when caught up."""
        return max(0.0, now - min(self._held.values())) if self._held else 0.0

    def describe(self, now: float) -> dict[str, object]:
        """The part of a mapping's JSON object that says how it stands."""
        failure = self.trouble.last(now)
        return {
            "state": self.state.value,
            "stateReason": self.reason,
            "lastError": failure and {"at": iso(failure.at), "type": failure.error_type, "message": failure.message},
            "lagSeconds": round(self.oldest_age(now), 3),
        }
