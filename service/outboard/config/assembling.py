"""Knows how the texts of one or more files become one configuration, or every problem that keeps them from it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from outboard.config.arns import SourceType
from outboard.config.blocks import BLOCKS, DEFAULTS, MAPPINGS, Blocks, Place
from outboard.config.documents import UnreadableError, read
from outboard.config.mapping import EventSourceMapping
from outboard.config.models import Configuration
from outboard.config.problems import Broken, Problem, dotted, in_order, unknown_key
from outboard.config.resolving import (
    IDENTITY,
    MAPPING_FIELDS,
    Understood,
    default_uuid,
    merged,
    resolve,
    understand,
    wrong_values,
)
from outboard.config.rules import source_type
from outboard.config.sentences import broken_by, homes
from outboard.config.state_rules import broken_state_rules, why_unkept
from outboard.config.written import NO_VALUE, nulls


@dataclass(frozen=True, slots=True)
class FailedMapping:
    """A mapping that cannot run, as far as it is known, and why.

    Attributes:
        name: its Name, else its UUID, else `#` and its position in the file.
        reasons: `FIELD: what is wrong; the remedy`.
    """

    name: str
    uuid: str | None
    source_arn: str | None
    source_type: SourceType | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a configuration.

    Attributes:
        configuration: with the valid mappings only; None if what surrounds them is unusable.
        failed: the mappings that have problems of their own.
        fatal: nothing of it may run.
        content_hash: 12 hexadecimal digits that change whenever a file comes, goes or changes.
    """

    configuration: Configuration | None
    problems: tuple[Problem, ...]
    failed: tuple[FailedMapping, ...]
    fatal: bool
    content_hash: str


@dataclass(slots=True)
class _Entry:
    """One mapping as written, with the place of each of its fields; `uuid` and `mapping` once they are known."""

    label: str
    place: Place
    fields: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    uuid: str | None = None
    mapping: EventSourceMapping | None = None

    def complain(self, broken: Broken) -> None:
        first, *rest = broken.path
        place = self.places.get(str(first), self.place.inside(first))
        name = dotted((*place.path[-1:], *rest))
        self.problems.append(place.inside(*rest).problem(broken.message, mapping=self.label, name=name))


def parse(texts: Mapping[str, str]) -> Loaded:
    """File names, as users know them, and their texts to what they configure; all problems at once. No I/O."""
    blocks = Blocks()
    for file, text in texts.items():
        try:
            blocks.add(read(file, text))
        except UnreadableError as error:
            blocks.problems.append(Problem(file, error.line, None, None, error.message))
    configuration = _configured(blocks)
    defaults = _defaults(blocks)
    entries = [_entry(place, value, defaults, blocks) for place, value in blocks.entries]
    for entry in entries:
        if entry.fields:
            _resolve(entry, configuration or Configuration())
            _find_state(entry, configuration, blocks)
    blocks.problems += _duplicates(entries)
    if not entries and not blocks.problems:
        first = next(iter(texts), "the configuration")
        blocks.problems.append(Problem(first, None, None, MAPPINGS, "lists no mapping; add at least one"))
    return _loaded(blocks, entries, configuration, content_hash(texts))


def content_hash(texts: Mapping[str, str]) -> str:
    """12 hexadecimal digits; of the files' own names and texts, so that the folder they are in does not matter."""
    digest = hashlib.sha256()
    for file, text in texts.items():
        name = file.rsplit("/", 1)[-1]
        digest.update(f"{name}\0{len(text)}\0{text}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:12]


def _loaded(blocks: Blocks, entries: list[_Entry], configuration: Configuration | None, digest: str) -> Loaded:
    good = tuple(entry.mapping for entry in entries if entry.mapping is not None)
    problems = in_order([*blocks.problems, *(problem for entry in entries for problem in entry.problems)])
    if blocks.problems:
        configuration = None
    elif configuration is not None:
        configuration = configuration.model_copy(update={"event_source_mappings": good})
    failed = tuple(_failed(entry) for entry in entries if entry.problems)
    return Loaded(configuration, problems, failed, configuration is None or not good, digest)


def _configured(blocks: Blocks) -> Configuration | None:
    written = {key: value for key, value in blocks.values.items() if key in BLOCKS}
    state = written.get("State")
    if isinstance(state, dict):
        blocks.complain(broken_state_rules(state))
    nothing = [Broken(path, NO_VALUE) for path in nulls(written)]
    try:
        configuration = Configuration.model_validate(written)
    except ValidationError as error:
        empty = {it.path for it in nothing}
        blocks.complain([*nothing, *(it for it in broken_by(error, Configuration) if it.path not in empty)])
        return None
    blocks.complain(nothing)
    return configuration


def _defaults(blocks: Blocks) -> Understood:
    """The fields that are common to all mappings; wrong ones are complained about here, once, and left out."""
    written = blocks.values.get(DEFAULTS, {})
    if not isinstance(written, dict):
        blocks.complain([Broken((DEFAULTS,), "must be a block of fields; write NAME: VALUE below it")])
        return Understood({}, {}, [])
    broken: list[Broken] = []
    for key in written:
        if key in IDENTITY:
            broken.append(Broken((key,), "cannot be the same for every mapping; give it to each mapping"))
        elif key not in MAPPING_FIELDS:
            broken.append(Broken((key,), unknown_key(key, MAPPING_FIELDS - IDENTITY, homes(EventSourceMapping, key))))
    usable = {key: value for key, value in written.items() if key in MAPPING_FIELDS - IDENTITY}
    result = understand(usable)
    wrong = wrong_values(result.fields)
    for it in wrong:
        result.fields.pop(str(it.path[0]), None)
    for it in (*broken, *result.broken, *wrong):
        first, *rest = it.path
        blocks.complain([Broken((DEFAULTS, result.renamed.get(str(first), first), *rest), it.message)])
    return result


def _entry(place: Place, value: Any, defaults: Understood, blocks: Blocks) -> _Entry:
    entry = _Entry(_label(value, int(place.path[-1])), place)
    if not isinstance(value, dict) or not value:
        entry.problems.append(place.problem("must be a block of fields; write NAME: VALUE pairs", mapping=entry.label))
        return entry
    own = understand(value)
    entry.fields = merged(defaults.fields, own.fields)
    for name in entry.fields:
        if name in own.fields:
            entry.places[name] = place.inside(own.renamed.get(name, name))
        else:
            entry.places[name] = blocks.places[DEFAULTS].inside(defaults.renamed.get(name, name))
    for it in own.broken:
        entry.complain(it)
    for where, line, message in blocks.repeated:
        if where.document is place.document and where.path[:2] == place.path:
            entry.problems.append(Problem(place.document.file, line, entry.label, dotted(where.path[2:]), message))
    return entry


def _label(value: Any, index: int) -> str:
    named = [value.get(key) for key in ("Name", "UUID")] if isinstance(value, dict) else []
    return next((it for it in named if isinstance(it, str) and it), f"#{index + 1}")


def _resolve(entry: _Entry, configuration: Configuration) -> None:
    resolved = resolve(entry.fields, installation=configuration.installation, aws_region=configuration.aws.region)
    for broken in resolved.broken:
        entry.complain(broken)
    given, name = entry.fields.get("UUID"), entry.fields.get("Name")
    if isinstance(given, str):
        entry.uuid = given.lower()
    elif isinstance(name, str):
        entry.uuid = default_uuid(configuration.installation, name)
    entry.mapping = None if entry.problems else resolved.mapping


def _find_state(entry: _Entry, configuration: Configuration | None, blocks: Blocks) -> None:
    """Mappings that need none run whatever State says."""
    if entry.mapping is None or configuration is None:
        return
    unkept = why_unkept(entry.mapping, configuration.state)
    if unkept is not None:
        place = blocks.places["State"].inside("Type")
        entry.problems.append(place.problem(unkept, mapping=entry.label, name="State.Type"))
        entry.mapping = None


def _duplicates(entries: list[_Entry]) -> Iterator[Problem]:
    """Mappings of one name or UUID would share metrics and positions: which of them is meant is not ours to say."""
    names: dict[str, _Entry] = {}
    uuids: dict[str, _Entry] = {}
    for entry in entries:
        named = entry.fields.keys() & IDENTITY
        name = entry.label if "Name" in named else entry.uuid or entry.label  # the UUID is a nameless one's name
        first = names.setdefault(name, entry) if named else entry
        if first is not entry:
            yield _duplicate(entry, first, "Name" if "Name" in named else "UUID")
            continue
        first = uuids.setdefault(entry.uuid, entry) if entry.uuid else entry
        if first is not entry:
            yield _duplicate(entry, first, "UUID" if "UUID" in named else "Name")


def _duplicate(entry: _Entry, first: _Entry, name: str) -> Problem:
    message = f"is also that of the mapping at {first.place}; give each mapping a {name} of its own"
    return entry.places[name].problem(message, mapping=entry.label, name=name)


def _failed(entry: _Entry) -> FailedMapping:
    arn = entry.fields.get("EventSourceArn")
    return FailedMapping(
        name=entry.label,
        uuid=entry.uuid,
        source_arn=arn if isinstance(arn, str) else None,
        source_type=source_type(entry.fields),
        reasons=tuple(problem.what for problem in in_order(entry.problems)),
    )
