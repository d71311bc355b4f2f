"""Knows the life of one mapping: its source runs, fails, is run again; its lanes live in its own task group."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from outboard.core import backoff
from outboard.core.ports import Feed, Source, SourceFailed
from outboard.core.records import Envelope
from outboard.observe.mapping import MappingObserver, MappingState
from outboard.runtime.lane import BatchLane, Work
from outboard.runtime.waiting import Stop


class OpenLanes:
    """The lanes of one run of a source."""

    def __init__(self, group: asyncio.TaskGroup, work: Work, mapping: str, saturated: Callable[[], bool]) -> None:
        self._group = group
        self._work = work
        self._mapping = mapping
        self._saturated = saturated

    @property
    def limit(self) -> int:
        return self._work.gate.limit

    @property
    def saturated(self) -> bool:
        return self._saturated()

    def hold(self) -> None:
        self._work.gate.hold()

    def go_on(self) -> None:
        self._work.gate.go_on()

    async def idle(self) -> None:
        await self._work.gate.idle()

    def open(self, name: str, feed: Feed, envelope: Envelope | None = None) -> BatchLane:
        work = self._work
        if envelope is not None:
            work = replace(work, limits=replace(work.limits, envelope=envelope))
        lane = BatchLane(name, feed, work)
        self._group.create_task(lane.run(), name=f"{self._mapping}/{name}")
        return lane


class MappingRun:
    """One mapping. `run` returns when it was stopped and has drained; nothing it does reaches another mapping."""

    def __init__(
        self, name: str, build: Callable[[], Source], work: Work, saturated: Callable[[], bool] = lambda: False
    ) -> None:
        self.name = name
        self._build = build
        self._work = work
        self._saturated = saturated
        self._stop = Stop()
        self._source: Source | None = None

    @property
    def in_flight(self) -> int:
        """Invokes under way."""
        return self._work.gate.in_use

    @property
    def _observer(self) -> MappingObserver:
        return self._work.observer

    def stop(
        self, state: MappingState = MappingState.DISABLING, why: str = "draining", *, send_what_was_read: bool = False
    ) -> None:
        """Soft stop: finish the invokes under way, hand back the rest or send it once. Until then it is in `state`."""
        self._work.ending.sends_what_was_read = send_what_was_read
        self._stop.request()
        self._observer.state(state, why)
        if self._source is not None:
            self._source.stop()

    async def run(self) -> None:
        failures = 0
        now = asyncio.get_running_loop().time
        while not self._stop.requested:
            started = now()
            failure = await self._run_source()
            if failure is None:
                continue
            failures = 1 if now() - started > 60 else failures + 1
            self._observer.source_failed(failure.error_type, failure.message)
            await self._stop.sleep(backoff.delay(failures, self._work.jitter()))
        self._observer.state(MappingState.DISABLED, "stopped")

    async def _run_source(self) -> SourceFailed | None:
        """Run the source until it is stopped or fails; a bug in it is a failure of this mapping alone."""
        failure: SourceFailed | None = None
        try:
            async with asyncio.TaskGroup() as lanes:
                self._source = self._build()
                await self._source.run(OpenLanes(lanes, self._work, self.name, self._saturated))
        except* SourceFailed as group:
            failure = _first(group)
        except* Exception as group:  # noqa: BLE001 - the other mappings go on and this one starts again
            self._observer.crashed(group)
            error = _leaf(group)
            failure = SourceFailed("InternalError", f"{type(error).__name__}: {error}; the mapping starts again")
        finally:
            self._source = None
        return failure


def _first(group: BaseExceptionGroup[SourceFailed]) -> SourceFailed:
    leaf = _leaf(group)
    assert isinstance(leaf, SourceFailed)
    return leaf


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
