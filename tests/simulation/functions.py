"""Knows functions as they are: some work, some fail in every way a function and Lambda's Invoke API can fail."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from outboard.aws.calls import InvokeReply, TimedOut
from tests.simulation.events import done_in, events_of, shown
from tests.simulation.history import Attempt, Caller, Exchange, History
from tests.simulation.loop import VirtualTimeLoop
from tests.simulation.network import Answer, Network

LAMBDA_LIMIT = 6_291_456
_ALL_DONE = (b"null", b'""', b"{}", b"[]", b'{"batchItemFailures":[]}', b'{"batchItemFailures":null}', b"")
_INVALID = (
    b'{"batchItemFailures":[{"itemIdentifier":"nobody"}]}',
    b'{"batchItemFailures":[{"itemIdentifier":""}]}',
    b'{"batchItemFailures":[{"itemIdentifier":null}]}',
    b'{"batchItemFailures":[{"itemId":"x"}]}',
    b'{"batchItemFailures":"all"}',
    b"not JSON",
    b"5",
)


@dataclass(slots=True)
class Behaviour:
    """How a function does. Rates are shares of its runs; durations are seconds.

    Attributes:
        item_failures: the share of messages that fail when they are processed.
        hangs: runs that take `hang_seconds`, longer than any caller waits.
        capacity: runs at once, beyond which Lambda answers 429; 0 for no bound.
        refuses_above: batches of more records are answered 413; 0 for no bound.
        emulator: answers as the runtime interface emulator, which marks neither versions nor errors in headers.
        poison: messages that always fail.
        fifo: after a failed message it leaves the later ones of its group alone, and reports them too.
        stops: after a failed record of a stream it leaves all later ones alone, and reports the failed one alone.
    """

    partial: bool = False
    fifo: bool = False
    stops: bool = False
    shortest: float = 0.01
    longest: float = 0.2
    errors: float = 0.0
    item_failures: float = 0.0
    invalid_answers: float = 0.0
    hangs: float = 0.0
    hang_seconds: float = 2000.0
    capacity: int = 0
    refuses_above: int = 0
    emulator: bool = False
    poison: set[str] = field(default_factory=set)

    def recover(self) -> None:
        """Nothing goes wrong from now on, except with poison."""
        self.errors = self.item_failures = self.invalid_answers = self.hangs = 0.0
        self.capacity = self.refuses_above = 0


class SimulatedFunction:
    """One function: shared by all its callers, and at work whether or not they still wait."""

    def __init__(
        self, loop: VirtualTimeLoop, rng: random.Random, name: str, behaviour: Behaviour, history: History
    ) -> None:
        self.name = name
        self.behaviour = behaviour
        self.running = 0
        #: How often each message was processed to its end.
        self.processed: dict[str, int] = {}
        self._loop = loop
        self._rng = rng
        self._history = history
        self._outside = loop.outside()

    def serve(self, attempt: Attempt, answer: Answer) -> None:
        """Lambda has received the call."""
        behaviour = self.behaviour
        if behaviour.capacity and self.running >= behaviour.capacity:
            retry_after = {"retry-after": "1"} if self._rng.random() < 0.3 else {}
            answer(_reply(429, b'{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"}', retry_after))
            return
        too_many = behaviour.refuses_above and len(attempt.batch) > behaviour.refuses_above
        if too_many or attempt.size > LAMBDA_LIMIT:
            answer(_reply(413, b'{"Message":"Request must be smaller than 6291456 bytes"}'))
            return
        self.running += 1
        attempt.ran = True
        duration = self._rng.uniform(behaviour.shortest, behaviour.longest)
        if self._rng.random() < behaviour.hangs:
            duration = behaviour.hang_seconds
        self._loop.call_later(duration, self._finish, attempt, answer, context=self._outside)

    def _finish(self, attempt: Attempt, answer: Answer) -> None:
        self.running -= 1
        attempt.run_ended = self._loop.time()
        attempt.outcome, reply = self._result(attempt)
        self._history.say(attempt.run_ended, self.name, attempt.outcome, *attempt.batch)
        answer(reply)

    def _result(self, attempt: Attempt) -> tuple[str, InvokeReply]:
        behaviour, rng, batch = self.behaviour, self._rng, attempt.batch
        if rng.random() < behaviour.errors:
            return "error", self._error(rng.choice(("Runtime.ExitError", "ValueError", "Sandbox.Timedout")))
        if behaviour.partial and rng.random() < behaviour.invalid_answers:
            return "invalid", self._success(rng.choice(_INVALID))
        failed = self._process(batch)
        if not failed:
            done = [body for body in _ALL_DONE if body or not behaviour.emulator]
            return "done", self._success(rng.choice(done if behaviour.partial else (b"null", b'"anything"', b"{")))
        if not behaviour.partial:
            return "error", self._error("ValueError")
        names = dict(zip(batch, attempt.identifiers, strict=True))
        listed = [{"itemIdentifier": shown(names[identifier])} for identifier in failed]
        if attempt.shard:
            rng.shuffle(listed)
        return f"partial {len(failed)}/{len(batch)}", self._success(json.dumps({"batchItemFailures": listed}).encode())

    def _process(self, batch: Sequence[str]) -> list[str]:
        """Returns what is to be reported; of a FIFO queue that is everything from the first failure of a group on."""
        failed: list[str] = []
        stopped: set[str] = set()
        for identifier in batch:
            group = self._history.produced[identifier].group
            fails = identifier in self.behaviour.poison or self._rng.random() < self.behaviour.item_failures
            if group in stopped or fails:
                failed.append(identifier)
                if self.behaviour.fifo:
                    stopped.add(group)
                if self.behaviour.stops:
                    break
            else:
                self.processed[identifier] = self.processed.get(identifier, 0) + 1
        return failed

    def _success(self, body: bytes) -> InvokeReply:
        return _reply(200, body, {} if self.behaviour.emulator else {"x-amz-executed-version": "$LATEST"})

    def _error(self, kind: str) -> InvokeReply:
        if self.behaviour.emulator:
            body = b"Task timed out after 3.00 seconds" if kind == "Sandbox.Timedout" else None
            return _reply(200, body or orjson.dumps({"errorMessage": "it failed", "errorType": kind}))
        headers = {"x-amz-executed-version": "$LATEST", "x-amz-function-error": "Unhandled"}
        return _reply(200, orjson.dumps({"errorMessage": "it failed", "errorType": kind}), headers)


class SimulatedLambda:
    """A `LambdaService` for one caller."""

    def __init__(self, functions: Mapping[str, SimulatedFunction], caller: Caller, network: Network) -> None:
        self._functions = functions
        self._caller = caller
        self._network = network

    async def invoke(
        self,
        function: str,
        payload: bytes,
        *,
        qualifier: str | None = None,
        invocation_type: str = "RequestResponse",
        trace: str | None = None,
        timeout: float = 905.0,
    ) -> InvokeReply:
        name = function.rsplit(":", 1)[-1]
        attempts: list[Attempt] = []

        def begin(call: Exchange) -> None:
            attempts.append(self._attempt(call, name, payload))

        def serve(call: Exchange, answer: Answer) -> None:
            known = self._functions.get(name)
            if known is None:
                answer(_reply(404, b"{}", {"x-amzn-errortype": "ResourceNotFoundException"}))
            else:
                known.serve(attempts[0], answer)

        try:
            reply: InvokeReply = await self._network.exchange(self._caller, "Invoke", timeout, serve, _in_words, begin)
        except TimedOut:
            for attempt in attempts:
                attempt.failed = True
            raise
        known = self._functions.get(name)
        if attempts and known is not None:
            attempt = attempts[0]
            attempt.done = done_in(attempt, reply, partial=known.behaviour.partial)
            attempt.failed = reply.status == 200 and not attempt.done
        return reply

    def _attempt(self, call: Exchange, function: str, payload: bytes) -> Attempt:
        history = self._network.history
        events = list(events_of(orjson.loads(payload)))
        for event in events:
            produced = history.produced[event.message]
            if event.body != produced.body or (event.shard and event.key != produced.group):
                history.illegal.append(f"{self._caller}: the body or the key of {event.message} was changed")
        shards = {event.shard for event in events}
        if len(shards) > 1:
            history.illegal.append(f"{self._caller}: records of {sorted(shards)} in one batch")
        call.messages = batch = tuple(event.message for event in events)
        handles = tuple(event.handle for event in events)
        attempt = Attempt(call, function, batch, handles, len(payload), min(shards))
        history.attempts.append(attempt)
        history.say(call.started, self._caller, "invokes with", *batch)
        return attempt


def _reply(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> InvokeReply:
    return InvokeReply(status, {"x-amzn-requestid": "00000000-0000-4000-8000-000000000000", **(headers or {})}, body)


def _in_words(fault: str) -> Any:
    if fault == "throttled":
        return _reply(429, b'{"Reason":"CallerRateLimitExceeded"}', {"x-amzn-errortype": "TooManyRequestsException"})
    return _reply(503, b'{"Message":"Service unavailable"}', {"x-amzn-errortype": "ServiceUnavailableException"})
