"""Knows the lives of processes, and of each mapping in them, which ends earlier when a reload changes it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.loop import Process

if TYPE_CHECKING:
    from tests.simulation.history import Caller, Dropped
    from tests.simulation.plans import MappingPlan

#: Seconds that a dropped mapping has for leaving its group after its last invoke.
_LEAVING = 20.0


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


@dataclass(slots=True, eq=False)
class Incarnation:
    """A mapping in one process as one configuration has it.

    `plan`: what is to be done then, None if it was begun though nobody wanted it. `dropped`: when a reload changed or
    removed it; `gone`: when it had ended then, having counted `counts`.
    """

    process: Process
    mapping: str
    plan: "MappingPlan | None"
    began: float
    dropped: float | None = None
    gone: float | None = None
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Stretch:
    """The life of an incarnation: it ends by a reload, or with its process."""

    incarnation: Incarnation
    life: Life

    def owns(self, doing: "Caller | Dropped") -> bool:
        return doing.incarnation is self.incarnation

    @property
    def process(self) -> Process:
        return self.life.process

    @property
    def mapping(self) -> str:
        return self.incarnation.mapping

    @property
    def stop_asked(self) -> float | None:
        return self.life.stop_asked if self.incarnation.dropped is None else self.incarnation.dropped

    @property
    def ended(self) -> float | None:
        return self.life.ended if self.incarnation.gone is None else self.incarnation.gone

    @property
    def reloaded(self) -> bool:
        """Whether a reload ended it, and its process went on."""
        return self.incarnation.gone is not None and self.incarnation.gone != self.life.ended

    @property
    def killed(self) -> float | None:
        return self.life.killed if self.incarnation.gone is None else None

    @property
    def over(self) -> float | None:
        return self.ended if self.killed is None else self.killed

    @property
    def allowed(self) -> float:
        """Seconds for which a mapping that a reload dropped may drain."""
        plan = self.incarnation.plan
        return self.life.drain_seconds + _LEAVING + (plan.invoke_timeout if plan is not None else 0.0)

    @property
    def late(self) -> bool:
        """Whether it had not drained in time."""
        dropped, gone, life = self.incarnation.dropped, self.incarnation.gone, self.life
        if dropped is not None and gone is not None and gone >= dropped + self.allowed - 0.001:
            return True
        if self.mapping not in life.late or life.stop_asked is None:
            return False
        return gone is None or gone >= life.stop_asked + life.drain_seconds - 0.001

    @property
    def counts(self) -> dict[str, int]:
        """What the service counted; empty if nobody knows."""
        if self.incarnation.gone is not None:
            return self.incarnation.counts
        return self.life.counts.get(self.mapping, {}) if self.incarnation.dropped is None else {}

    def __str__(self) -> str:
        return self.process.name if self.incarnation.dropped is None else f"{self.process.name}/{self.mapping}"
