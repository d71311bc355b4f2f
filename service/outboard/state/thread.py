"""Knows one thread in which everything that blocks is done, in the order of asking."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class BlockingThread:
    """A daemon, unlike an executor's threads: one that a broken disk holds for ever does not keep the process alive."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises. Cancelling ends the waiting and not the call, which is made all the same."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                outcome = partial(_returned, answer, call())
            except BaseException as error:  # noqa: BLE001 - it is for whoever waits
                outcome = partial(_raised, answer, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(outcome)

        self._jobs.put(job)
        return await answer

    async def end(self, last: Callable[[], None], timeout: float) -> None:
        """Make one last call and end; waits for that for `timeout` seconds at most."""
        try:
            async with asyncio.timeout(timeout):
                await self.run(last)
        except TimeoutError:
            pass
        finally:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _returned(answer: asyncio.Future[T], result: T) -> None:
    if not answer.done():
        answer.set_result(result)


def _raised(answer: asyncio.Future[T], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
