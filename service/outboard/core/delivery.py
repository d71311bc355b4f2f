"""Knows one batch's life, for every source: invoke, wait, retry, bisect, divert, settle.

A value machine: `step(now, wall)` answers what to do next, `answered(outcome, now)` takes what came of an invoke. Every
record of the batch leaves it exactly once, in a `Settle` or a `Divert`, or is still in `unsettled` when the batch is
abandoned.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from outboard.core import backoff
from outboard.core.outcome import FunctionFailed, Outcome, Succeeded, Throttled, TooLarge, Unavailable
from outboard.core.records import PAYLOAD_LIMIT, DropReason, Envelope, Record
from outboard.core.response import AllDelivered, Failed, Invalid, judge

#: Seconds after its last moment in which a record is too old for sure, however times were rounded.
_PAST = 0.001


class OnFailure(Enum):
    """What becomes of the records that a function failed."""

    RETURN = "back to the source, which brings them again (SQS, MQ)"
    RETRY_FROM_LOWEST = "tried again from the lowest reported one on (Kinesis, DynamoDB)"
    RETRY_LISTED = "only those reported are tried again (Kafka)"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user decided about failures. None is AWS's -1: no limit. Ages are in seconds."""

    on_failure: OnFailure
    partial_responses: bool = False
    maximum_retry_attempts: int | None = None
    maximum_record_age: float | None = None
    bisect: bool = False
    payload_limit: int = PAYLOAD_LIMIT


@dataclass(frozen=True, slots=True)
class Invoke:
    """Send these records; then call `answered`. `attempt` is 1 for the first invoke of exactly these records."""

    records: Sequence[Record]
    attempt: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`."""

    until: float


@dataclass(frozen=True, slots=True)
class Divert:
    """These records are given up: to the on-failure destination, or dropped. `invokes` of them were attempts; `last` is
    the failure that ended it, None where there was none.
    """

    records: Sequence[Record]
    reason: DropReason
    invokes: int
    last: FunctionFailed | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """Delivered records may be checkpointed or deleted now; returned ones go back to their source, `too_large` if they
    are a record that no invoke can carry.
    """

    delivered: Sequence[Record] = ()
    returned: Sequence[Record] = ()
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """Every record of the batch has met its fate."""


Step = Invoke | Wait | Divert | Settle | Settled


@dataclass(slots=True)
class _Segment:
    """A run of the batch that is invoked as one. `attempts` counts its failed ones since the last progress."""

    records: Sequence[Record]
    attempts: int = 0


class Delivery:
    """One batch on its way. `jitter()` is a random number in [0, 1); `splits` counts how often a part of it was halved.
    Counters die with the process, as on AWS.
    """

    def __init__(
        self, records: Sequence[Record], policy: Policy, jitter: Callable[[], float], envelope: Envelope | None = None
    ) -> None:
        self._policy = policy
        self._jitter = jitter
        self._envelope = envelope or Envelope()
        self._segments: deque[_Segment] = deque([_Segment(records)] if records else [])
        self._fates: deque[Divert | Settle] = deque()
        self._not_before: float | None = None
        self._failures = 0
        self._last: FunctionFailed | None = None
        self._in_doubt = False
        self.splits = 0

    @property
    def failures(self) -> int:
        """How often in a row it came to nothing, throttles and service errors included; 0 after progress."""
        return self._failures

    @property
    def unsettled(self) -> list[Record]:
        """The records without a fate, in order."""
        return [record for segment in self._segments for record in segment.records]

    @property
    def in_doubt(self) -> Sequence[Record]:
        """The records that the function may be at work on, since nobody knows what came of their last invoke."""
        return self._segments[0].records if self._in_doubt and self._segments else ()

    def step(self, now: float, wall: float) -> Step:
        """What to do next. `now` is the clock of `Wait`, `wall` the epoch time that record ages are measured with."""
        self._cut_off_expired(wall)
        self._cut_off_oversized()
        if self._fates:
            return self._fates.popleft()
        if not self._segments:
            return Settled()
        if self._not_before is not None and now < self._not_before:
            return Wait(min(self._not_before, self._expiry(now, wall)))
        head = self._segments[0]
        return Invoke(head.records, head.attempts + 1)

    def answered(self, outcome: Outcome, now: float) -> AllDelivered | Failed | Invalid | None:
        """Take what came of the invoke that `step` asked for. Returns how the function's answer was read."""
        # What never got there says nothing about an earlier attempt whose answer was lost.
        lost = isinstance(outcome, Unavailable) and outcome.in_doubt
        self._in_doubt = lost or (self._in_doubt and isinstance(outcome, Throttled | Unavailable))
        match outcome:
            case Succeeded():
                return self._succeeded(outcome, now)
            case FunctionFailed():
                self._last = outcome
                self._failed(now)
            case Throttled() | Unavailable():
                self._back_off(now, outcome.retry_after)
            case TooLarge():
                self._too_large()
            case _:
                assert_never(outcome)
        return None

    def taken_back(self, lost: Sequence[Record]) -> None:
        """The source has taken these back; they and what follows them of their keys leave as returned."""
        gone = {id(record) for record in lost}
        kept = ([r for r in segment.records if id(r) not in gone] for segment in self._segments)
        self._segments = deque(_Segment(records) for records in kept if records)
        self._in_doubt = False
        self._return(lost)

    def _succeeded(self, outcome: Succeeded, now: float) -> AllDelivered | Failed | Invalid:
        head = self._segments[0]
        verdict = judge(outcome.body, head.records) if self._policy.partial_responses else AllDelivered()
        match verdict:
            case AllDelivered():
                self._segments.popleft()
                self._fates.append(Settle(delivered=head.records))
                self._progress()
            case Failed():
                self._last = None
                self._partially_failed(verdict.indices, now)
            case Invalid():
                self._last = FunctionFailed(
                    "InvalidResponse", verdict.reason, outcome.request_id, outcome.executed_version
                )
                self._failed(now)
            case _:
                assert_never(verdict)
        return verdict

    def _partially_failed(self, indices: Sequence[int], now: float) -> None:
        head = self._segments[0]
        listed = set(indices)
        if self._policy.on_failure is OnFailure.RETRY_FROM_LOWEST:
            listed = set(range(min(indices), len(head.records)))
        delivered = [record for index, record in enumerate(head.records) if index not in listed]
        failed = [record for index, record in enumerate(head.records) if index in listed]
        if self._policy.on_failure is OnFailure.RETURN:
            self._segments.popleft()
            self._return(failed, delivered)
        elif delivered:
            self._segments[0] = _Segment(failed)
            self._fates.append(Settle(delivered))
            self._progress()
            self._back_off(now)
        else:
            self._failed(now)

    def _failed(self, now: float) -> None:
        """The whole head segment failed an attempt."""
        policy, head = self._policy, self._segments[0]
        if policy.on_failure is OnFailure.RETURN:
            self._segments.popleft()
            self._return(head.records)
            return
        if policy.bisect and len(head.records) > 1:
            self._split()
            return
        head.attempts += 1
        if policy.maximum_retry_attempts is not None and head.attempts > policy.maximum_retry_attempts:
            self._divert_head(len(head.records), DropReason.RETRY_ATTEMPTS_EXHAUSTED)
        else:
            self._back_off(now)

    def _too_large(self) -> None:
        if len(self._segments[0].records) > 1:
            self._split()
        else:
            self._give_up_oversized()

    def _split(self) -> None:
        """Halve the head. No wait: it finds the culprit in log2(n) invokes, and single records do wait."""
        self.splits += 1
        head = self._segments.popleft()
        middle = len(head.records) // 2
        self._segments.extendleft([_Segment(head.records[middle:]), _Segment(head.records[:middle])])

    def _cut_off_expired(self, wall: float) -> None:
        """Give up the head's leading records that are too old; those behind them are delivered."""
        limit = self._policy.maximum_record_age
        while limit is not None and self._segments:
            records = self._segments[0].records
            fresh = next(
                (i for i, r in enumerate(records) if r.timestamp <= 0 or wall - r.timestamp <= limit), len(records)
            )
            if fresh == 0:
                return
            self._divert_head(fresh, DropReason.RECORD_AGE_EXCEEDED)

    def _expiry(self, now: float, wall: float) -> float:
        """When the next record will be too old; it need not wait for its retry."""
        limit, first = self._policy.maximum_record_age, self._segments[0].records[0]
        if limit is None or first.timestamp <= 0:
            return math.inf
        return now + first.timestamp + limit - wall + _PAST

    def _cut_off_oversized(self) -> None:
        while self._segments and len(self._segments[0].records) == 1:
            if self._envelope.payload_size(self._segments[0].records) <= self._policy.payload_limit:
                return
            self._give_up_oversized()

    def _give_up_oversized(self) -> None:
        """A single record that no invoke can carry: a source that brings records again keeps it, others divert it."""
        if self._policy.on_failure is OnFailure.RETURN:
            head = self._segments.popleft()
            self._fates.append(Settle(returned=head.records, too_large=True))
            if followers := self._take_followers(head.records):
                self._fates.append(Settle(returned=followers))
        else:
            self._divert_head(1, DropReason.PAYLOAD_TOO_LARGE)

    def _return(self, failed: Sequence[Record], delivered: Sequence[Record] = ()) -> None:
        self._fates.append(Settle(delivered, [*failed, *self._take_followers(failed)]))

    def _take_followers(self, failed: Sequence[Record]) -> list[Record]:
        """Records further back must not overtake the failed ones of their key after a split: they go back with them."""
        keys = {record.key for record in failed if record.key}
        followers = [record for record in self.unsettled if record.key in keys]
        if followers:
            kept = ([r for r in segment.records if r.key not in keys] for segment in self._segments)
            self._segments = deque(_Segment(records) for records in kept if records)
        return followers

    def _divert_head(self, count: int, reason: DropReason) -> None:
        head = self._segments.popleft()
        self._in_doubt = False
        self._fates.append(Divert(head.records[:count], reason, max(1, head.attempts), self._last))
        if count < len(head.records):
            self._segments.appendleft(_Segment(head.records[count:], head.attempts))
        else:
            self._progress()

    def _progress(self) -> None:
        self._failures, self._not_before = 0, None

    def _back_off(self, now: float, retry_after: float | None = None) -> None:
        self._failures += 1
        self._not_before = now + backoff.delay(self._failures, self._jitter(), retry_after)
