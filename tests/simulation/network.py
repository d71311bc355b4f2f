"""Knows how calls go wrong on their way: refused, reset before or after their effect, throttled, slow, hanging."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from outboard.aws.calls import TimedOut, Unreachable
from tests.simulation.history import Caller, Exchange, History
from tests.simulation.loop import VirtualTimeLoop

#: How an answer, or an exception, gets back to the caller.
Answer = Callable[[Any], None]
#: What a service does with a call that reached it: it gives its answer now or later.
Serve = Callable[[Exchange, Answer], None]


@dataclass(slots=True)
class Faults:
    """What goes wrong, as weights that add up to `rate`, the share of calls to which something happens.

    refused: no connection. reset: broken off before the service saw the call. lost: broken off after it did.
    throttled, failed: the service's own answer, without effect. slow: seconds instead of milliseconds.
    silent: no effect and no answer. mute: an effect and no answer.
    """

    rate: float = 0.0
    weights: dict[str, float] = field(
        default_factory=lambda: {
            "refused": 2, "reset": 2, "lost": 3, "throttled": 2, "failed": 2, "slow": 2, "silent": 0.5, "mute": 0.5,
        }
    )  # fmt: skip
    #: Set for a service that is down altogether, or an answer that is always the same.
    always: str = ""

    def draw(self, rng: random.Random) -> str:
        if self.always:
            return self.always
        if rng.random() >= self.rate:
            return ""
        return rng.choices(list(self.weights), list(self.weights.values()))[0]

    def stop(self) -> None:
        self.rate, self.always = 0.0, ""


class Network:
    """Carries the calls of one caller to one service; what the service does survives the caller's death."""

    def __init__(self, loop: VirtualTimeLoop, rng: random.Random, faults: Faults, history: History) -> None:
        self.loop = loop
        self.rng = rng
        self.faults = faults
        self.history = history
        self.latency = 0.004
        self.outside = loop.outside()

    async def exchange(
        self,
        caller: Caller,
        operation: str,
        timeout: float,
        serve: Serve,
        in_words: Callable[[str], Any],
        begin: Callable[[Exchange], None] = lambda _call: None,
    ) -> Any:
        """One call. `serve` is run at the service; `in_words` is its own answer to a fault. Raises `CallFailed`.

        `begin` is told of the call before anything happens to it, unless the caller is dead already.
        """
        call = Exchange(caller, operation, self.loop.time(), self.faults.draw(self.rng))
        if not caller.process.alive:
            return await self.loop.create_future()
        self.history.exchanges.append(call)
        self.history.say(call.started, caller, operation, *([f"[{call.fault}]"] if call.fault else []))
        begin(call)
        answered: asyncio.Future[Any] = self.loop.create_future()
        expiry = self.loop.call_later(timeout, self._answer, answered, TimedOut("TimedOut", f"{operation}: no answer"))
        self._later(self._way(call.fault), self._arrive, call, answered, serve, in_words)
        try:
            reply = await answered
        except asyncio.CancelledError:
            self._end(call, "cut off")
            raise
        finally:
            expiry.cancel()
        if isinstance(reply, Exception):
            self._end(call, getattr(reply, "code", type(reply).__name__))
            raise reply
        self._end(call, "answered")
        return reply

    def _arrive(
        self, call: Exchange, answered: asyncio.Future[Any], serve: Serve, in_words: Callable[[str], Any]
    ) -> None:
        match call.fault:
            case "refused" | "reset":
                self._answer(answered, Unreachable("ConnectionError", f"{call.operation}: {call.fault}"))
            case "throttled" | "failed":
                self._answer(answered, in_words(call.fault))
            case "silent":
                pass
            case "mute":
                serve(call, lambda _reply: None)
            case "lost":
                lost = Unreachable("ConnectionReset", f"{call.operation}: reset")
                serve(call, lambda _reply: self._later(self._way(""), self._answer, answered, lost))
            case _:
                serve(call, lambda reply: self._later(self._way(call.fault), self._answer, answered, reply))

    def _way(self, fault: str) -> float:
        return self.rng.uniform(0.2, 8.0) if fault == "slow" else self.rng.expovariate(1 / self.latency)

    def _later(self, delay: float, callback: Callable[..., None], *args: Any) -> None:
        self.loop.call_later(delay, callback, *args, context=self.outside)

    @staticmethod
    def _answer(answered: asyncio.Future[Any], reply: Any) -> None:
        # Exceptions travel as values: a reply that nobody waits for any more is no error.
        if not answered.done():
            answered.set_result(reply)

    def _end(self, call: Exchange, saw: str) -> None:
        if not call.caller.process.alive:
            return
        call.ended, call.saw = self.loop.time(), saw
        if saw != "answered":
            self.history.say(call.ended, call.caller, call.operation, "->", saw)
