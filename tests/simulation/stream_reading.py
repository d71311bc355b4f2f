"""Knows how a stream is to be read: not too often, not too seldom, and sent on when the window is over."""

from collections.abc import Iterator

from tests.simulation.fates import NEVER
from tests.simulation.history import Attempt, Exchange, ShardRead
from tests.simulation.lives import Incarnation, Stretch
from tests.simulation.plans import Plan
from tests.simulation.stream_facts import StreamFacts
from tests.simulation.words import at, end, told, troubled

#: Latencies beside a window.
_SLACK = 1.0
#: Reads of a shard in one second, of the five that Kinesis answers to all readers together.
_MOST_READS = 4
#: Seconds in which a shard follows another one.
_NEXT = 2.0
#: Seconds between two reads of a shard in which nothing happens.
_IDLE = (0.9, 1.5)


def badly_read(plan: Plan, facts: StreamFacts) -> Iterator[str]:
    yield from late_batches(facts)
    yield from beyond_budget(plan, facts)
    if plan.calm:
        yield from hurried_reads(facts)
        if not _is_heavy(plan.buffered_bytes // 16, facts):
            yield from [*idle_reads(facts), *late_children(facts)]


def late_batches(facts: StreamFacts) -> Iterator[str]:
    """A batch is sent when its window, begun by its first received record, is over.

    Not asked of what was sent before, of a batch that had to wait for its turn, or of a mapping in trouble.
    """
    attempted: set[tuple[str, str]] = set()
    last: dict[tuple[str, str], Attempt] = {}
    for attempt in facts.history.attempts:
        caller = attempt.exchange.caller
        process, before = caller.process.name, last.get((caller.process.name, attempt.shard))
        last[process, attempt.shard] = attempt
        new = all((process, identifier) not in attempted for identifier in attempt.batch)
        attempted |= {(process, identifier) for identifier in attempt.batch}
        received = _received(attempt, facts)
        if not new or received is None:
            continue
        began = max(received, before.ended or NEVER if before is not None else 0.0)
        late = attempt.started - began - facts.plan_of(caller.incarnation).window
        if (
            late > _SLACK
            and not troubled(facts.history, caller, began, attempt.started)
            and not _queued(began, attempt, facts)
        ):
            yield told(attempt, f"sent {attempt.batch} {late:.3f} s late")


def _received(attempt: Attempt, facts: StreamFacts) -> float | None:
    """When its first record had been read, by the last page with it before the attempt."""
    moments = [
        read.exchange.ended
        for read in facts.history.reads
        if attempt.batch[0] in read.exchange.messages
        and read.exchange.caller.process is attempt.exchange.caller.process
    ]
    return max((moment for moment in moments if moment is not None and moment <= attempt.started), default=None)


def _queued(since: float, attempt: Attempt, facts: StreamFacts) -> bool:
    """Whether all invokes that the mapping may have at once were under way in the meantime."""
    most = facts.plan_of(attempt.exchange.caller.incarnation).concurrency
    if most is None:
        return False
    others = [one for one in facts.history.attempts if one is not attempt and one.started <= attempt.started]
    return sum(end(one, facts.history) >= since for one in others) >= most


def beyond_budget(plan: Plan, facts: StreamFacts) -> Iterator[str]:
    """The data that a process surely holds, from its page to its fate, stay within MaximumBufferedBytes."""
    if not _is_heavy(plan.buffered_bytes, facts):
        return
    for life in facts.stretches:
        moments: list[tuple[float, int]] = []
        for identifier, (since, until) in _held(life, facts).items():
            size = len(facts.place.stream.ever[identifier].data)
            moments += [(since, size), (until, -size)]
        held = 0
        for moment, change in sorted(moments):
            held += change
            if held > plan.buffered_bytes:
                yield f"{at(moment)}: {life.process.name} holds {held} bytes"
                break


def _held(life: Stretch, facts: StreamFacts) -> dict[str, tuple[float, float]]:
    """From the last page with a record before it was sent first to the end of its last attempt."""
    held: dict[str, tuple[float, float]] = {}
    for attempt in facts.attempts_of(life):
        until = end(attempt, facts.history)
        for identifier in attempt.batch:
            since = held[identifier][0] if identifier in held else _received(attempt, facts) or attempt.started
            held[identifier] = since, until
    return held


def _is_heavy(size: int, facts: StreamFacts) -> bool:
    """Whether its records together have that size: then reads may have to wait for memory."""
    return sum(len(entry.data) for entry in facts.place.stream.ever.values()) >= size


def hurried_reads(facts: StreamFacts) -> Iterator[str]:
    """Where nothing goes wrong, no shard is read more often than it may be, and some reads are left to others.

    An iterator may have expired even so, if a function kept its shard for long; that reads nothing. Who begins after a
    reload reads at once.
    """
    starts: dict[tuple[Incarnation | None, str], list[float]] = {}
    for exchange in facts.history.exchanges:
        if exchange.operation != "GetRecords" or exchange.fault == "expired":
            continue
        if exchange.fault:
            yield f"{at(exchange.started)}: {exchange.caller} read {exchange.shard} and was refused: {exchange.fault}"
        own = starts.setdefault((exchange.caller.incarnation, exchange.shard), [])
        own.append(exchange.started)
        if len(own) > _MOST_READS and own[-1] - own[-1 - _MOST_READS] < 0.999:
            yield f"{at(exchange.started)}: {exchange.caller} reads {exchange.shard} more than {_MOST_READS} times a second"


def idle_reads(facts: StreamFacts) -> Iterator[str]:
    """Where nothing goes wrong, a shard of which all that was read is done is read about once a second.

    Who begins after a reload reads at once.
    """
    last: dict[str, ShardRead] = {}
    busy: dict[str, float] = {}
    for read in facts.history.reads:
        shard = read.exchange.shard
        before, last[shard] = last.get(shard), read
        free = busy.get(shard, 0.0)
        busy[shard] = max([free, *(facts.over.get(record, NEVER) for record in read.exchange.messages)])
        if before is None or before.exchange.caller.incarnation is not read.exchange.caller.incarnation:
            continue
        if before.count or before.behind or (before.exchange.ended or NEVER) < free:
            continue
        pause = read.exchange.started - before.exchange.started
        if not _IDLE[0] <= pause <= _IDLE[1] + _slowness(before.exchange):
            yield f"{at(read.exchange.started)}: {shard} is idle and read after {pause:.3f} s"


def late_children(facts: StreamFacts) -> Iterator[str]:
    """Where nothing goes wrong, the reading goes on in its children as soon as a shard is done."""
    sent: dict[str, float] = {}  # those from before the start, which nobody was owed, included
    for attempt in facts.history.attempts:
        sent[attempt.shard] = max(sent.get(attempt.shard, 0.0), end(attempt, facts.history))
    ends = {
        read.shard: max(read.exchange.ended or NEVER, facts.safe[read.shard][-1], sent.get(read.shard.id, 0.0))
        for read in facts.history.reads
        if read.over
    }
    begun: dict[str, float] = {}
    for read in facts.history.reads:
        begun.setdefault(read.shard.id, read.exchange.started)
    for shard in facts.place.stream.listed():
        ready = max((ends.get(parent, NEVER) for parent in shard.parents), default=NEVER)
        if begun.get(shard.id, NEVER) > ready + _NEXT and _at_work(ready, ready + _NEXT, facts):
            yield f"{shard.id} could be read {at(ready)} and was not for {begun.get(shard.id, NEVER) - ready:.3f} s"


def _at_work(since: float, until: float, facts: StreamFacts) -> bool:
    """Whether the mapping ran all that time, and no reload concerned it."""
    return any(
        facts.plan_of(one.incarnation).enabled and one.incarnation.began <= since and (one.stop_asked or NEVER) > until
        for one in facts.stretches
    )


def _slowness(exchange: Exchange) -> float:
    return (exchange.ended or exchange.started) - exchange.started
