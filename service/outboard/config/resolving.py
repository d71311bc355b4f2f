"""Knows how a mapping as written becomes a mapping that can run: what is merged, understood, filled in and refused."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from outboard.config.arns import LABELS, FunctionTarget, SourceType
from outboard.config.kafka_rules import default_tls, waiting
from outboard.config.mapping import EventSourceMapping
from outboard.config.problems import Broken
from outboard.config.rules import broken_rules, source_type
from outboard.config.sentences import broken_by, names_at
from outboard.config.support import (
    CARRIED_OUT,
    DEFAULTS,
    IGNORED_OUTPUT,
    INSTEAD,
    MSK_ONLY,
    NOT_CARRIED_OUT,
    SELF_MANAGED_ONLY,
    UNDERSTOOD_OUTPUT,
    WITHOUT,
    has,
    is_neutral,
    labels,
    owners,
)
from outboard.config.written import NO_VALUE, Written, nulls

#: Outboard's own namespace of UUIDs. Changing it would give every mapping a new identity.
_NAMESPACE = uuid.UUID("3d0b9c0e-6a0f-4c55-9d0a-9f6f3f1c7a52")
_STATES = {
    "Creating": True,
    "Enabling": True,
    "Enabled": True,
    "Updating": True,
    "Disabling": False,
    "Disabled": False,
    "Deleting": False,
}
#: Every key that an entry of EventSourceMappings may have.
MAPPING_FIELDS = frozenset(names_at(EventSourceMapping, ())) | IGNORED_OUTPUT | UNDERSTOOD_OUTPUT
#: Fields that say which mapping it is, so that they cannot be common to all.
IDENTITY = frozenset({"Name", "UUID"})


@dataclass(frozen=True, slots=True)
class Resolved:
    """A mapping, or what keeps it from being one."""

    mapping: EventSourceMapping | None
    broken: tuple[Broken, ...] = ()


def default_uuid(installation: str, name: str) -> str:
    """The UUID of a mapping that names none: the same wherever and whenever it is computed."""
    return str(uuid.uuid5(uuid.uuid5(_NAMESPACE, installation), name))


@dataclass(frozen=True, slots=True)
class Understood:
    """AWS's answer read as a request: its fields, the name under which some were written, and complaints."""

    fields: dict[str, Any]
    renamed: dict[str, str]
    broken: list[Broken]


def understand(fields: Mapping[str, Any]) -> Understood:
    """Drop what only AWS's answers have; take `FunctionArn` for `FunctionName` and `State` for `Enabled`."""
    result = {key: value for key, value in fields.items() if key not in IGNORED_OUTPUT | UNDERSTOOD_OUTPUT}
    renamed: dict[str, str] = {}
    broken: list[Broken] = []
    if "FunctionArn" in fields and "FunctionName" not in fields:
        result["FunctionName"], renamed["FunctionName"] = fields["FunctionArn"], "FunctionArn"
    elif "FunctionArn" in fields and not _same_function(fields["FunctionArn"], fields["FunctionName"]):
        broken.append(Broken(("FunctionArn",), "names another function than FunctionName; remove one of the two"))
    state = fields.get("State")
    if "State" in fields and (not isinstance(state, str) or state not in _STATES):
        broken.append(
            Broken(("State",), "is not a state that AWS prints; write Enabled: true or Enabled: false instead")
        )
    elif isinstance(state, str) and "Enabled" not in fields:
        result["Enabled"], renamed["Enabled"] = _STATES[state], "State"
    return Understood(result, renamed, broken)


def wrong_values(fields: Mapping[str, Any]) -> list[Broken]:
    """What is wrong with values wherever they would be merged to: types and ranges, but no rule between fields."""
    nothing = [Broken(path, NO_VALUE) for path in nulls(_known(fields))]
    gone = {it.path[0] for it in nothing}
    written = {field: value for field, value in fields.items() if field not in gone}
    try:
        EventSourceMapping.model_validate(written)
    except ValidationError as error:
        return nothing + [it for it in broken_by(error, EventSourceMapping) if it.path[0] in written]
    return nothing


def _same_function(one: object, other: object) -> bool:
    try:
        first, second = FunctionTarget.parse(str(one)), FunctionTarget.parse(str(other))
    except ValueError:
        return False
    return (first.name, first.qualifier) == (second.name, second.qualifier)


def merged(defaults: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping over the defaults, field by field, less the defaults that its source does not have."""
    both = {**defaults, **fields}
    source = source_type(both)
    if source is None:
        return both
    # A self-managed cluster has no ARN: one from the defaults must not make it something else.
    self_managed = "SelfManagedEventSource" in fields and "EventSourceArn" not in fields
    if self_managed:
        source = SourceType.KAFKA
    return {key: value for key, value in both.items() if key in fields or has(key, source, self_managed=self_managed)}


def resolve(fields: Mapping[str, Any], *, installation: str = "outboard", aws_region: str | None = None) -> Resolved:
    """One mapping as written, output understood and defaults merged, to one that can run, or to all that is wrong."""
    source = source_type(fields)
    usable = dict(fields)
    broken: list[Broken] = []
    if source is not None:
        usable, broken = _without_what_the_source_lacks(fields, source)
        broken += broken_rules(usable, source)
        broken += _not_carried_out(usable, source)
    elif "EventSourceArn" not in fields:
        broken.append(Broken(("EventSourceArn",), "is missing; name the queue, stream, cluster or broker to read"))
    broken += _identify(usable, installation)
    nothing = [Broken(path, NO_VALUE) for path in nulls(_known(usable))]
    for it in nothing:
        usable.pop(str(it.path[0]), None)
    try:
        mapping = EventSourceMapping.model_validate({**_filled_in(usable, source), **usable})
    except ValidationError as error:
        wrong = broken_by(error, EventSourceMapping, MAPPING_FIELDS)
        return Resolved(None, _first_of_each_path([*nothing, *wrong, *broken]))
    if nothing or broken:
        return Resolved(None, _first_of_each_path([*nothing, *broken]))
    return Resolved(mapping.in_region(aws_region))


def _without_what_the_source_lacks(
    fields: Mapping[str, Any], source: SourceType
) -> tuple[dict[str, Any], list[Broken]]:
    """The fields that the source has; of others, a neutral value is dropped and any other refused by name."""
    self_managed = Written(fields).self_managed
    usable: dict[str, Any] = {}
    broken: list[Broken] = []
    for field, value in fields.items():
        if has(field, source, self_managed=self_managed):
            usable[field] = value
        elif not is_neutral(field, value):
            broken.append(Broken((field,), _foreign(field, source)))
    return usable, broken


def _not_carried_out(fields: dict[str, Any], source: SourceType) -> list[Broken]:
    """Refuse by name what AWS has and Outboard does not carry out; take those fields out."""
    label = LABELS[source]
    broken: list[Broken] = []
    if source not in CARRIED_OUT:
        where = "SelfManagedEventSource" if Written(fields).self_managed else "EventSourceArn"
        running = labels(CARRIED_OUT)
        article = "an" if label.startswith("A") else "a"
        only = f"is {article} {label} source, and Outboard supports only {running} so far; leave this mapping with AWS"
        broken.append(Broken((where,), only))
    elif source is SourceType.KAFKA:
        broken += waiting(Written(fields))
    later = [field for field in fields if source in NOT_CARRIED_OUT.get(field, ())]
    refused = [field for field in later if not is_neutral(field, fields.pop(field))]
    return broken + [Broken((it,), f"is not supported yet for {label} sources; {WITHOUT[it]}") for it in refused]


def _foreign(field: str, source: SourceType) -> str:
    if source is SourceType.KAFKA and field in MSK_ONLY:
        return "is only for MSK, not for a self-managed Kafka; remove it"
    if source is SourceType.KAFKA and field in SELF_MANAGED_ONLY:
        return "is only for a self-managed Kafka, not for MSK; remove it"
    remedy = INSTEAD.get((source, field), "remove it")
    return f"is not for {LABELS[source]} sources (only for {owners(field)}); {remedy}"


def _identify(fields: dict[str, Any], installation: str) -> list[Broken]:
    """Fill in whichever of Name and UUID follows from the other."""
    name, given = fields.get("Name"), fields.get("UUID")
    if "Name" not in fields and "UUID" not in fields:
        fields["Name"], fields["UUID"] = "unnamed", default_uuid(installation, "unnamed")
        return [Broken(("Name",), "is missing; give the mapping a Name of its own")]
    if "Name" not in fields:
        fields["Name"] = given.lower() if isinstance(given, str) else "unnamed"
    elif "UUID" not in fields:
        fields["UUID"] = default_uuid(installation, str(name))
    return []


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in fields.items() if field in MAPPING_FIELDS}


def _filled_in(fields: Mapping[str, Any], source: SourceType | None) -> dict[str, Any]:
    written = Written(fields)
    result = dict(DEFAULTS[source or SourceType.SQS])
    if written.queue_mode:
        result["MaximumRetryAttempts"] = 0
    if source is SourceType.KAFKA:
        result["Tls"] = default_tls(written)
    elif source in (SourceType.RABBITMQ, SourceType.ACTIVEMQ):
        result["Tls"] = not {"BASIC_AUTH", "SERVER_ROOT_CA_CERTIFICATE"}.isdisjoint(written.access_types())
    return result


def _first_of_each_path(broken: list[Broken]) -> tuple[Broken, ...]:
    """A wrong type says more than the rule that could not be checked because of it."""
    by_path: dict[object, Broken] = {}
    for it in broken:
        by_path.setdefault(it.path, it)
    return tuple(by_path.values())
