"""Knows what is promised for a topic, and finds in a history where that was broken."""

from collections.abc import Iterator, Mapping

from tests.simulation.history import Attempt, Dropped, History
from tests.simulation.kafka_commits import badly_committed
from tests.simulation.plans import Plan
from tests.simulation.topic import LogRecord
from tests.simulation.topic_facts import NEVER, TopicFacts, dropped_records, owed
from tests.simulation.topic_place import TopicPlace
from tests.simulation.words import at, told


def broken_by_topics(plan: Plan, history: History, places: Mapping[str, TopicPlace]) -> list[str]:
    """`history` is of these places' mappings."""
    found: list[str] = []
    for name, place in places.items():
        facts = TopicFacts(place.topic, place.source, name, history.of({name}))
        found += [*lost(facts, place), *disorder(facts), *wrongly_dropped(facts)]
        found += [*not_ours(facts), *badly_committed(facts), *miscounted(facts)]
    return found


def lost(facts: TopicFacts, place: TopicPlace) -> Iterator[str]:
    """Every record from the start on was processed, dropped by a limit, or is gone from the topic."""
    for record in owed(facts.topic, facts.source, facts.mapping, facts.history):
        yield f"{record.id}, offset {record.offset} of {record.partition}, was lost"
    for attempt in facts.history.attempts:
        for identifier in attempt.done:
            if not place.function.processed.get(identifier):
                yield f"{identifier} counts as done and was never processed"


def disorder(facts: TopicFacts) -> Iterator[str]:
    """Batches are of one partition, in order, and nobody overtakes; of one process never two of a partition at once."""
    live: dict[tuple[str, str], float] = {}
    for attempt in facts.history.attempts:
        records = facts.records(attempt)
        process = str(attempt.exchange.caller)
        if live.get((process, attempt.shard), 0.0) > attempt.started:
            yield told(attempt, f"began a batch of {attempt.shard} while another one of it was under way")
        live[process, attempt.shard] = facts.end(attempt)
        offsets = [record.offset for record in records]
        if any(facts.lane(record) != attempt.shard for record in records) or offsets != sorted(set(offsets)):
            yield told(attempt, f"sent {attempt.batch}, which are not a run of {attempt.shard}")
        yield from _overtaking(attempt, records, facts)


def _overtaking(attempt: Attempt, records: list[LogRecord], facts: TopicFacts) -> Iterator[str]:
    """What came before in the partition is done or dropped or gone, or goes along."""
    along = set(attempt.batch)
    for other in facts.by_partition[records[-1].partition]:
        if other.offset >= records[-1].offset:
            return
        if other.id not in along and facts.over.get(other.id, NEVER) > attempt.started and facts.is_owed(other):
            yield told(attempt, f"sent {records[-1].id} before {other.id}, which is ahead of it in {attempt.shard}")
            return


def not_ours(facts: TopicFacts) -> Iterator[str]:
    """A process sends of a partition only what it was told is its own, from then on until it is asked for it."""
    for attempt in facts.history.attempts:
        process, partition = attempt.exchange.caller.process, facts.records(attempt)[0].partition
        if not any(
            own.caller.process is process
            and partition in own.partitions
            and own.since <= attempt.started <= (own.asked or own.until or NEVER)
            for own in facts.history.ownerships
        ):
            yield told(attempt, f"sent {attempt.batch} of {attempt.shard}, which was not its own")


def wrongly_dropped(facts: TopicFacts) -> Iterator[str]:
    for dropped in facts.history.dropped:
        records = dropped_records(dropped, facts.topic)
        where = f"{at(dropped.at)}: {dropped.process.name if dropped.process else 'nobody'}/{dropped.mapping}"
        if not _names(dropped, len(records)):
            yield f"{where} dropped {dropped.events} events, and its log names {len(records)} of them"
        match dropped.reason:
            case "retry_attempts_exhausted":
                allowed = facts.source_for(dropped).retries
                if allowed is None or dropped.invokes != allowed + 1:
                    yield f"{where} dropped {dropped.positions} after {dropped.invokes} invokes, may retry {allowed}"
            case "record_age_exceeded":
                limit = facts.source_for(dropped).record_age
                if any(limit is None or dropped.at - record.written <= limit - 0.001 for record in records):
                    yield f"{where} dropped {dropped.positions}, not all of them as old as {limit} s"
            case _:
                yield f"{where} dropped {dropped.positions} for {dropped.reason}, which nothing was"


def _names(dropped: Dropped, count: int) -> bool:
    """More than four are named by the first and the last of them, between which some may have been done."""
    return count >= dropped.events if " .. " in dropped.positions else count == dropped.events


def miscounted(facts: TopicFacts) -> Iterator[str]:
    """What a mapping that ended in time counted is what happened."""
    for life in facts.stretches:
        counted = life.counts
        if not counted or life.stop_asked is None or life.late:
            continue
        attempts = [one for one in facts.history.attempts if life.owns(one.exchange.caller)]
        happened = {
            "polledEvents": sum(one.count for one in facts.history.taken if life.owns(one.caller)),
            "invocations": len(attempts),
            "invokedEvents": sum(len(attempt.batch) for attempt in attempts),
            "deliveredEvents": sum(len(attempt.done) for attempt in attempts),
            "droppedEvents": sum(one.events for one in facts.history.dropped if life.owns(one)),
        }
        for name, number in happened.items():
            if counted[name] != number:
                yield f"{life.process.name}/{facts.mapping} counts {counted[name]} {name}, there were {number}"
