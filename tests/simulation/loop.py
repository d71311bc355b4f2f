"""Knows virtual time: an event loop whose clock jumps to the next timer, and simulated processes that can be killed in it."""

import asyncio
import contextvars
import itertools
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

#: Loop time 0 is never used: a falsy time hides mistakes.
START = 1000.0
#: The wall clock when the loop's clock shows START: 2023-11-14T22:13:20Z.
EPOCH = 1_700_000_000.0


class Stuck(Exception):
    """Nothing can ever happen again, or things happen for ever without any time passing."""


class Process:
    """What belongs together and dies together: every task and timer started in its context."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.steps = 0
        #: What happens at which step; a step is one task or callback becoming ready to run.
        self.at_step: tuple[int, Callable[[], None]] | None = None
        self.died: Callable[[], None] = lambda: None


_process: ContextVar[Process | None] = ContextVar("process", default=None)


def running_process() -> Process | None:
    """The process that the code which asks belongs to."""
    return _process.get()


class SimulatedTask(asyncio.Task[Any]):
    """A task that knows its process, and whose place in a set does not depend on its address."""

    _numbers = itertools.count()

    def __init__(self, coro: Coroutine[Any, Any, Any], *, process: Process | None, number: int, **options: Any) -> None:
        self.process = process
        self.number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """Jumps to the next timer when nothing is ready. Same program, same seed: the same run.

    Raises `Stuck` when nothing is ready and no timer is left, after `max_steps` turns altogether, and after
    `max_turns_at_once` turns during which no time passed.
    """

    def __init__(self, *, max_steps: int = 2_000_000, max_turns_at_once: int = 100_000) -> None:
        super().__init__()
        self._selector = self
        self._clock_resolution = 1e-6
        self._now = START
        self._numbers = itertools.count()
        self._turns = 0
        self._turn_of_last_jump = 0
        self._max_steps = max_steps
        self._max_turns_at_once = max_turns_at_once
        self._graveyard: list[SimulatedTask] = []
        #: What would have been logged as an error: exceptions nobody retrieved, failed callbacks.
        self.complaints: list[str] = []
        self.set_exception_handler(VirtualTimeLoop._complain)

    def time(self) -> float:
        return self._now

    def wall_clock(self) -> float:
        """Epoch seconds of the simulated world."""
        return EPOCH + self._now - START

    def select(self, timeout: float | None) -> list[Any]:
        """What asyncio asks of its selector: here time passes instead of input being awaited."""
        self._turns += 1
        if timeout is None:
            raise Stuck(f"at {self._now - START:.3f} s: nothing is ready and no timer is set")
        if self._turns > self._max_steps:
            raise Stuck(f"at {self._now - START:.3f} s: {self._turns} turns of the loop and no end")
        if timeout > 0:
            self._now += timeout
            self._turn_of_last_jump = self._turns
        elif self._turns - self._turn_of_last_jump > self._max_turns_at_once:
            raise Stuck(f"at {self._now - START:.3f} s: {self._max_turns_at_once} turns of the loop in no time")
        return []

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        context = contextvars.copy_context() if context is None else context
        process = context.get(_process)
        if process is not None:
            if not process.alive:
                handle = asyncio.Handle(callback, args, self, context)
                handle.cancel()
                return handle
            process.steps += 1
            if process.at_step is not None and process.steps == process.at_step[0]:
                process.at_step[1]()
        handle = super().call_soon(callback, *args, context=context)
        if process is not None and not process.alive:
            handle.cancel()
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        context = contextvars.copy_context() if context is None else context
        timer = super().call_at(when, callback, *args, context=context)
        process = context.get(_process)
        if process is not None and not process.alive:
            timer.cancel()
        return timer

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **options: Any
    ) -> SimulatedTask:
        process = _process.get() if context is None else context.get(_process)
        task = SimulatedTask(
            coro, process=process, number=next(self._numbers), loop=self, name=name, context=context, **options
        )
        if process is not None and not process.alive:
            self._bury(task)
        return task

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        raise NotImplementedError("threads have no place in virtual time")

    def spawn(self, process: Process | None, coro: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Start a task that belongs to `process`, and with it everything which that task starts."""
        context = contextvars.copy_context()
        context.run(_process.set, process)
        return self.create_task(coro, name=name, context=context)

    def outside(self) -> Context:
        """A context that belongs to no process: what runs in it survives every kill."""
        context = contextvars.copy_context()
        context.run(_process.set, None)
        return context

    def kill(self, process: Process) -> None:
        """`kill -9`: none of its tasks runs again, not even to clean up."""
        if not process.alive:
            return
        process.alive = False
        for handle in (*self._ready, *self._scheduled):
            if handle._context is not None and handle._context.get(_process) is process:
                handle.cancel()
        for task in asyncio.all_tasks(self):
            if isinstance(task, SimulatedTask) and task.process is process:
                self._bury(task)
        process.died()

    def abandon(self) -> list[str]:
        """Give up every task there is, outside the loop; returns the names of those that belonged to no dead process."""
        left = [task for task in asyncio.all_tasks(self) if isinstance(task, SimulatedTask)]
        for task in left:
            self._bury(task)
        for handle in (*self._ready, *self._scheduled):
            handle.cancel()
        return sorted(task.get_name() for task in left)

    def close(self) -> None:
        if self.is_closed():
            return
        super().close()
        for task in self._graveyard:
            _lay_to_rest(task)
        self._graveyard.clear()

    def _bury(self, task: SimulatedTask) -> None:
        # Kept, since collecting a suspended coroutine would run its `finally` blocks; unregistered, since the end of
        # the run waits for every task that asyncio knows.
        self._graveyard.append(task)
        asyncio.tasks._unregister_task(task)

    def _complain(self, context: dict[str, Any]) -> None:
        exception = context.get("exception")
        self.complaints.append(f"{context['message']}: {exception!r}" if exception else context["message"])

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in a system call."""


def _lay_to_rest(task: SimulatedTask) -> None:
    task._log_destroy_pending = False
    coro = task.get_coro()
    # Each close() goes on to the next `await` of a `finally` block.
    for _ in range(100):
        try:
            coro.close()
        except BaseException:  # noqa: BLE001 - what a dead process still wanted to say is of no interest
            continue
        return


def run(main: Callable[[VirtualTimeLoop], Coroutine[Any, Any, T]], **limits: int) -> T:
    """Run `main(loop)` in virtual time. Raises `Stuck`, and `AssertionError` if errors were left unretrieved."""
    loop = VirtualTimeLoop(**limits)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main(loop))
    assert not loop.complaints, loop.complaints
    return result
