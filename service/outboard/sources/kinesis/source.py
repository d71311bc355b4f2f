"""Knows how a Kinesis mapping runs: looks at its stream, keeps a lane for each shard that may be read."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from outboard.aws.calls import CallFailed
from outboard.core import backoff
from outboard.core.ports import Allowance, Checkpoints, Feed, Lane, Lanes, SourceFailed
from outboard.core.price import Price
from outboard.core.shards import End, Lineage, Position, Shard, read, written
from outboard.events.kinesis import StreamFacts
from outboard.observe.mapping import MappingObserver, MappingState
from outboard.sources.holdings import Holdings
from outboard.sources.interruption import Interruption
from outboard.sources.kinesis.desk import LARGEST_PAGE, ShardDesk
from outboard.sources.kinesis.feed import ShardFeed
from outboard.sources.kinesis.stream import KinesisStream, StreamDescription, with_remedy

#: Seconds between two looks at the stream's shards.
_LOOK_EVERY = 60.0

#: Pages full of records on their way at once, at most: each is in memory several times until it is rendered. More than
#: one, so that one that hangs does not hold up all shards, where there is memory for what both may bring at worst.
_READS = 2

#: Seconds between two looks while a shard has ended whose children are not listed yet.
_LOOK_AGAIN = 2.0

#: Seconds between two looks at least: an account has 20 descriptions a second for all its streams.
_LOOK_PAUSE = 0.5

#: Seconds before the end of its retention from which on a record's predecessors may have expired.
_ABOUT_TO_EXPIRE = 60.0

#: Under this shard of the stream's plain ARN stands where the mapping started.
_START = ""


@dataclass(frozen=True, slots=True)
class KinesisSettings:
    """What a Kinesis source needs beside its stream.

    Attributes:
        uuid: the mapping's, under which its positions are kept.
        start: where to start, as of now; what was stored at the mapping's first start wins.
        identity: the ARN that events name as the one that invokes.
        memory: bytes that all mappings together may hold.
        latest: whether `start` is the moment of the first start.
    """

    uuid: str
    start: Callable[[], Position]
    identity: Callable[[], Awaitable[str]]
    region: str
    checkpoints: Checkpoints
    allowance: Allowance
    observer: MappingObserver
    wall: Callable[[], float]
    jitter: Callable[[], float]
    memory: int
    latest: bool = False


class KinesisSource:
    """The source of one Kinesis mapping. `feed` makes a shard's feed."""

    def __init__(
        self,
        stream: KinesisStream,
        settings: KinesisSettings,
        feed: Callable[[ShardDesk, str, Position], Feed] = ShardFeed,
    ) -> None:
        self._stream = stream
        self._settings = settings
        self._make_feed = feed
        self._open: dict[str, Lane] = {}
        self._interruption = Interruption()
        self._attention = asyncio.Event()
        self._now = asyncio.get_running_loop().time
        self._looked = self._now()
        self._childless: dict[str, float] = {}  # shards that have ended, and until when their children are looked for
        self._failures = 0
        self._has_news = False  # where shards begin, which must be durable before they are read

    def stop(self) -> None:
        self._interruption.request()
        for lane in self._open.values():
            lane.stop()

    async def run(self, lanes: Lanes) -> None:
        settings = self._settings
        settings.allowance.give_back(settings.allowance.used)  # what an earlier run that crashed has left behind
        if not await self._interruption.done(self._begin):
            return
        settings.observer.state(MappingState.ENABLED, "")
        self._lanes = lanes
        async with asyncio.TaskGroup() as self._tasks:
            try:
                self._open_ready()
                while await self._interruption.done(self._wait) and await self._interruption.done(self._look):
                    self._open_ready()
            except SourceFailed as failure:
                # Said at once: the lanes may take as long as an invoke to end.
                settings.observer.polling_failed(failure.error_type, failure.message)
                await self._drain()
                raise
            await self._drain()

    async def _begin(self) -> None:
        """Find out where every shard is to be read from; that is durable before the first of them is read."""
        settings, stream = self._settings, self._stream
        try:
            facts = StreamFacts(stream.arn, settings.region, await settings.identity())
            start = await self._start()
            self._description = await stream.describe()
            _ensure_readable(self._description)
            self._stream_key = f"{stream.arn}@{self._description.created!r}"
            texts = await settings.checkpoints.load(settings.uuid, self._stream_key)
            known = {shard: _stored(text) for shard, text in texts.items()}
            if self._may_correct(start, known):
                start = self._correct(known)
            self._lineage = Lineage(known, start)
            self._list(await stream.shards())
        except CallFailed as failure:
            raise SourceFailed(failure.code, with_remedy(failure)) from None
        settings.observer.polled(0, 0, 0.0)
        if self._has_news:  # else a full disk, which stops nobody, would stop a mapping that begins again
            await settings.checkpoints.saved()
        reads = asyncio.Semaphore(max(1, min(_READS, settings.memory // (2 * LARGEST_PAGE))))
        self._desk = ShardDesk(
            stream=stream,
            facts=facts,
            journal=self,
            holdings=Holdings(settings.allowance, settings.observer),
            price=Price(),
            reads=reads,
            observer=settings.observer,
            jitter=settings.jitter,
            latest=settings.latest,
        )

    async def _start(self) -> Position:
        """Where the mapping started for the first time: LATEST is that moment, whatever happens later."""
        checkpoints, uuid, stream = self._settings.checkpoints, self._settings.uuid, self._stream.arn
        stored = (await checkpoints.load(uuid, stream)).get(_START)
        self._has_news = stored is not None and not checkpoints.is_saved(uuid, stream)
        if stored is not None:
            return _stored(stored)
        start = self._settings.start()
        checkpoints.save(uuid, stream, {_START: written(start)})
        await checkpoints.saved()
        return start

    def _may_correct(self, stored: Position, known: Mapping[str, Position]) -> bool:
        """A start that was configured wrongly can be corrected as long as nothing has been settled from it."""
        untouched = all(position == stored for position in known.values())
        return untouched and not self._settings.latest and stored != self._settings.start()

    def _correct(self, known: dict[str, Position]) -> Position:
        settings, start = self._settings, self._settings.start()
        known |= dict.fromkeys(known, start)
        settings.checkpoints.save(settings.uuid, self._stream.arn, {_START: written(start)})
        settings.checkpoints.save(settings.uuid, self._stream_key, dict.fromkeys(known, written(start)))
        self._has_news = True
        return start

    def _list(self, shards: Sequence[Shard]) -> None:
        new = self._lineage.listed(shards)
        self._childless = {
            shard: until
            for shard, until in self._childless.items()
            if until > self._now() and not self._lineage.has_children(shard)
        }
        if new:
            positions = {shard: written(position) for shard, position in new.items()}
            self._settings.checkpoints.save(self._settings.uuid, self._stream_key, positions)
            self._has_news = True

    # Shards

    def _open_ready(self) -> None:
        for shard in self._lineage.open_ready():
            name = shard.identifier
            feed = self._make_feed(self._desk, name, self._lineage.position(name))
            lane = self._lanes.open(name, feed)
            self._open[name] = lane
            self._tasks.create_task(self._forget(name, lane), name=f"end of {name}")
        self._show()

    async def _forget(self, name: str, lane: Lane) -> None:
        await lane.ended()
        del self._open[name]
        self._lineage.closed(name)
        if not self._interruption.requested:
            self._open_ready()  # the children, where they are listed already
        self._show()
        self._attention.set()

    def _show(self) -> None:
        self._settings.observer.shards(len(self._open), self._lineage.waiting)

    async def _drain(self) -> None:
        self._interruption.requested = True
        for lane in self._open.values():
            lane.stop()
        while self._open:
            await next(iter(self._open.values())).ended()
            await asyncio.sleep(0)

    # The journal of the feeds

    def at(self, shard: str, position: Position) -> None:
        settings = self._settings
        settings.checkpoints.save(settings.uuid, self._stream_key, {shard: written(position)})
        self._lineage.settled(shard, position)
        if isinstance(position, End):
            self._childless[shard] = self._now() + _LOOK_EVERY

    def doubt(self) -> None:
        self._attention.set()

    def is_listed(self, shard: str) -> bool:
        return self._lineage.is_listed(shard)

    def is_open(self, shard: str) -> bool:
        return self._lineage.is_open(shard)

    def expires(self, arrived: float) -> bool:
        return self._settings.wall() - arrived > self._description.retention_hours * 3600 - _ABOUT_TO_EXPIRE

    # Looking at the stream

    async def _wait(self) -> None:
        """Until a shard has ended, a feed is in doubt, or it is time to look again; after a look that failed, until its
        backoff is over, whatever happens.
        """
        if self._failures:
            await asyncio.sleep(backoff.delay(self._failures, self._settings.jitter()))
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN if self._childless else _LOOK_EVERY):
                    await self._attention.wait()
            await asyncio.sleep(max(0.0, self._looked + _LOOK_PAUSE - self._now()))
        self._attention.clear()

    async def _look(self) -> None:
        """List the shards anew. Raises `SourceFailed` when the stream is not the one any more that was begun with."""
        settings, stream = self._settings, self._stream
        self._looked = self._now()
        try:
            description = await stream.describe()
            _ensure_readable(description)
            if description.created != self._description.created:
                raise SourceFailed("StreamRecreated", "the stream was deleted and created anew; it is begun anew")
            self._description = description
            self._list(await stream.shards())
        except CallFailed as failure:
            if failure.code == "ResourceNotFoundException":
                raise SourceFailed(failure.code, with_remedy(failure)) from None
            self._failures += 1
            settings.observer.polling_failed(failure.code, with_remedy(failure))
            return
        self._failures = 0
        settings.observer.polled(0, 0, 0.0)


def _ensure_readable(stream: StreamDescription) -> None:
    if stream.status == "CREATING":
        raise SourceFailed("StreamCreating", "the stream is being created; it is read as soon as it is active")
    if stream.status == "DELETING":
        raise SourceFailed("StreamDeleting", "the stream is being deleted; create it anew or remove the mapping")


def _stored(text: str) -> Position:
    try:
        return read(text)
    except ValueError as error:
        message = f"{error}; it was not written by this version: correct it, or give the mapping another UUID"
        raise SourceFailed("UnreadablePosition", message) from None
