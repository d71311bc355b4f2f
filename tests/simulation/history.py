"""Knows what happened in a run: facts as the services and the callers saw them, for the checker and for people."""

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.lives import Incarnation, Life, Stretch
from tests.simulation.loop import START, Process
from tests.simulation.stream import Shard

if TYPE_CHECKING:
    from tests.simulation.plans import MappingPlan


@dataclass(slots=True)
class Caller:
    """Who makes a call: one mapping of one process, as one configuration has it."""

    process: Process
    mapping: str
    incarnation: Incarnation | None = None

    @property
    def plan(self) -> "MappingPlan | None":
        """The mapping as it is for this caller."""
        return self.incarnation.plan if self.incarnation is not None else None

    def __str__(self) -> str:
        return f"{self.process.name}/{self.mapping}"


@dataclass(slots=True)
class Exchange:
    """One call. `fault` is what the simulation did to it; `ended` is None until the caller has its answer."""

    caller: Caller
    operation: str
    started: float
    fault: str = ""
    ended: float | None = None
    #: "answered", an exception's code, "cut off" (cancelled by the caller); empty while under way or when the caller died.
    saw: str = ""
    #: The messages or records that the call was about, and the shard.
    messages: tuple[str, ...] = ()
    shard: str = ""

    @property
    def answered(self) -> bool:
        return self.saw == "answered"


@dataclass(slots=True)
class Handed:
    """One message, handed to one receive by the queue at `at`; until `lapses` it belongs to the receiver."""

    exchange: Exchange
    message: str
    handle: str
    at: float
    lapses: float


@dataclass(slots=True)
class ShardRead:
    """One page of a shard, from its entry `first` on. `behind`: there is more; `over`: it said that there never will be."""

    exchange: Exchange
    shard: Shard
    first: int
    count: int
    behind: bool
    over: bool


@dataclass(slots=True)
class Attempt:
    """One invoke. `done` is what its answer, as the caller got it, says is processed.

    `handles` is what the source knows the batch by: receipt handles, or the sequence numbers of one `shard`. `failed`:
    the function had it, as far as the caller can know, and nothing was done.
    """

    exchange: Exchange
    function: str
    batch: tuple[str, ...]
    handles: tuple[str, ...]
    size: int
    shard: str = ""
    ran: bool = False
    run_ended: float | None = None
    outcome: str = ""
    done: frozenset[str] = frozenset()
    failed: bool = False

    @property
    def identifiers(self) -> tuple[str, ...]:
        """What the function reports the batch's records by."""
        return self.handles if self.shard else self.batch

    @property
    def started(self) -> float:
        return self.exchange.started

    @property
    def ended(self) -> float | None:
        return self.exchange.ended


@dataclass(slots=True)
class Deleted:
    """A message that a caller's delete removed from its queue."""

    caller: Caller
    queue: str
    message: str
    at: float


@dataclass(slots=True)
class Saved:
    """One shard's position, given to the checkpoints of a process at `at`; `durable` is when it was on the disk."""

    process: Process
    mapping: str
    stream: str
    shard: str
    position: str
    at: float
    durable: float | None = None


@dataclass(slots=True)
class Committed:
    """One partition's offset, as a group took it on at `at`; `start`: where it begins."""

    caller: Caller
    partition: int
    offset: int
    before: int | None
    at: float
    start: bool


@dataclass(slots=True)
class Ownership:
    """What a consumer was told is its own, from `since` until it was `asked` for it; `until`: when it had let go."""

    caller: Caller
    partitions: frozenset[int]
    generation: int
    since: float
    asked: float | None = None
    until: float | None = None


@dataclass(slots=True)
class Taken:
    """So many records of a partition, taken from a consumer at once."""

    caller: Caller
    partition: int
    count: int


@dataclass(slots=True)
class Dropped:
    """Records that the service says it gave up, as its log has it: by their positions in a lane."""

    process: Process | None
    mapping: str
    lane: str
    reason: str
    positions: str
    events: int
    invokes: int
    at: float
    incarnation: Incarnation | None = None


@dataclass(slots=True)
class Produced:
    """One message or record: `source` is its queue or stream, `group` its message group or partition key."""

    source: str
    message: str
    group: str
    body: str
    at: float


@dataclass(slots=True)
class History:
    verbose: bool = False
    #: What is heard after the end comes from tasks that are being laid to rest.
    over: bool = False
    produced: dict[str, Produced] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    by_handle: dict[str, Handed] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    deleted: list[Deleted] = field(default_factory=list)
    reads: list[ShardRead] = field(default_factory=list)
    saves: list[Saved] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    commits: list[Committed] = field(default_factory=list)
    ownerships: list[Ownership] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    #: When a group went on without one of its members, and without whom.
    evictions: list[tuple[float, Caller]] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    #: The mappings as they began, in that order.
    incarnations: list[Incarnation] = field(default_factory=list)
    #: What reloads did that they should not have done.
    misled: list[str] = field(default_factory=list)
    #: Requests that no service would accept.
    illegal: list[str] = field(default_factory=list)
    #: What the service logged as errors.
    errors: list[str] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)

    def of(self, mappings: Collection[str]) -> "History":
        """What concerns these mappings; their processes' lives and what was illegal or an error are everybody's."""
        return dataclasses.replace(
            self,
            exchanges=[one for one in self.exchanges if one.caller.mapping in mappings],
            handed=[one for one in self.handed if one.exchange.caller.mapping in mappings],
            attempts=[one for one in self.attempts if one.exchange.caller.mapping in mappings],
            reads=[one for one in self.reads if one.exchange.caller.mapping in mappings],
            saves=[one for one in self.saves if one.mapping in mappings],
            dropped=[one for one in self.dropped if one.mapping in mappings],
            commits=[one for one in self.commits if one.caller.mapping in mappings],
            ownerships=[one for one in self.ownerships if one.caller.mapping in mappings],
            taken=[one for one in self.taken if one.caller.mapping in mappings],
            incarnations=[one for one in self.incarnations if one.mapping in mappings],
            evictions=[one for one in self.evictions if one[1].mapping in mappings],
        )

    def stretches(self, mapping: str) -> list[Stretch]:
        """The mapping's time in each process, from one reload that concerns it to the next."""
        lives = {life.process: life for life in self.lives}
        return [Stretch(one, lives[one.process]) for one in self.incarnations if one.mapping == mapping]

    def newest(self, process: Process | None, mapping: str) -> Incarnation | None:
        """The mapping as it began last in a process."""
        own = (one for one in reversed(self.incarnations) if one.process is process and one.mapping == mapping)
        return next(own, None)

    def stretches_of_all(self) -> Iterator[Stretch]:
        for mapping in dict.fromkeys(one.mapping for one in self.incarnations):
            yield from self.stretches(mapping)

    def hand(self, handed: Handed) -> None:
        self.handed.append(handed)
        self.by_handle[handed.handle] = handed

    def say(self, now: float, *words: object) -> None:
        """One line for people, kept only in a verbose run."""
        if self.verbose:
            self.lines.append((now, " ".join(map(str, words))))

    def text(self) -> str:
        return "\n".join(f"{at - START:10.4f}  {line}" for at, line in self.lines)
