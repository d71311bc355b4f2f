"""Knows bugs of reloads worth finding: services that break one promise each when another configuration comes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from outboard.app import Outboard
from outboard.config.loading import Loaded
from outboard.config.models import EventSourceMapping
from outboard.observe.mapping import MappingObserver
from outboard.runtime.budget import ByteBudget
from outboard.runtime.mapping import MappingRun
from tests.simulation.deployment import Parts
from tests.simulation.planted_queues import Bug


class FaultyOutboard:
    """The real service with the bugs that its subclasses plant; on its own it has none."""

    def __init__(self, *arguments: Any) -> None:
        self.real = Outboard(*arguments)

    def reload(self, loaded: Loaded) -> bool:
        return self.real.reload(loaded)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class RestartsAll(FaultyOutboard):
    """Every mapping begins anew, be it changed or not."""

    reloads = 0

    def reload(self, loaded: Loaded) -> bool:
        if loaded.configuration is None or loaded.problems:
            return self.real.reload(loaded)
        self.reloads += 1
        mappings = [self._otherwise(mapping) for mapping in loaded.configuration.event_source_mappings]
        configuration = loaded.configuration.model_copy(update={"event_source_mappings": tuple(mappings)})
        return self.real.reload(replace(loaded, configuration=configuration))

    def _otherwise(self, mapping: EventSourceMapping) -> EventSourceMapping:
        seconds = mapping.invoke_timeout_seconds + self.reloads / 1000
        return mapping.model_copy(update={"invoke_timeout_seconds": seconds})


class AppliesHalf(FaultyOutboard):
    """Of a configuration that is refused, the mappings that have no problems are taken."""

    def reload(self, loaded: Loaded) -> bool:
        if loaded.configuration is None or not loaded.problems:
            return self.real.reload(loaded)
        before = self.real.loaded
        self.real.reload(replace(loaded, problems=(), content_hash=before.content_hash))
        return False


class _Impatient:
    """The supervisor, except that nobody waits for those in whose place they come."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def start(self, member: Any, after: Iterable[Any] = ()) -> None:
        self._real.start(member)

    def runs(self, member: Any) -> bool:
        return bool(self._real.runs(member))


class _Roomy:
    """The workshop, with a budget for each mapping: else the second one of a UUID would be refused its share."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.surroundings = real.surroundings

    def mapping_run(self, mapping: EventSourceMapping, observer: MappingObserver) -> MappingRun:
        roomy = replace(self._real, budget=ByteBudget(self._real.memory))
        run: MappingRun = roomy.mapping_run(mapping, observer)
        return run

    def release(self, mapping: EventSourceMapping) -> None:
        """Nobody else has it."""


class StartsAtOnce(FaultyOutboard):
    """A changed mapping begins while the old one still drains."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        fleet: Any = self.real._fleet
        fleet._supervisor = _Impatient(fleet._supervisor)
        fleet.workshop = _Roomy(fleet.workshop)


class Cancels(FaultyOutboard):
    """What a reload takes away is cut off in the middle of its work; `leave` is told of the source of each such mapping."""

    def leave(self, source: Any) -> None:
        """It is left as it is."""

    def reload(self, loaded: Loaded) -> bool:
        taken = self.real.reload(loaded)
        supervisor: Any = self.real._supervisor
        for member, running in list(supervisor._running.items()):
            if member.dropped and member._run is not None and running.task is not None:
                if member._run._source is not None:
                    self.leave(member._run._source)
                running.task.cancel()
        return taken


class CancelsAndDeletes(Cancels):
    """Nothing is handed back, the messages are deleted, whatever became of them."""

    def leave(self, source: Any) -> None:
        receipts = getattr(source, "_receipts", None)
        group: Any = self.real._supervisor._group
        if receipts is not None and group is not None:
            group.create_task(receipts.delete(list(receipts._holds._held)), name="faulty delete")


def _bug(service: Callable[..., Any], sentence: str) -> Bug:
    return Bug(Parts(outboard=service), sentence)


RELOAD_BUGS: Mapping[str, Bug] = {
    "an unchanged mapping begins anew": _bug(RestartsAll, "though no reload had changed it"),
    "a refused configuration is taken by half": _bug(AppliesHalf, "though no reload had changed it"),
    "the new one begins before the old one has drained": _bug(StartsAtOnce, "before the one before it had drained"),
    "two live batches of an old one and a new one": _bug(StartsAtOnce, "was at work on it"),
    "a removed mapping is cut off": _bug(Cancels, "was cut off in an invoke"),
    "a removed mapping is cut off in a receive": _bug(Cancels, "invisible until"),
    "a removed mapping is cut off and its messages are deleted": _bug(CancelsAndDeletes, "without a success reported"),
}
