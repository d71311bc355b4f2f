"""Knows what became of every message: from what was sent, finished, put aside and left, what was lost."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from outboard.demo.world import Message, Nature


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one mapping's messages, from everybody but the service itself.

    Attributes:
        produced: what its source accepted, in order.
        finished: identifiers in the order in which the function finished them, again for each time.
        given_up: identifiers found in the dead-letter queue or, where the service gives up, of which the function noted
            all `tries` that a message has.
        left: identifiers that the source still had to give after the service had ended.
        tries: as in `Workload`; 0 where a dead-letter queue has what was given up.
        counted: how many the service says it is done with; None if it did not say.
        dropped: how many the service says it gave up; None if it did not say.
    """

    produced: Sequence[Message]
    finished: Sequence[str] = ()
    given_up: Sequence[str] = ()
    left: Sequence[str] = ()
    tries: int = 0
    counted: int | None = None
    dropped: int | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """How many messages met which fate; every produced one is processed, given up, left or lost.

    `poison` counts those given up that were made to fail every time, `dropped` those that no dead-letter queue has.
    `strangers` were finished but never produced, `overtaken` were finished after a later one with the same key.
    """

    produced: int = 0
    processed: int = 0
    duplicates: int = 0
    given_up: int = 0
    poison: int = 0
    dropped: int = 0
    left: int = 0
    lost: int = 0
    strangers: int = 0
    overtaken: int = 0

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def findings(evidence: Evidence) -> Findings:
    """What became of one mapping's messages."""
    produced = {message.identifier for message in evidence.produced}
    finished = set(evidence.finished)
    given_up = set(evidence.given_up) & produced - finished
    left = set(evidence.left) & produced - finished - given_up
    poison = {message.identifier for message in evidence.produced if message.nature is Nature.POISON}
    return Findings(
        produced=len(produced),
        processed=len(produced & finished),
        duplicates=len(evidence.finished) - len(finished),
        given_up=len(given_up),
        poison=len(given_up & poison),
        dropped=len(given_up) if evidence.tries else 0,
        left=len(left),
        lost=len(produced - finished - given_up - left),
        strangers=len(finished - produced),
        overtaken=overtaken(evidence.produced, evidence.finished),
    )


def overtaken(produced: Iterable[Message], finished: Iterable[str]) -> int:
    """How many keyed messages were first finished after a later one of their key."""
    messages = {message.identifier: message for message in produced if message.key}
    highest: dict[str, int] = {}
    count = 0
    for identifier in dict.fromkeys(finished):
        if (message := messages.get(identifier)) is not None:
            count += message.number < highest.get(message.key, 0)
            highest[message.key] = max(message.number, highest.get(message.key, 0))
    return count


@dataclass(frozen=True, slots=True)
class Report:
    """The audit in words: its lines, remarks that change no exit code, and problems, which do."""

    lines: tuple[str, ...]
    remarks: tuple[str, ...]
    problems: tuple[str, ...]


def report(evidence: Mapping[str, Evidence], blocked: Collection[str] = ()) -> Report:
    """Put the evidence, by mapping, into words. `blocked`: the mappings that were seen blocked."""
    found = {name: findings(each) for name, each in evidence.items()}
    total = sum(found.values(), Findings())
    tried = [name for name, each in evidence.items() if any(it.nature is not Nature.SOUND for it in each.produced)]
    expected = [name for name in tried if name in blocked]
    remarks = [remark for name, each in evidence.items() for remark in _remarks(name, each, found[name])]
    remarks += [f"{name}: it was blocked, and nothing in it was made to fail." for name in blocked if name not in tried]
    return Report(
        lines=tuple(f"{label:>11}: {text}" for label, text in [*_lines(total), *_expected(expected)]),
        remarks=tuple(remarks),
        problems=tuple(problem for name, each in found.items() for problem in _problems(name, each)),
    )


def _lines(total: Findings) -> list[tuple[str, str]]:
    dead = total.given_up - total.dropped
    places = f"{dead} in the dead-letter queues, {total.dropped} out of tries"
    where = f" ({places}; {total.poison} of them made to fail every time)" if total.given_up else ""
    lines = [
        ("produced", f"{total.produced}"),
        ("processed", f"{total.processed}"),
        ("duplicates", f"{total.duplicates}"),
        ("given up", f"{total.given_up}{where}"),
        ("overtaken", f"{total.overtaken} (of those that share a message group, a partition key or a record key)"),
        ("lost", f"{total.lost}"),
    ]
    if total.left:
        lines.insert(-1, ("left", f"{total.left} (still where they were sent: the time to drain ran out)"))
    return lines


def _expected(blocked: Sequence[str]) -> list[tuple[str, str]]:
    if not blocked:
        return []
    why = "what is made to fail is tried until it is given up, and holds up its shard or partition"
    return [("blocked", f"{', '.join(blocked)}, for a while, as expected: {why}")]


def _remarks(name: str, evidence: Evidence, found: Findings) -> list[str]:
    remarks = []
    if found.given_up > found.poison:
        remarks.append(
            f"{name}: {found.given_up - found.poison} messages were given up that were not made to fail every time."
        )
    removed = evidence.counted
    if removed is not None and not found.processed <= removed <= found.processed + found.duplicates:
        remarks.append(
            f"{name}: the service counted {removed} messages removed, the function processed {found.processed}."
        )
    if evidence.tries and evidence.dropped not in {None, found.given_up}:
        noted = found.given_up
        remarks.append(f"{name}: the service gave up {evidence.dropped} messages, the function noted {noted} such.")
    return remarks


def _problems(name: str, found: Findings) -> list[str]:
    problems = []
    if found.lost:
        problems.append(f"{name}: {found.lost} messages were lost.")
    if found.strangers:
        problems.append(f"{name}: {found.strangers} messages were processed that nobody produced.")
    if found.overtaken:
        problems.append(f"{name}: {found.overtaken} messages were overtaken by a later one of their key.")
    if found.produced and not found.processed:
        problems.append(f"{name}: none of {found.produced} messages was processed.")
    return problems
