"""Knows the service as a whole, without its process: the mappings of a configuration, exchanging it, its status."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from outboard.assembly import Connections, Surroundings, Workshop
from outboard.config.arns import SourceType
from outboard.config.changes import changes, drain_timeout, misplaced, needs_state, restart_needed
from outboard.config.loading import Loaded
from outboard.config.models import Configuration, State
from outboard.core.ports import Checkpoints
from outboard.fleet import Fleet
from outboard.observe.mapping import MappingFacts, MappingObserver
from outboard.observe.metrics import Metrics
from outboard.observe.process import ProcessObserver
from outboard.observe.trouble import iso
from outboard.runtime.budget import ByteBudget
from outboard.runtime.supervisor import Supervisor

__all__ = ["Connections", "Outboard", "Surroundings"]

#: Seconds for the last positions to become durable once all mappings have drained.
_LAST_SAVE = 5.0

#: Above this average lag of the event loop, in seconds, no mapping gets more lanes.
_SATURATED = 0.05


@dataclass(slots=True)
class Outboard:
    """The service without its port and its signals: every mapping of a configuration, and what is to be seen of it."""

    loaded: Loaded
    connections: Connections
    metrics: Metrics
    process: ProcessObserver
    surroundings: Surroundings = field(default_factory=Surroundings)
    draining: bool = field(init=False, default=False)
    last_reload: Mapping[str, object] | None = field(init=False, default=None)
    _started: Configuration = field(init=False)
    _fleet: Fleet = field(init=False)
    _supervisor: Supervisor = field(init=False)
    _state_is_open: bool = field(init=False, default=False)
    _listening: bool = field(init=False, default=False)
    _draining_since: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._started = configuration = self._configuration
        memory = configuration.limits.maximum_buffered_bytes
        self.process.buffer_limit(memory)
        budget = ByteBudget(memory)
        workshop = Workshop(
            self.connections, self.surroundings, budget, memory, lambda: self.process.lag > _SATURATED, self._topics
        )
        self._supervisor = Supervisor(configuration.shutdown.drain_timeout_seconds)
        self._fleet = Fleet(workshop, self._supervisor, self._observer)
        self._state_is_open = needs_state(configuration)
        self._fleet.start(configuration, self.loaded.failed)

    @property
    def _configuration(self) -> Configuration:
        assert self.loaded.configuration is not None
        return self.loaded.configuration

    def _topics(self) -> int:
        mappings = self._configuration.event_source_mappings
        return sum(mapping.enabled and mapping.source_type is SourceType.KAFKA for mapping in mappings)

    @property
    def stateful(self) -> Iterable[MappingObserver]:
        """The observers of the mappings whose positions are kept in State."""
        return self._fleet.stateful

    def stop(self, why: str) -> None:
        """Drain: finish the invokes under way, hand back the rest."""
        self.draining = True
        self._draining_since = self.surroundings.wall()
        self._supervisor.stop()
        self.process.draining(why)

    async def run(self) -> Mapping[str, int]:
        """Until `stop`. Returns the mappings that had not drained in time, and how many invokes each had under way."""
        try:
            unfinished = await self._supervisor.run()
            await self._save()
        finally:
            await self.connections.close()
        seconds = self.surroundings.wall() - self._draining_since
        if unfinished:
            self.process.drain_timed_out(seconds, sum(unfinished.values()))
        else:
            self.process.drained(seconds, self._fleet.handed_back_events)
        return unfinished

    async def _save(self) -> None:
        """What was settled last becomes durable; a disk that is full does not hold up the exit."""
        left = self._draining_since + self._supervisor.drain_timeout - self.surroundings.wall()
        try:
            async with asyncio.timeout(max(0.0, min(_LAST_SAVE, left))):
                await self.surroundings.checkpoints.saved()
        except TimeoutError:
            pass  # the state says so, as it has since it failed

    def listening(self) -> None:
        self._listening = True

    # Reloading

    def missing_state(self, loaded: Loaded) -> State | None:
        """The State that must be opened before `reload`, which is told of it by `keep_positions`."""
        configuration = loaded.configuration
        if self._state_is_open or configuration is None or loaded.problems or not needs_state(configuration):
            return None
        return configuration.state

    def keep_positions(self, checkpoints: Checkpoints, state: State) -> None:
        """Where positions are kept from now on, as if since the start: no mapping has kept any until now."""
        self._started = self._started.model_copy(update={"state": state})
        self.surroundings = replace(self.surroundings, checkpoints=checkpoints)
        self._fleet.workshop = replace(self._fleet.workshop, surroundings=self.surroundings)
        self._state_is_open = True

    def reload(self, loaded: Loaded) -> bool:
        """Put another configuration in force, all of it; one with any problem is refused, and nothing changes.

        A mapping that could not be begun is tried again, changed or not.
        """
        if self.draining:
            return False
        configuration = loaded.configuration
        if configuration is None or loaded.problems:
            return self.refuse([str(problem) for problem in loaded.problems])
        planned = changes(self._configuration, configuration)
        planned = replace(planned, changed=(*planned.changed, *self._fleet.never_begun(planned)))
        is_open = self._state_is_open
        if wrong := misplaced(self._started, configuration, planned, state_is_open=is_open):
            return self.refuse(wrong)
        later = restart_needed(self._started, configuration, state_is_open=is_open)
        self._supervisor.drain_timeout = drain_timeout(self._started, configuration)
        self._fleet.take(planned, configuration)
        self.loaded = loaded
        counts = {"added": len(planned.added), "removed": len(planned.removed), "changed": len(planned.changed)}
        self.process.config_reloaded(loaded.content_hash, **counts)
        self.process.restart_required(later)
        self._reloaded(later=later)
        return True

    def refuse(self, problems: Sequence[str]) -> bool:
        """Say why the newest configuration is not taken; the one in force stays. Always False."""
        self.process.config_refused(problems)
        self._reloaded(problems=problems)
        return False

    def _reloaded(self, *, problems: Sequence[str] = (), later: Sequence[str] = ()) -> None:
        self.last_reload = {
            "at": iso(self.surroundings.wall()),
            "successful": not problems,
            "problems": list(problems),
            "restartNeeded": list(later),
        }

    # The status board

    @property
    def config_hash(self) -> str:
        return self.loaded.content_hash

    def ready(self) -> tuple[bool, Sequence[str]]:
        reasons = []
        if not self._listening:
            reasons.append("the status port is not open yet")
        if self.draining:
            reasons.append("the service is draining")
        return not reasons, reasons

    def mappings(self) -> Sequence[Mapping[str, object]]:
        return self._fleet.snapshots()

    def listing(self) -> Sequence[Mapping[str, object]]:
        return self._fleet.described()

    def _observer(self, facts: MappingFacts) -> MappingObserver:
        return MappingObserver(facts, self.metrics, structlog.get_logger(), self.surroundings.wall)
