"""What the tests of this folder share: a scripted function and feed, and what a lane works with."""

import asyncio
from collections.abc import Callable, Sequence

from outboard.core.batcher import BatchLimits
from outboard.core.delivery import OnFailure, Policy
from outboard.core.outcome import Outcome, Succeeded
from outboard.core.ports import Lane, Lanes, Source
from outboard.core.records import DropReason, Envelope, Record
from outboard.runtime.gate import Gate
from outboard.runtime.lane import Work
from outboard.runtime.mapping import MappingRun
from tests.unit.observe.stage import Stage

#: The envelope of test batches: a payload reads as the records' identifiers, joined by commas.
BARE = Envelope(b"", b"")


def record(identifier: str, key: str = "", timestamp: float = 0.0) -> Record:
    """A record whose event is its identifier."""
    return Record(identifier, identifier.encode(), timestamp, key)


def records(identifiers: str, key: str = "") -> list[Record]:
    """Records named by words."""
    return [record(identifier, key) for identifier in identifiers.split()]


def names(of: Sequence[Record]) -> str:
    return " ".join(str(record.identifier) for record in of)


class ScriptedFunction:
    """Answers with `answers` one by one, then with success; each after `seconds`."""

    def __init__(self, *answers: Outcome, seconds: float = 0.0) -> None:
        self.answers = list(answers)
        self.seconds = seconds
        self.invokes: list[tuple[float, str]] = []
        self.traces: list[str | None] = []
        self.under_way = 0
        self.most_under_way = 0

    @property
    def payloads(self) -> list[str]:
        return [payload for _, payload in self.invokes]

    async def invoke(self, payload: bytes, trace: str | None) -> Outcome:
        self.invokes.append((asyncio.get_running_loop().time(), payload.decode()))
        self.traces.append(trace)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.under_way -= 1
        return self.answers.pop(0) if self.answers else Succeeded(b"")


class ScriptedFeed:
    """Each read brings the next page; None ends it. After the last page a read waits until `until` or the stop."""

    def __init__(self, *pages: Sequence[Record] | Exception | None, pause: float = 0.0) -> None:
        self.pages = list(pages)
        self.pause = pause
        self.said: list[str] = []
        self.lost: set[str] = set()
        self.reads: list[tuple[int, float | None]] = []
        self.blocks = 0
        self._stopped = asyncio.Event()

    async def read(self, limit: int, until: float | None) -> Sequence[Record] | None:
        self.reads.append((limit, until))
        if self._stopped.is_set():
            return None
        if self.pages:
            await asyncio.sleep(self.pause)
            page = self.pages.pop(0)
            if isinstance(page, Exception):
                raise page
            return page
        try:
            async with asyncio.timeout_at(until):
                await self._stopped.wait()
        except TimeoutError:
            return ()
        return None

    async def settle(self, delivered: Sequence[Record], returned: Sequence[Record]) -> None:
        if delivered:
            self.said.append(f"delivered {names(delivered)}")
        if returned:
            self.said.append(f"returned {names(returned)}")

    def lapsed(self, records: Sequence[Record]) -> Sequence[Record]:
        return [record for record in records if str(record.identifier) in self.lost]

    async def give_up(self, records: Sequence[Record], reason: DropReason) -> None:
        self.said.append(f"gave up {names(records)}: {reason.value}")

    async def release(self, records: Sequence[Record]) -> None:
        self.said.append(f"released {names(records)}")

    def blocked(self, records: Sequence[Record]) -> None:
        self.blocks += 1

    def stop(self) -> None:
        self._stopped.set()


def work_of(
    stage: Stage,
    function: ScriptedFunction,
    *,
    limits: BatchLimits | None = None,
    policy: Policy | None = None,
    concurrency: int = 10,
    trace: Callable[[Sequence[Record]], str | None] = lambda _: None,
) -> Work:
    """What a lane works with; the jitter is none, so that waits are the shortest possible."""
    return Work(
        function=function,
        limits=limits or BatchLimits(10, envelope=BARE),
        policy=policy or Policy(OnFailure.RETURN),
        gate=Gate(concurrency, stage.observer.concurrency),
        observer=stage.observer,
        trace=trace,
        wall=stage.clock,
        jitter=lambda: 0.0,
    )


class OneLane:
    """A source with a lane for each of its feeds, from the start to the end."""

    def __init__(self, *feeds: ScriptedFeed) -> None:
        self._feeds = feeds
        self._lanes: list[Lane] = []
        self._stopped = asyncio.Event()

    async def run(self, lanes: Lanes) -> None:
        self._lanes = [lanes.open(f"lane-{number}", feed) for number, feed in enumerate(self._feeds)]
        await self._stopped.wait()
        for lane in self._lanes:
            await lane.ended()

    def stop(self) -> None:
        self._stopped.set()
        for lane in self._lanes:
            lane.stop()


class Sources:
    """Builds one source after the other, the last one again and again; notes when."""

    def __init__(self, *sources: Source | Exception) -> None:
        self._sources: list[Source | Exception] = list(sources)
        self.built: list[float] = []

    def __call__(self) -> Source:
        self.built.append(round(asyncio.get_running_loop().time() - 1000.0, 3))
        source = self._sources.pop(0) if len(self._sources) > 1 else self._sources[0]
        if isinstance(source, Exception):
            raise source
        return source


def mapping_of(stage: Stage, sources: Sources, function: ScriptedFunction | None = None) -> MappingRun:
    return MappingRun("orders", sources, work_of(stage, function or ScriptedFunction()))
