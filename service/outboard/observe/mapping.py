"""Knows what each fact about a mapping means to its metrics, its log and its status: one function a fact."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from outboard.core.outcome import Outcome, Succeeded
from outboard.core.records import DropReason
from outboard.observe.bound import Invoking, Reading, Settling, counts
from outboard.observe.facts import (
    InvokeError,
    InvokeOutcome,
    MappingFacts,
    MappingState,
    PollResult,
    error_class,
    explain,
)
from outboard.observe.metrics import MappingSeries, Metrics
from outboard.observe.repeats import Warnings
from outboard.observe.standing import Standing
from outboard.observe.trouble import SOURCE, Failure, shown

__all__ = ["MappingFacts", "MappingObserver", "MappingState"]


class MappingObserver:
    """Everything that is told about one mapping. Moments are epoch seconds, durations seconds, sizes bytes.

    Each invoke ends in exactly one of `invoked`, `partially_failed` and `response_invalid`.
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
        self._reading = Reading(self._series)
        self._invoking = Invoking(self._series)
        self._settling = Settling(self._series)
        self._standing = Standing()
        self._trouble = self._standing.trouble
        self._displayed = self._standing.state
        self._poll_failures = 0
        self._poll_failure_logged = False
        self._source_warnings = Warnings(self._log, burst=1)
        self._invoke_warnings = Warnings(self._log, burst=3)
        self._warnings = Warnings(self._log, burst=3)
        self._series.gauge("oldest_unsettled_age_seconds").compute = lambda: self._standing.oldest_age(clock())
        self._series.gauge("mapping_state", self._displayed).set(1)

    def close(self) -> None:
        """The mapping is gone, and its series go with it."""
        self._metrics.close(self._series)

    # The source

    def polled(self, events: int, size: int, seconds: float) -> None:
        """A read succeeded, empty or not. `size` is that of the events as they are sent."""
        reading = self._reading
        if events:
            reading.polls_with_records.inc()
            reading.polled_events.inc(events)
            reading.polled_bytes.inc(size)
        else:
            reading.polls_without.inc()
        reading.poll_seconds.observe(seconds)
        reading.last_poll.set(self._clock())
        if self._poll_failures:
            self._polling_recovered()

    def polling_failed(self, error_type: str, message: str) -> None:
        """A read failed; the next `polled` says that this is over."""
        self._reading.polls[PollResult.ERROR].inc()
        self._source_failed("polling failed", error_type, message, blocks=self._poll_failures > 0)

    def source_failed(self, error_type: str, message: str) -> None:
        """The source could not be read at all and is opened again later; the next `polled` says that this is over."""
        self._source_failed("source failed", error_type, message, blocks=True)

    def crashed(self, error: BaseException) -> None:
        """A defect ended the mapping's tasks. Always logged, with its traceback; `source_failed` says what it means."""
        self._log.error("mapping crashed", exc_info=error)

    def _source_failed(self, event: str, error_type: str, message: str, *, blocks: bool) -> None:
        failure = Failure(self._clock(), shown(error_type), shown(message))
        self._reading.polling_errors[error_class(error_type)].inc()
        self._poll_failures += 1
        self._trouble.failed(SOURCE, failure)
        if self._source_warnings.write(failure.error_type, failure.at, event, **_error(failure)):
            self._poll_failure_logged = True
        if blocks:
            self._trouble.block(SOURCE, failure.at)
            self._display()

    def _polling_recovered(self) -> None:
        if self._poll_failure_logged:
            self._log.info("polling recovered", failures=self._poll_failures)
        self._poll_failures = 0
        self._poll_failure_logged = False
        self._trouble.over(SOURCE)
        self._trouble.unblock(SOURCE)
        self._display()

    def call_failed(self, operation: str, error_type: str, message: str) -> None:
        """A call to the source other than a read failed (`DeleteMessage`, `ChangeMessageVisibility`)."""
        failure = Failure(self._clock(), shown(error_type), f"{operation}: {shown(message)}")
        self._trouble.failed(operation, failure)
        self._warnings.write(f"{operation} {error_type}", failure.at, "call failed", **_error(failure))

    def filtered_out(self, events: int) -> None:
        """No filter matched these."""
        self._reading.filtered_out.inc(events)

    def visibility_extended(self, events: int) -> None:
        """So many messages stay invisible for another while."""
        self._reading.extensions.inc(events)
        if events:
            self._trouble.over("ChangeMessageVisibility")

    def visibility_lost(self, events: int, why: str) -> None:
        """So many messages may come again while they are at work."""
        self._reading.lost_visibility.inc(events)
        self._warnings.write("visibility", self._clock(), "visibility lost", events=events, error_message=shown(why))

    # The function

    def invoking(self, events: int, payload: int) -> None:
        """A batch is about to be sent."""
        invoking = self._invoking
        invoking.invoked_events.inc(events)
        invoking.batch_events.observe(events)
        invoking.batch_bytes.observe(payload)

    def retrying(self, attempt: int) -> None:
        """The same batch is about to be sent again, for the `attempt`th time."""
        self._invoking.retries.inc()
        self._log.debug("batch retried", attempt=attempt)

    def bisected(self) -> None:
        """A batch was split in two."""
        self._invoking.bisections.inc()
        self._log.debug("batch bisected")

    def invoked(self, outcome: Outcome, events: int, seconds: float, *, lane: str, positions: str) -> None:
        """An invoke ended in success or in failure of all its events; `positions` says which they were."""
        where = {"lane": lane, "request_id": outcome.request_id, "positions": positions}
        if isinstance(outcome, Succeeded):
            self._invoking.successes.inc()
            self._invoking.invoke_seconds.observe(seconds)
            self._trouble.invoke_succeeded(lane)
            self._log.debug("batch delivered", events=events, seconds=seconds, **where)
            return
        why = explain(outcome)
        failure = Failure(self._clock(), shown(why.error_type), shown(why.message))
        self._invoking.invoke_errors[why.error].inc()
        self._invoke_failed(why.ended, failure, events, seconds, where)

    def partially_failed(
        self, failed: int, delivered: int, seconds: float, *, lane: str, positions: str, request_id: str = ""
    ) -> None:
        """The function reported `failed` events in batchItemFailures; `positions` says which."""
        self._invoking.item_failures.inc(failed)
        message = f"The function reported {failed} of {failed + delivered} events as failed."
        failure = Failure(self._clock(), "BatchItemFailures", message)
        where = {"lane": lane, "request_id": request_id, "positions": positions}
        self._invoke_failed(InvokeOutcome.PARTIAL_FAILURE, failure, failed, seconds, where)

    def response_invalid(
        self, reason: str, events: int, seconds: float, *, lane: str, positions: str, request_id: str = ""
    ) -> None:
        """The function's answer breaks the rules of ReportBatchItemFailures, so that all its events count as failed."""
        self._invoking.invoke_errors[InvokeError.INVALID_RESPONSE].inc()
        failure = Failure(self._clock(), "InvalidResponse", shown(reason))
        where = {"lane": lane, "request_id": request_id, "positions": positions}
        self._invoke_failed(InvokeOutcome.INVALID_RESPONSE, failure, events, seconds, where)

    def _invoke_failed(
        self, ended: InvokeOutcome, failure: Failure, events: int, seconds: float, where: dict[str, str]
    ) -> None:
        self._invoking.invocations[ended].inc()
        self._invoking.invoke_seconds.observe(seconds)
        self._invoking.failed_invoke_events.inc(events)
        lane = where["lane"]
        self._trouble.invoke_failed(lane, failure)
        fields = {"outcome": ended.value, "events": events, **where, **_error(failure)}
        self._invoke_warnings.write(lane, failure.at, "invoke failed", **fields)

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
            self._trouble.over("DeleteMessage")

    def delete_failed(self, events: int, code: str, message: str) -> None:
        """These were delivered, could not be deleted, and will come again."""
        self._settling.failed_deletes.inc(events)
        failure = Failure(self._clock(), shown(code), shown(message))
        self._warnings.write(f"delete {code}", failure.at, "delete failed", events=events, **_error(failure))

    def returned(self, events: int) -> None:
        """The function failed these; the source brings them again."""
        self._settling.returned.inc(events)

    def too_large(self, events: int, positions: str) -> None:
        """No invoke can carry these; the source keeps them. Always logged, with their exact positions."""
        self._log.error("event too large for an invoke", events=events, positions=positions)

    def handed_back(self, events: int) -> None:
        """These were read and not sent."""
        self._settling.handed_back.inc(events)

    def dropped(self, events: int, reason: DropReason, positions: str, invokes: int) -> None:
        """A limit ended these after so many invokes. Always logged, with their exact positions."""
        self._settling.dropped[reason].inc(events)
        self._log.error("events dropped", events=events, reason=reason.value, positions=positions, invokes=invokes)

    # What is so now

    def lane_blocked(self, lane: str, since: float, outcome: Outcome) -> None:
        """The lane's batch fails again and again, since then, most recently with `outcome`."""
        if not isinstance(outcome, Succeeded):
            why = explain(outcome)
            self._trouble.failed(lane, Failure(self._clock(), shown(why.error_type), shown(why.message)))
        self._trouble.block(lane, since)
        self._display()

    def lane_unblocked(self, lane: str) -> None:
        """The batch that blocked the lane is out of the way."""
        self._trouble.unblock(lane)
        self._display()

    def lane_closed(self, lane: str) -> None:
        """There is no such lane any more; what was wrong with it is over."""
        self._standing.close_lane(lane)
        self._invoke_warnings.forget(lane)
        self._display()

    def state(self, state: MappingState, reason: str) -> None:
        """What the mapping was told to be, or came to. `reason` is a sentence."""
        if not self._standing.become(state, reason := shown(reason)):
            return
        log = self._log.error if state is MappingState.FAILED else self._log.info
        log("mapping state", state=state.value, reason=reason)
        self._display()

    def _display(self) -> None:
        before, now = self._displayed, self._standing.state
        if now is before:
            return
        self._displayed = now
        self._series.gauge("mapping_state", before).set(0)
        self._series.gauge("mapping_state", now).set(1)
        if now is MappingState.BLOCKED:
            self._warnings.write("blocked", self._clock(), "mapping blocked", reason=self._standing.reason)
        elif before is MappingState.BLOCKED and now is MappingState.ENABLED:
            self._log.debug("mapping unblocked")

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
        self._standing.hold(lane, since)

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
            "lagRecords": None,
            "counts": counts(self._series),
        }


def _error(failure: Failure) -> dict[str, str]:
    return {"error_type": failure.error_type, "error_message": failure.message}
