"""Knows what a configuration changes that is loaded while another one is in force."""

from dataclasses import dataclass

from outboard.config.models import Configuration, EventSourceMapping
from outboard.config.support import STATEFUL


@dataclass(frozen=True, slots=True)
class Changes:
    """What the new configuration does to the mappings of the old one, which are told apart by their UUIDs."""

    added: tuple[EventSourceMapping, ...]
    removed: tuple[EventSourceMapping, ...]
    changed: tuple[EventSourceMapping, ...]


def changes(old: Configuration, new: Configuration) -> Changes:
    """A mapping that reads the same in both, `Defaults` and regions worked in, is in none of the three."""
    before = {mapping.uuid: mapping for mapping in old.event_source_mappings}
    after = {mapping.uuid: mapping for mapping in new.event_source_mappings}
    return Changes(
        added=tuple(mapping for uuid, mapping in after.items() if uuid not in before),
        removed=tuple(mapping for uuid, mapping in before.items() if uuid not in after),
        changed=tuple(mapping for uuid, mapping in after.items() if uuid in before and mapping != before[uuid]),
    )


def needs_state(configuration: Configuration) -> bool:
    """Whether a mapping that is to run keeps its positions in State."""
    return any(it.enabled and it.source_type in STATEFUL for it in configuration.event_source_mappings)


def restart_needed(started: Configuration, new: Configuration, *, state_is_open: bool) -> tuple[str, ...]:
    """The blocks that differ from those the process was started with and that it cannot change while it runs. Nor may
    it take longer to drain: whoever will stop it, a kubelet or systemd, was told how long to wait when it was started.
    """
    pairs = {
        "State": (started.state, new.state),
        "Server": (started.server, new.server),
        "Limits": (started.limits, new.limits),
        "Logging": (started.logging, new.logging),
        "Shutdown": (drain_timeout(started, new), new.shutdown.drain_timeout_seconds),
    }
    return tuple(name for name, (old, now) in pairs.items() if old != now and (name != "State" or state_is_open))


def drain_timeout(started: Configuration, new: Configuration) -> float:
    """Seconds to drain in when the process is stopped."""
    return min(started.shutdown.drain_timeout_seconds, new.shutdown.drain_timeout_seconds)


def misplaced(started: Configuration, new: Configuration, planned: Changes, *, state_is_open: bool) -> list[str]:
    """A sentence for each mapping that would begin in the old State and be looked for in the new one after a restart.

    What it has read until then would be read again, or, from LATEST on, what came in between would be missed.
    """
    if not state_is_open or started.state == new.state:
        return []
    return [
        f"mapping {mapping.name}: State: changes only at a restart, and this mapping, which is new or changed, keeps "
        "its positions there; restart Outboard, or change State back"
        for mapping in (*planned.added, *planned.changed)
        if mapping.enabled and mapping.source_type in STATEFUL
    ]
