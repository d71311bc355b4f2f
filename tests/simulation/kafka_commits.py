"""Knows what a group's offsets promise: never past what is not settled, never back, soon, and nothing done comes again."""

from collections.abc import Iterator

from tests.simulation.history import Attempt, Committed, Ownership
from tests.simulation.topic import LogRecord
from tests.simulation.topic_facts import NEVER, TopicFacts
from tests.simulation.words import at, told

#: What was settled is committed within this, in seconds, the way there and back included.
_SOON = 0.9
#: Seconds for which a rebalance waits for invokes under way.
_WAITED_FOR = 20.0


def badly_committed(facts: TopicFacts) -> Iterator[str]:
    for committed in facts.history.commits:
        yield from _past_what_is_settled(committed, facts)
        yield from _back(committed, facts)
    yield from _not_committed(facts)
    yield from _done_again(facts)


def _past_what_is_settled(committed: Committed, facts: TopicFacts) -> Iterator[str]:
    """When the group takes an offset on, all records before it are done, dropped or gone."""
    if facts.settled_below(committed.partition, committed.offset) > committed.at:
        yield f"{_where(committed)} committed {committed.offset} of {committed.partition} past what was not settled"


def _back(committed: Committed, facts: TopicFacts) -> Iterator[str]:
    if committed.before is None or committed.offset >= committed.before:
        return
    between = range(committed.offset, committed.before)
    if any(record.offset in between for record in facts.by_partition[committed.partition]):
        yield f"{_where(committed)} took the offset of {committed.partition} back from {committed.before} to {committed.offset}"


def _not_committed(facts: TopicFacts) -> Iterator[str]:
    """What a process has settled is committed at once, unless the group is being divided or cannot be reached."""
    for own in facts.history.ownerships:
        process = own.caller.process
        until = min(NEVER if own.asked is None else own.asked, NEVER if own.until is None else own.until)
        until = min(until, facts.over_of(process))
        if facts.evicted(process, own.since, until) or own.since >= facts.stop_asked(own):
            continue  # it was cut off; or what it was given it had no more use for
        for partition in sorted(own.partitions):
            for settled, record in facts.settled_by(process, partition, own.since):
                due = settled + _SOON
                if due > until or facts.committed_to(partition, due) > record.offset:
                    continue
                if not facts.troubled(process, own.since - 30.0, due):
                    yield f"{at(due)}: {own.caller} had {record.id} settled {at(settled)} and did not commit that"
                    return


def _done_again(facts: TopicFacts) -> Iterator[str]:
    """What was done comes again only where its process died, was cut off, or took too long before it could say so."""
    seen: dict[str, tuple[float, Attempt]] = {}
    for attempt in facts.history.attempts:
        for record in facts.records(attempt):
            before = seen.get(record.id)
            if before is not None and before[0] < attempt.started and not _excused(before, attempt, record, facts):
                who = before[1].exchange.caller
                yield told(attempt, f"sent {record.id} again, which {who} had done {at(before[0])}")
                return
        if attempt.ended is not None:
            for identifier in attempt.done:
                seen.setdefault(identifier, (attempt.ended, attempt))


def _excused(before: tuple[float, Attempt], again: Attempt, record: LogRecord, facts: TopicFacts) -> bool:
    done, attempt = before
    process = attempt.exchange.caller.process
    settled = max(done, facts.settled_below(record.partition, record.offset))
    if facts.over_of(process) < settled + _SOON and facts.cut_short(process):
        return True
    if facts.evicted(process, attempt.started - 60.0, again.started) or facts.troubled(
        process, attempt.started - 30.0, again.started
    ):
        return True
    own, other = _owned(attempt, record, facts), _owned(again, record, facts)
    if other is not None and facts.evicted(other.caller.process, other.since, again.started):
        return True  # it was cut off, and knew nothing of the other one
    if own is None or own.until is None:
        return True
    mine = {one.id: moment for moment, one in facts.settled_by(process, record.partition, own.since)}
    return max(done, mine.get(record.id, NEVER)) > own.until


def _owned(attempt: Attempt, record: LogRecord, facts: TopicFacts) -> Ownership | None:
    for own in facts.history.ownerships:
        if (
            own.caller.process is attempt.exchange.caller.process
            and record.partition in own.partitions
            and own.since <= attempt.started <= (NEVER if own.until is None else own.until)
        ):
            return own
    return None


def _where(committed: Committed) -> str:
    return f"{at(committed.at)}: {committed.caller}"
