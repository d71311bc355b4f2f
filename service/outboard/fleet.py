"""Knows the mappings of a process as its configuration has them: begins, replaces and drops them, and shows each."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from outboard.assembly import Workshop
from outboard.aws.calls import CallFailed
from outboard.config.arns import SourceType
from outboard.config.changes import Changes
from outboard.config.listing import describe
from outboard.config.loading import FailedMapping
from outboard.config.models import Configuration, EventSourceMapping
from outboard.config.support import STATEFUL
from outboard.observe.mapping import MappingFacts, MappingObserver, MappingState
from outboard.runtime.supervisor import Supervisor
from outboard.runtime.waiting import Stop

if TYPE_CHECKING:
    from outboard.runtime.mapping import MappingRun

#: Seconds more, for leaving a consumer group after the last invoke.
_LEAVING = 20.0

#: Makes what is told about a mapping; its series are exposed from then on.
Observers = Callable[[MappingFacts], MappingObserver]


class ConfiguredMapping:
    """One mapping as one configuration has it. It is shown from when nobody else has its name or its UUID."""

    def __init__(self, mapping: EventSourceMapping, workshop: Workshop, observers: Observers) -> None:
        self.mapping = mapping
        self.name = mapping.name
        self.observer: MappingObserver | None = None
        self.dropped = False
        self._workshop = workshop
        self._observers = observers
        self._created = 0.0
        self._run: MappingRun | None = None
        self._stop = Stop()
        self._bound: asyncio.Timeout | None = None
        self._going = MappingState.DISABLING, "draining"
        self._hardens: asyncio.TimerHandle | None = None
        self._dropped_at = 0.0
        self._ends: float | None = None

    @property
    def in_flight(self) -> int:
        return self._run.in_flight if self._run is not None else 0

    def holds_up(self, other: EventSourceMapping) -> bool:
        """Whether it must be gone before `other` begins. Metrics are told apart by name, positions and memory by UUID;
        and what it has under way from a source must not be read by another one meanwhile.
        """
        mine = self.mapping
        return self.dropped and (other.name == mine.name or other.uuid == mine.uuid or _source(other) == _source(mine))

    @property
    def is_idle(self) -> bool:
        """Whether it has begun and there is nothing to run."""
        return self.observer is not None and self._run is None

    def begin(self) -> None:
        """Show it, and make what runs it."""
        observer = self.observer = self._observers(_facts(self.mapping))
        self._created = self._workshop.surroundings.wall()
        if not self.mapping.enabled:
            observer.state(MappingState.DISABLED, "Enabled is false")
            return
        try:
            self._run = self._workshop.mapping_run(self.mapping, observer)
        except CallFailed as failure:
            observer.state(MappingState.FAILED, failure.message)

    def drop(self, successor: EventSourceMapping | None, drain_timeout: float) -> None:
        """Another configuration is in force, which has `successor` in its place, or nothing.

        Nobody waits for the drain but the successor, so that an invoke under way is given all its time.
        """
        self.dropped = True
        self._stop.request()
        if self._run is None:
            return
        if successor is None:
            self._going = MappingState.DELETING, "no longer in the configuration; what is under way is finished"
        elif successor.enabled:
            self._going = MappingState.UPDATING, "changed; what is under way is finished, then it starts anew"
        else:
            self._going = MappingState.DISABLING, "Enabled is false; what is under way is finished"
        # A queue counts what it hands out: given back by one process after the other, all of which take up the same
        # change, a message would become a dead letter that no function has seen.
        self._run.stop(*self._going, send_what_was_read=self.mapping.source_type is SourceType.SQS)
        loop = asyncio.get_running_loop()
        self._dropped_at = loop.time()
        self._hardens = loop.call_at(self._dropped_at + drain_timeout, self.stop)
        self._ends = self._dropped_at + self.mapping.invoke_timeout_seconds + drain_timeout + _LEAVING
        if self._bound is not None:
            self._bound.reschedule(self._ends)

    def stop(self) -> None:
        """Begin nothing more. So ends a dropped one, too, with the process or after the time to drain: whatever is
        under way then has all its time until `_ends`.
        """
        self._stop.request()
        if self._run is not None:
            self._run.stop(*self._going)

    async def run(self) -> None:
        if self._stop.requested and self.observer is None:
            return  # dropped while it waited for its predecessor
        if self.observer is None:
            self.begin()
        try:
            async with asyncio.timeout_at(self._ends) as self._bound:
                await (self._stop.wait() if self._run is None else self._run.run())
        except TimeoutError:
            if self._bound is None or not self._bound.expired():
                raise
            assert self.observer is not None
            self.observer.cut_off(asyncio.get_running_loop().time() - self._dropped_at, self.in_flight)
        finally:
            if self.dropped:
                self._close()

    def _close(self) -> None:
        """Its series go, and its part of the memory is the others'."""
        if self._hardens is not None:
            self._hardens.cancel()
        if self.observer is not None:
            self.observer.close()
        if self._run is not None:
            self._workshop.release(self.mapping)

    def described(self) -> Mapping[str, object]:
        """In the shape of AWS's listing."""
        assert self.observer is not None
        shown = self.observer.snapshot()
        state, reason = str(shown["state"]), str(shown["stateReason"])
        return describe(self.mapping, state, reason, self._created, self.observer.last_result)


class Fleet:
    """All mappings of a process: those of the configuration in force, in its order, then those on their way out."""

    def __init__(self, workshop: Workshop, supervisor: Supervisor, observers: Observers) -> None:
        self.workshop = workshop
        self._supervisor = supervisor
        self._observers = observers
        self._members: list[ConfiguredMapping] = []
        self._failed: list[MappingObserver] = []
        self._handed_back = 0

    def start(self, configuration: Configuration, failed: Sequence[FailedMapping]) -> None:
        """Run the mappings, and show those that cannot run."""
        for mapping in configuration.event_source_mappings:
            member = self._add(mapping)
            member.begin()
        for each in failed:
            observer = self._observers(_facts_of_failed(each))
            observer.state(MappingState.FAILED, "; ".join(each.reasons))
            self._failed.append(observer)

    def take(self, planned: Changes, configuration: Configuration) -> None:
        """Put a configuration without problems in force; what it does not change is not touched."""
        for observer in self._failed:
            observer.close()
        self._failed.clear()
        self._forget_gone()
        after = {mapping.uuid: mapping for mapping in configuration.event_source_mappings}
        going = {mapping.uuid for mapping in (*planned.removed, *planned.changed)}
        for member in self._members:
            if member.mapping.uuid in going and not member.dropped:
                member.drop(after.get(member.mapping.uuid), configuration.shutdown.drain_timeout_seconds)
        for mapping in (*planned.changed, *planned.added):
            self._add(mapping)
        place = {uuid: number for number, uuid in enumerate(after)}
        self._members.sort(key=lambda it: len(place) if it.dropped else place[it.mapping.uuid])

    def never_begun(self, planned: Changes) -> list[EventSourceMapping]:
        """Mappings in force that should run and do not, and that are in none of the changes."""
        planned_for = {mapping.uuid for mapping in (*planned.removed, *planned.changed)}
        idle = (it.mapping for it in self._members if it.is_idle and not it.dropped)
        return [mapping for mapping in idle if mapping.enabled and mapping.uuid not in planned_for]

    def _add(self, mapping: EventSourceMapping) -> ConfiguredMapping:
        member = ConfiguredMapping(mapping, self.workshop, self._observers)
        self._supervisor.start(member, [older for older in self._members if older.holds_up(mapping)])
        self._members.append(member)
        return member

    def _forget_gone(self) -> None:
        for member in self._members:
            if self._is_gone(member) and member.observer is not None:
                self._handed_back += member.observer.handed_back_events
        self._members = [member for member in self._members if not self._is_gone(member)]

    def _is_gone(self, member: ConfiguredMapping) -> bool:
        return member.dropped and not self._supervisor.runs(member)

    def _shown(self) -> Iterator[ConfiguredMapping]:
        return (it for it in self._members if it.observer is not None and not self._is_gone(it))

    @property
    def handed_back_events(self) -> int:
        """How many events went back unsent, so far."""
        return self._handed_back + sum(it.observer.handed_back_events for it in self._members if it.observer)

    @property
    def stateful(self) -> Iterator[MappingObserver]:
        """The observers of the mappings whose positions are kept in State."""
        return (it.observer for it in self._shown() if it.observer and it.mapping.source_type in STATEFUL)

    def snapshots(self) -> list[Mapping[str, object]]:
        shown = [it.observer for it in self._shown() if it.observer]
        return [observer.snapshot() for observer in (*shown, *self._failed)]

    def described(self) -> list[Mapping[str, object]]:
        return [it.described() for it in self._shown()]


def _source(mapping: EventSourceMapping) -> tuple[object, ...]:
    return mapping.source_type, mapping.event_source_arn, mapping.source_endpoint_url, mapping.brokers, mapping.topics


def _facts(mapping: EventSourceMapping) -> MappingFacts:
    return MappingFacts(
        name=mapping.name,
        uuid=mapping.uuid,
        source_type=mapping.source_type.value,
        function_arn=mapping.function.arn,
        source_arn=mapping.event_source_arn or "",
        batch_size=mapping.batch_size,
    )


def _facts_of_failed(failed: FailedMapping) -> MappingFacts:
    kind = failed.source_type.value if failed.source_type else SourceType.SQS.value
    return MappingFacts(failed.name, failed.uuid or "", kind, source_arn=failed.source_arn or "")
