"""Knows how a consumer asks a Kafka cluster: again and again while it is out of reach, as aiokafka does, and not for ever."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from outboard.aws.calls import CallFailed, TimedOut
from outboard.sources.kafka.consumer import ConsumerError
from tests.simulation.history import Caller, Exchange
from tests.simulation.network import Answer, Network

#: Seconds for one question, however often it is asked, and between two tries.
PATIENCE = 15.0
AGAIN = 0.3


@dataclass(frozen=True, slots=True)
class Complaint:
    """A broker's own answer to a fault."""

    code: str
    message: str
    retriable: bool


class Questions:
    """The calls of one consumer. `trouble` is what went wrong last, until whoever asks has seen that it is over."""

    def __init__(self, caller: Caller, network: Network) -> None:
        self.caller = caller
        self.network = network
        self.trouble: ConsumerError | None = None
        self.stopped = False
        self._now = network.loop.time

    async def ask(self, operation: str, serve: Callable[[], Any], patience: float = PATIENCE) -> Any:
        deadline = self._now() + patience
        while True:
            reply = await self.try_once(operation, serve, deadline)
            if reply is not None:
                return reply
            await asyncio.sleep(AGAIN)

    async def try_once(self, operation: str, serve: Callable[[], Any], deadline: float) -> Any:
        """The answer; None: it is to be asked again. Raises `ConsumerError`."""
        if self.stopped:
            raise ConsumerError("ConsumerStoppedError", "it was stopped", fatal=True)
        late = ConsumerError("KafkaTimeout", f"the cluster did not answer for {PATIENCE:.0f} s")
        left = deadline - self._now()
        if left <= 0:
            raise late
        try:
            reply = await self.call(operation, left, lambda _call, answer: answer(serve()))
        except TimedOut:
            raise late from None
        except CallFailed:
            return None
        if isinstance(reply, Complaint):
            self.trouble = ConsumerError(reply.code, reply.message)
            if reply.retriable:
                return None
            raise self.trouble
        return reply

    async def call(self, operation: str, timeout: float, serve: Callable[[Exchange, Answer], None]) -> Any:
        """One call, once. Raises `CallFailed`; a broker may complain."""
        try:
            return await self.network.exchange(self.caller, operation, timeout, serve, _in_words)
        except CallFailed as failure:
            self.trouble = ConsumerError(failure.code, failure.message)
            raise


def _in_words(fault: str) -> Complaint:
    if fault == "throttled":
        return Complaint("CoordinatorLoadInProgressError", "it is being loaded", retriable=True)
    return Complaint("GroupAuthorizationFailedError", "not now", retriable=False)
