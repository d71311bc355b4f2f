"""Knows what happened in a run: facts as the services and the callers saw them, for the checker and for people."""

from dataclasses import dataclass, field

from tests.simulation.loop import START, Process


@dataclass(slots=True)
class Caller:
    """Who makes a call: one mapping of one process."""

    process: Process
    mapping: str

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
    #: The messages that the call was about.
    messages: tuple[str, ...] = ()


@dataclass(slots=True)
class Handed:
    """One message, handed to one receive by the queue at `at`; until `lapses` it belongs to the receiver."""

    exchange: Exchange
    message: str
    handle: str
    at: float
    lapses: float


@dataclass(slots=True)
class Attempt:
    """One invoke. `done` is what its answer, as the caller got it, says is processed."""

    exchange: Exchange
    function: str
    batch: tuple[str, ...]
    handles: tuple[str, ...]
    size: int
    ran: bool = False
    run_ended: float | None = None
    outcome: str = ""
    done: frozenset[str] = frozenset()

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
class Produced:
    queue: str
    message: str
    group: str
    body: str
    at: float


@dataclass(slots=True)
class Life:
    """One process from start to end."""

    process: Process
    started: float
    stop_asked: float | None = None
    ended: float | None = None
    killed: float | None = None
    drain_seconds: float = 0.0
    #: The mappings that had not drained in time.
    late: list[str] = field(default_factory=list)
    #: By mapping, what the service counted.
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def over(self) -> float | None:
        return self.ended if self.killed is None else self.killed


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
    lives: list[Life] = field(default_factory=list)
    #: Requests that no service would accept.
    illegal: list[str] = field(default_factory=list)
    #: What the service logged as errors.
    errors: list[str] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)

    def hand(self, handed: Handed) -> None:
        self.handed.append(handed)
        self.by_handle[handed.handle] = handed

    def say(self, now: float, *words: object) -> None:
        """One line for people, kept only in a verbose run."""
        if self.verbose:
            self.lines.append((now, " ".join(map(str, words))))

    def text(self) -> str:
        return "\n".join(f"{at - START:10.4f}  {line}" for at, line in self.lines)
