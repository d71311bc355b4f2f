"""Knows what each fact about a mapping means to its metrics, its log and its status: one function a fact."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from outboard.core.outcome import FunctionFailed, Outcome, Succeeded
from outboard.core.records import DropReason
from outboard.observe.alarm import Alarm
from outboard.observe.answers import Answers
from outboard.observe.bound import Invoking, Positions, Reading, Settling, counts
from outboard.observe.facts import MappingFacts, MappingState, PositionReset
from outboard.observe.group import GroupFacts
from outboard.observe.metrics import MappingSeries, Metrics
from outboard.observe.polling import Polling
from outboard.observe.repeats import Warnings
from outboard.observe.saving import Saving
from outboard.observe.standing import Standing
from outboard.observe.trouble import Block, Failure, Place, Work, shown

__all__ = ["MappingFacts", "MappingObserver", "MappingState", "PositionReset"]


class MappingObserver:
    """Everything that is told about one mapping. Moments are epoch seconds, durations seconds, sizes bytes.

    Each invoke ends in exactly one of `invoked`, `partially_failed` and `response_invalid`. A `place` is a shard or a
    partition, or empty where the source has no parts; the lane of either has its name.
    """

    def __init__(
        self, facts: MappingFacts, metrics: Metrics, log: FilteringBoundLogger, clock: Callable[[], float]
    ) -> None:
        """`clock` gives the epoch time. The mapping's series are exposed from here until `close`."""
        self._facts = facts
        self._metrics = metrics
        self._clock = clock
        self._log: FilteringBoundLogger = log.bind(mapping=facts.name)
        self._series: MappingSeries = metrics.open(facts)
        self._lane_word = facts.lane_word
        self._reading, self._positions = Reading(self._series), Positions(self._series)
        self._invoking, self._settling = Invoking(self._series), Settling(self._series)
        self._standing = Standing(self._lane_word)
        self._trouble, self._lag = self._standing.trouble, self._standing.lag
        self._polling = Polling(self._reading, self._trouble, self._log, clock, self._lane_word)
        self._answers = Answers(self._invoking, self._trouble, self._log, clock, self._lane_word)
        self._saving = Saving(self._positions, self._trouble, self._log, clock)
        self._group = group = GroupFacts(self._series, self._saving, self._log, clock)
        # What is told of answers, of positions being saved, and of a consumer group; each is described there.
        self.invoked, self.partially_failed = self._answers.invoked, self._answers.partially_failed
        self.response_invalid = self._answers.response_invalid
        self.checkpoint_failed, self.checkpoint_saved = self._saving.failed, self._saving.succeeded
        self.rebalanced, self.offset_lag, self.committed = group.rebalanced, group.offset_lag, group.committed
        self.discarded, self.expired = group.discarded, group.expired
        self._alarm = Alarm(self._standing, self._log, clock)
        self._warnings = Warnings(self._log, burst=3)
        self._compute()

    def _compute(self) -> None:
        """What changes with the clock is worked out when somebody looks."""
        gauge, standing, clock = self._series.gauge, self._standing, self._clock
        gauge("oldest_unsettled_age_seconds").compute = lambda: standing.age(clock())
        gauge("unsaved_checkpoint_age_seconds").compute = lambda: standing.trouble.unsaved_for(clock())
        for state in MappingState:
            gauge("mapping_state", state).compute = lambda state=state: float(standing.state(clock()) is state)

    def close(self) -> None:
        """The mapping is gone, and its series go with it."""
        self._metrics.close(self._series)

    # The source

    def polled(self, events: int, size: int, seconds: float, *, place: str = "") -> None:
        """A read succeeded, empty or not. `size` is that of the events as they are sent."""
        if self._polling.succeeded(events, size, seconds, place):
            self._alarm.look()

    def polling_failed(self, error_type: str, message: str, *, place: str = "") -> None:
        """A read failed; the next `polled` of the same place says that this is over."""
        if self._polling.failed(error_type, message, place):
            self._alarm.look()

    def source_failed(self, error_type: str, message: str) -> None:
        """The source could not be read at all and is opened again later; the next `polled` says that this is over."""
        if self._polling.source_failed(error_type, message):
            self._alarm.look()

    def crashed(self, error: BaseException) -> None:
        """A defect ended the mapping's tasks. Always logged, with its traceback; `source_failed` says what it means."""
        self._log.error("mapping crashed", exc_info=error)

    def call_failed(self, operation: str, error_type: str, message: str) -> None:
        """A call to the source other than a read failed (`DeleteMessage`, `ListShards`)."""
        failure = Failure(self._clock(), shown(error_type), f"{operation}: {shown(message)}")
        self._trouble.failed(Place(Work.CALLING, operation), failure)
        self._warnings.write(f"{operation} {error_type}", failure.at, "call failed", **failure.fields)

    def call_succeeded(self, operation: str) -> None:
        """Such a call works again, or still."""
        self._trouble.over(Place(Work.CALLING, operation))

    def filtered_out(self, events: int) -> None:
        """No filter matched these."""
        self._reading.filtered_out.inc(events)

    def visibility_extended(self, events: int) -> None:
        """So many messages stay invisible for another while."""
        self._reading.extensions.inc(events)
        if events:
            self.call_succeeded("ChangeMessageVisibility")

    def visibility_lost(self, events: int, why: str) -> None:
        """So many messages may come again while they are at work."""
        self._reading.lost_visibility.inc(events)
        self._warnings.write("visibility", self._clock(), "visibility lost", events=events, error_message=shown(why))

    # Shards and positions in them

    def behind(self, shard: str, seconds: float) -> None:
        """The shard was read, and what follows is at most so old (MillisBehindLatest); 0: nothing follows yet."""
        self._lag.behind(shard, seconds, self._clock())
        self._series.set_of_lane("behind_latest_seconds", shard, seconds)

    def waiting(self, shard: str, since: float | None) -> None:
        """Timestamp of the place's oldest event that was read and is in no batch yet; None if there is none."""
        self._lag.wait(shard, since)

    def shards(self, owned: int, waiting: int) -> None:
        """So many shards are read, and so many wait for those they came from."""
        self._positions.owned.set(owned)
        self._positions.waiting.set(waiting)

    def shard_done(self, shard: str) -> None:
        """The shard was closed, and every event of it has met its fate."""
        self._positions.done.inc()
        self._log.info("shard done", shard=shard)

    def position_reset(self, shard: str, reason: PositionReset) -> None:
        """The shard or partition cannot be read on from where it was left: it, or what follows, is gone, or it is read
        from its beginning. Always logged.
        """
        self._positions.resets[reason].inc()
        self._log.warning("position reset", **{self._lane_word: shard}, reason=reason.value)

    # The function

    def invoking(self, events: int, payload: int, *, lane: str = "", newest: float = 0.0) -> None:
        """A batch is about to be sent; `newest` is the timestamp of its last event, 0 if unknown."""
        self._invoking.invoked_events.inc(events)
        self._invoking.batch_events.observe(events)
        self._invoking.batch_bytes.observe(payload)
        if lane and newest > 0:
            self._series.set_of_lane("iterator_age_seconds", lane, max(0.0, self._clock() - newest))

    def retrying(self, attempt: int) -> None:
        """The same batch is about to be sent again, for the `attempt`th time."""
        self._invoking.retries.inc()
        self._log.debug("batch retried", attempt=attempt)

    def bisected(self) -> None:
        """A batch was split in two."""
        self._invoking.bisections.inc()
        self._log.debug("batch bisected")

    @property
    def last_result(self) -> str:
        """AWS's `LastProcessingResult`."""
        return self._answers.last_result.value

    # The records' fates

    def delivered(self, events: int, oldest_timestamp: float) -> None:
        """The function reported these as done; `oldest_timestamp` is 0 where no event has one."""
        self._settling.delivered.inc(events)
        if oldest_timestamp > 0:
            self._settling.latency.observe(max(0.0, self._clock() - oldest_timestamp))

    def deleted(self, events: int) -> None:
        """The queue has forgotten these."""
        self._settling.deleted.inc(events)
        if events:
            self.call_succeeded("DeleteMessage")

    def delete_failed(self, events: int, code: str, message: str) -> None:
        """These were delivered, could not be deleted, and will come again."""
        self._settling.failed_deletes.inc(events)
        failure = Failure(self._clock(), shown(code), shown(message))
        self._warnings.write(f"delete {code}", failure.at, "delete failed", events=events, **failure.fields)

    def returned(self, events: int) -> None:
        """The function failed these, or they cannot be sent now; the source brings them again."""
        self._settling.returned.inc(events)

    def too_large(self, events: int, positions: str) -> None:
        """No invoke can carry these; the source keeps them. Always logged, with their exact positions."""
        self._log.error("event too large for an invoke", events=events, positions=positions)

    def handed_back(self, events: int) -> None:
        """These were read and not sent, or were due for another try."""
        self._settling.handed_back.inc(events)

    def dropped(
        self,
        events: int,
        reason: DropReason,
        positions: str,
        invokes: int,
        *,
        lane: str = "",
        last: FunctionFailed | None = None,
    ) -> None:
        """A limit ended these after so many invokes, the last of which failed with `last`. Always logged."""
        self._settling.dropped[reason].inc(events)
        where = {self._lane_word: lane} if lane else {}
        fields = {"reason": reason.value, **where, "positions": positions, **self._answers.cause(last)}
        self._log.error("events dropped", events=events, invokes=invokes, **fields)

    # What is so now

    def lane_blocked(
        self, lane: str, since: float, outcome: Outcome, positions: str = "", *, lapses: float | None = None
    ) -> None:
        """The lane's batch fails again and again, since then, most recently with `outcome`; `positions` says which
        records it has. `lapses`: seconds after its last failure in which the block ends by itself, for records that may
        go elsewhere meanwhile.
        """
        self._alarm.look()  # an earlier block may be over by itself
        place = Place(Work.SENDING, lane)
        if not isinstance(outcome, Succeeded):
            self._trouble.failed(place, self._answers.failure(outcome))
        self._trouble.block(place, Block(since, positions, lapses))
        self._alarm.look()

    def lane_unblocked(self, lane: str) -> None:
        """The batch that blocked the lane is out of the way."""
        self._trouble.unblock(Place(Work.SENDING, lane))
        self._alarm.look()

    def lane_closed(self, lane: str) -> None:
        """There is no such lane any more, nor gauges of its shard or partition; what was wrong with it is over."""
        self._standing.close_lane(lane)
        self._polling.closed(lane)
        self._answers.closed(lane)
        self._series.forget_lane(lane)
        self._alarm.look()

    def state(self, state: MappingState, reason: str) -> None:
        """What the mapping was told to be, or came to. `reason` is a sentence."""
        self._alarm.told(state, reason)

    def cut_off(self, seconds: float, invokes: int) -> None:
        """It was taken out of the configuration and had not drained in time: so many invokes were still under way, and
        their events come again.
        """
        self._log.warning("drain timed out", seconds=round(seconds, 3), unfinished=invokes)

    def pollers(self, lanes: int) -> None:
        """So many lanes read from the source."""
        self._reading.pollers.set(lanes)

    def concurrency(self, in_use: int, limit: int) -> None:
        """So many invokes are under way, of so many that may be."""
        self._invoking.in_use.set(in_use)
        self._invoking.limit.set(limit)

    def buffered(self, events: int, size: int) -> None:
        """What the mapping holds in memory; `size` is what it has taken of the budget."""
        self._reading.buffered_events.set(events)
        self._reading.buffered_bytes.set(size)

    def holding(self, lane: str, since: float | None) -> None:
        """The source's timestamp of the oldest event that the lane holds and has not settled; None if it holds none."""
        self._lag.hold(lane, since)

    @property
    def handed_back_events(self) -> int:
        """How many events went back unsent, so far."""
        return int(self._settling.handed_back.value)

    def snapshot(self) -> dict[str, object]:
        """The mapping as `/mappings` shows it."""
        return {
            "name": self._facts.name,
            "uuid": self._facts.uuid,
            "sourceType": self._facts.source_type,
            **self._standing.describe(self._clock()),
            "inFlight": int(self._invoking.in_use.value),
            "lagRecords": self._group.lag,
            "counts": counts(self._series),
        }
