"""Knows what a stream's positions promise: never ahead of what is done, soon behind it, all there after a stop."""

from collections.abc import Iterator

from tests.simulation.fates import NEVER, SHARD_END
from tests.simulation.history import Attempt, Caller, Saved
from tests.simulation.lives import Stretch
from tests.simulation.loop import START, Process
from tests.simulation.plans import Plan
from tests.simulation.stream import Shard
from tests.simulation.stream_facts import StreamFacts, drained
from tests.simulation.words import at, end, told, troubled

#: A settled batch is saved within this, in seconds.
_SOON = 0.5
#: What a process had this long before it was asked to stop, in seconds, it has had the time to act on.
_SETTLED = 3.0
#: For so many seconds the exit waits for a disk that can not be written.
_LAST_SAVE = 6.0


def badly_saved(plan: Plan, facts: StreamFacts) -> Iterator[str]:
    for saved in facts.history.saves:
        yield from _ahead(saved, facts)
    for attempt in facts.history.attempts:
        yield from _not_saved(attempt, facts)
    yield from _read_before_the_start_was_stored(facts)
    for life in facts.stretches:
        if drained(life):
            yield from _lost_at_exit(life, plan, facts)
            yield from _end_not_stored(life, facts)


def _ahead(saved: Saved, facts: StreamFacts) -> Iterator[str]:
    """When a position is saved, all records up to it are done, dropped or gone.

    Not asked of a stream that is not there any more: nobody will read it.
    """
    if saved.shard == "":
        return
    shard = facts.shard_of(saved)
    if shard is None:
        yield f"{_where(saved)} saved {saved.position} for {saved.shard} of {saved.stream}, which never was"
        return
    if (shard.deleted or NEVER) < saved.at:
        return
    count = facts.reaches(saved, shard)
    if count is None:
        yield f"{_where(saved)} saved {saved.position}, which is no sequence number of {shard.id}"
        return
    if facts.safe[shard][count] > saved.at:
        yield f"{_where(saved)} saved {saved.position} for {shard.id} ahead of what was done"
    if saved.position == SHARD_END and (shard.closed or NEVER) > saved.at:
        yield f"{_where(saved)} saved {SHARD_END} for {shard.id}, which was open"


def _not_saved(attempt: Attempt, facts: StreamFacts) -> Iterator[str]:
    """What a function has done is saved at once: a kill after that replays none of it.

    It may be saved for a stream that was deleted since, and is taken for this one until that is noticed.
    """
    if not attempt.done or attempt.ended is None:
        return
    last = max((entry for entry in facts.entries(attempt) if entry.id in attempt.done), key=lambda entry: entry.index)
    process, until = attempt.exchange.caller.process, attempt.ended + _SOON
    if (facts.life_of(process).over or NEVER) < until:
        return
    for saved in facts.history.saves:
        if saved.shard != last.shard.id or saved.process is not process or saved.at > until:
            continue
        if (facts.reaches(saved, last.shard) or 0) > last.index:
            return
    yield told(attempt, f"had {last.id} done {at(attempt.ended)} and did not save that")


def _read_before_the_start_was_stored(facts: StreamFacts) -> Iterator[str]:
    """Before the first read it is durable where the mapping began, and where each shard of the first listing did: else a
    crash could move LATEST.
    """
    reads = (one for one in facts.history.exchanges if one.operation == "GetShardIterator" and one.shard)
    first = next(reads, None)
    if first is None:
        return
    durable = [one for one in facts.history.saves if (one.durable or NEVER) <= first.started]
    stored = {one.shard for one in durable}
    listing = [one for one in facts.history.saves if one.shard and one.process is first.caller.process]
    listed = {one.shard for one in listing if one.at == listing[0].at}
    known = any(one.shard and one.process is not first.caller.process for one in durable)
    for shard in {"", *(() if known else listed & {first.shard})} - stored:
        yield f"{at(first.started)}: {first.caller} read {first.shard} and had not stored where {shard or 'it'} began"


def _lost_at_exit(life: Stretch, plan: Plan, facts: StreamFacts) -> Iterator[str]:
    """After a clean stop nothing that was done comes again; a disk that was full until then is excused, and what was
    taken for records of a deleted stream. After a reload that holds within the process, whatever the disk does.
    """
    ended = life.ended or 0.0
    if life.reloaded:
        yield from _sent_again(life, ended, facts, life.process)
        return
    pending = [one for one in facts.history.saves if one.process is life.process and (one.durable or NEVER) > ended]
    if pending:
        if not plan.disk_was_full(ended - _LAST_SAVE - START, ended - START):
            yield f"{life.process.name} ended {at(ended)} and had not stored {pending[0].position} of {pending[0].shard}"
        return
    yield from _sent_again(life, ended, facts)


def _sent_again(life: Stretch, ended: float, facts: StreamFacts, by: Process | None = None) -> Iterator[str]:
    """What was done, in any process from then on or in one."""
    known = {shard for one in facts.history.saves if one.at <= ended and (shard := facts.shard_of(one)) is not None}
    ever = facts.place.stream.ever
    done = {record for attempt in facts.attempts_of(life) for record in attempt.done if ever[record].shard in known}
    for attempt in facts.history.attempts:
        ours = by is None or attempt.exchange.caller.process is by
        if ours and attempt.started > ended and (again := done & set(attempt.batch)):
            yield told(attempt, f"sent {sorted(again)} again, done before {life} was stopped")


def _end_not_stored(life: Stretch, facts: StreamFacts) -> Iterator[str]:
    """A shard that was read to its end, with or without records, need not be read again."""
    ended, asked = life.ended or 0.0, life.stop_asked or 0.0
    for shard, since in _read_to_the_end(life, facts).items():
        if shard not in facts.place.stream.listed() or since + _SETTLED > asked:
            continue
        stored = any(one.position == SHARD_END and one.at <= ended for one in facts.saves(shard))
        if not stored and not troubled(facts.history, Caller(life.process, facts.name), since, asked):
            yield f"{life.process.name} ended {at(ended)} and had not stored the end of {shard.id}, which it had read"


def _read_to_the_end(life: Stretch, facts: StreamFacts) -> dict[Shard, float]:
    """The shards whose end it was told of, and since when nothing of them was left to do."""
    sent: dict[str, float] = {}  # those from before the start, which nobody was owed, included
    for attempt in facts.attempts_of(life):
        sent[attempt.shard] = max(sent.get(attempt.shard, 0.0), end(attempt, facts.history))
    ends: dict[Shard, float] = {}
    doubted: set[Shard] = set()  # an end without children is read twice, and the second time may wait for memory
    for read in facts.reads_of(life):
        if not read.over:
            continue
        if facts.place.stream.tells_children or read.shard in doubted:
            ends.setdefault(
                read.shard,
                max(*(read.exchange.ended or NEVER, facts.safe[read.shard][-1], sent.get(read.shard.id, 0.0))),
            )
        doubted.add(read.shard)
    return ends


def _where(saved: Saved) -> str:
    return f"{at(saved.at)}: {saved.process.name}/{saved.mapping}"
