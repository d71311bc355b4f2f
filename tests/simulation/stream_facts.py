"""Knows one stream's mapping after a run, arranged for the questions that its promises are checked with."""

from dataclasses import dataclass, field

from tests.simulation.fates import NEVER, SHARD_END, begins, fates, saves_of
from tests.simulation.history import Attempt, Dropped, History, Saved, ShardRead
from tests.simulation.lives import Incarnation, Life, Stretch
from tests.simulation.loop import Process
from tests.simulation.places import StreamPlace
from tests.simulation.plans import MappingPlan, StreamPlan
from tests.simulation.stream import Entry, Shard


@dataclass(slots=True)
class StreamFacts:
    """What happened to one stream. `history` is of its mapping alone.

    Attributes:
        start: the moment from which on records are the mapping's.
        over: when a record met its fate, by identifier.
        safe: by shard, for each number of entries when so many of the first ones, as far as they are the mapping's, had
            met their fates.
        before_key: when the earlier ones of its partition key had, whatever their shards; by identifier.
    """

    place: StreamPlace
    history: History
    start: float = field(init=False)
    over: dict[str, float] = field(init=False)
    safe: dict[Shard, list[float]] = field(init=False)
    before_key: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        self.start = begins(self.place, self.history, self.place.skew)
        self.over = fates(self.place, self.history)
        shards = self.place.stream.every_shard()
        self.safe = {shard: self._running(shard.entries) for shard in shards}
        self.before_key = {}
        by_key: dict[str, list[Entry]] = {}
        for entry in self.place.stream.ever.values():
            by_key.setdefault(entry.key, []).append(entry)
        for entries in by_key.values():
            self.before_key |= zip((entry.id for entry in entries), self._running(entries), strict=False)

    def _running(self, entries: list[Entry]) -> list[float]:
        """By number of entries: when so many of the first ones had met their fates."""
        moments = [-NEVER]
        for entry in entries:
            met = self.over.get(entry.id, NEVER) if entry.arrived >= self.start else -NEVER
            moments.append(max(moments[-1], met))
        return moments

    @property
    def name(self) -> str:
        return self.place.plan.name

    def entries(self, attempt: Attempt) -> list[Entry]:
        return [self.place.stream.ever[identifier] for identifier in attempt.batch]

    def life_of(self, process: Process) -> Life:
        return next(life for life in self.history.lives if life.process is process)

    @property
    def stretches(self) -> list[Stretch]:
        return self.history.stretches(self.name)

    def attempts_of(self, life: Stretch) -> list[Attempt]:
        return [one for one in self.history.attempts if life.owns(one.exchange.caller)]

    def reads_of(self, life: Stretch) -> list[ShardRead]:
        """The pages that it got."""
        return [read for read in self.history.reads if life.owns(read.exchange.caller) and read.exchange.answered]

    def plan_of(self, own: Incarnation | None) -> MappingPlan:
        """The mapping as it was for whoever did something."""
        return own.plan if own is not None and own.plan is not None else self.place.plan

    def source_for(self, dropped: Dropped) -> StreamPlan:
        """The limits under which records were given up."""
        source = self.plan_of(dropped.incarnation).source
        assert isinstance(source, StreamPlan)
        return source

    def saves(self, shard: Shard) -> list[Saved]:
        return list(saves_of(shard, self.place, self.history))

    def shard_of(self, saved: Saved) -> Shard | None:
        created = saved.stream.rpartition("@")[2]
        for shard in self.place.stream.every_shard():
            if shard.id == saved.shard and created == repr(shard.stream_created):
                return shard
        return None

    def reaches(self, saved: Saved, shard: Shard) -> int | None:
        """How many entries of its shard a saved position is behind; None if it is no entry's."""
        if saved.position == SHARD_END:
            return len(shard.entries)
        if not saved.position.isdigit():
            return 0
        for entry in shard.entries:
            if str(entry.sequence) == saved.position:
                return entry.index + 1
        return None


def drained(life: Stretch) -> bool:
    """Whether the mapping was asked to stop and did all that it had to do before it ended."""
    return life.stop_asked is not None and life.ended is not None and not life.late
