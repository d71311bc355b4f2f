"""Knows what the invokes of one mapping came to: each is counted once, and its failure logged and shown."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from outboard.core.outcome import FunctionFailed, Outcome, Succeeded, Throttled, TooLarge, Unavailable
from outboard.observe.bound import Invoking
from outboard.observe.facts import InvokeError, InvokeOutcome, LastResult, explain
from outboard.observe.repeats import Warnings
from outboard.observe.trouble import Failure, Place, Trouble, Work, shown


class Answers:
    """What the function made of one mapping's batches: each is told of once."""

    def __init__(
        self,
        invoking: Invoking,
        trouble: Trouble,
        log: FilteringBoundLogger,
        clock: Callable[[], float],
        lane_word: str = "lane",
    ) -> None:
        self._invoking = invoking
        self._trouble = trouble
        self._log = log
        self._clock = clock
        self._lane_word = lane_word
        self._warnings = Warnings(log, burst=3)
        self.last_result = LastResult.NOTHING_YET

    def invoked(self, outcome: Outcome, events: int, seconds: float, *, lane: str, positions: str) -> None:
        """An invoke ended in success or in failure of all its events; `positions` says which they were."""
        if isinstance(outcome, Succeeded):
            self._invoking.successes.inc()
            self._invoking.invoke_seconds.observe(seconds)
            self._trouble.succeeded(lane)
            self.last_result = LastResult.OK
            where = self._where(lane, positions, outcome.request_id)
            self._log.debug("batch delivered", events=events, seconds=seconds, **where)
            return
        why = explain(outcome)
        self._invoking.invoke_errors[why.error].inc()
        self._failed(why.ended, self.failure(outcome), events, seconds, lane, positions)

    def partially_failed(
        self, failed: int, delivered: int, seconds: float, *, lane: str, positions: str, request_id: str = ""
    ) -> None:
        """The function reported `failed` events in batchItemFailures; `positions` says which."""
        self._invoking.item_failures.inc(failed)
        message = f"The function reported {failed} of {failed + delivered} events as failed."
        failure = Failure(self._clock(), "BatchItemFailures", message, request_id)
        self._failed(InvokeOutcome.PARTIAL_FAILURE, failure, failed, seconds, lane, positions)

    def response_invalid(
        self, reason: str, events: int, seconds: float, *, lane: str, positions: str, request_id: str = ""
    ) -> None:
        """The function's answer breaks the rules of ReportBatchItemFailures, so that all its events count as failed."""
        self._invoking.invoke_errors[InvokeError.INVALID_RESPONSE].inc()
        failure = Failure(self._clock(), "InvalidResponse", shown(reason), request_id)
        self._failed(InvokeOutcome.INVALID_RESPONSE, failure, events, seconds, lane, positions)

    def failure(self, outcome: FunctionFailed | Throttled | Unavailable | TooLarge) -> Failure:
        """A failed invoke, now, in words that can be shown."""
        why = explain(outcome)
        return Failure(self._clock(), shown(why.error_type), shown(why.message), outcome.request_id)

    def cause(self, last: FunctionFailed | None) -> dict[str, str]:
        """What the failure that ended records' life says in a log line; nothing where there was none."""
        if last is None:
            return {}
        version = {"executed_version": last.executed_version} if last.executed_version else {}
        return {**self.failure(last).fields, "request_id": last.request_id, **version}

    def closed(self, lane: str) -> None:
        """There is no such lane any more."""
        self._warnings.forget(lane)

    def _failed(
        self, ended: InvokeOutcome, failure: Failure, events: int, seconds: float, lane: str, positions: str
    ) -> None:
        self._invoking.invocations[ended].inc()
        self._invoking.invoke_seconds.observe(seconds)
        self._invoking.failed_invoke_events.inc(events)
        self._trouble.failed(Place(Work.SENDING, lane), failure)
        self.last_result = LastResult.PROBLEM
        fields = {**self._where(lane, positions, failure.request_id), **failure.fields}
        self._warnings.write(lane, failure.at, "invoke failed", outcome=ended.value, events=events, **fields)

    def _where(self, lane: str, positions: str, request_id: str) -> dict[str, str]:
        return {self._lane_word: lane, "request_id": request_id, "positions": positions}
