"""Knows what became of the records of a topic: from which offsets on they are the mapping's, and when each met its fate."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.simulation.history import Attempt, Dropped, History, Ownership
from tests.simulation.lives import Stretch
from tests.simulation.loop import Process
from tests.simulation.plans import TopicPlan
from tests.simulation.topic import LogRecord, Topic

NEVER = float("inf")
#: What a member asks the group.
_GROUP = frozenset({"OffsetCommit", "OffsetFetch", "ListOffsets", "Heartbeat", "JoinGroup", "LeaveGroup", "Metadata"})


def beginnings(topic: Topic, source: TopicPlan, history: History) -> dict[int, int]:
    """By partition, the first offset that is the mapping's. `history` is of its mapping alone.

    A group without offsets is given some before anybody reads, and the first that it is given count: they are the start,
    whatever is looked up later. Partitions that came later begin at their beginning.
    """
    found = dict.fromkeys(topic.partitions, 0)
    if source.start == "TRIM_HORIZON":
        return found
    starts = [one for one in history.commits if one.start]
    begun = min((one.at for one in starts), default=NEVER)
    for log in topic.logs:
        if log.created > begun:
            continue
        given = [one.offset for one in starts if one.partition == log.number]
        if given:
            found[log.number] = given[0]
    return found


def dropped_records(dropped: Dropped, topic: Topic) -> list[LogRecord]:
    """The records that a line of the log means. Empty if its positions name none."""
    offsets = [int(number) for number in re.findall(r"@(\d+)", dropped.positions)]
    log = next((log for log in topic.logs if str(log.number) == dropped.lane), None)
    if log is None or not offsets:
        return []
    if " .. " in dropped.positions:
        return [record for record in log.records if offsets[0] <= record.offset <= offsets[-1]]
    return [record for record in log.records if record.offset in offsets]


def fates(topic: Topic, mapping: str, history: History) -> dict[str, float]:
    """When a record was processed, as far as its sender was told, or dropped, or gone; by identifier."""
    over: dict[str, float] = {}

    def met(identifier: str, at: float) -> None:
        over[identifier] = min(at, over.get(identifier, NEVER))

    for attempt in history.attempts:
        if attempt.exchange.caller.mapping == mapping:
            for identifier in attempt.done:
                met(identifier, attempt.ended or NEVER)
    for dropped in history.dropped:
        if dropped.mapping == mapping:
            for record in dropped_records(dropped, topic):
                met(record.id, dropped.at)
    for record in topic.ever.values():
        if record.gone is not None:
            met(record.id, record.gone)
    return over


def owed(topic: Topic, source: TopicPlan, mapping: str, history: History) -> Iterator[LogRecord]:
    """The records that the mapping owes a fate."""
    begins, over = beginnings(topic, source, history.of({mapping})), fates(topic, mapping, history)
    for record in topic.ever.values():
        if record.id not in over and record.offset >= begins[record.partition]:
            yield record


@dataclass(slots=True)
class TopicFacts:
    """What happened to one topic's mapping, arranged for the questions that its promises are checked with.

    Attributes:
        begins: by partition, the first offset that is the mapping's.
        over: when a record met its fate, by identifier.
        by_partition: all records, by offset.
        safe: by partition, for each number of records when so many of the first ones, as far as they are the mapping's,
            had met their fates.
    """

    topic: Topic
    source: TopicPlan
    mapping: str
    history: History
    begins: dict[int, int] = field(init=False)
    over: dict[str, float] = field(init=False)
    by_partition: dict[int, list[LogRecord]] = field(init=False)
    safe: dict[int, list[float]] = field(init=False)
    _ends: dict[Process, float] = field(init=False)

    def __post_init__(self) -> None:
        self.begins = beginnings(self.topic, self.source, self.history)
        self.over = fates(self.topic, self.mapping, self.history)
        self.by_partition = {log.number: log.records for log in self.topic.logs}
        self.safe = {number: self._running(records) for number, records in self.by_partition.items()}
        self._ends = {life.process: NEVER if life.over is None else life.over for life in self.history.lives}

    def _running(self, records: list[LogRecord]) -> list[float]:
        moments = [-NEVER]
        for record in records:
            met = self.over.get(record.id, NEVER) if self.is_owed(record) else -NEVER
            moments.append(max(moments[-1], met))
        return moments

    def is_owed(self, record: LogRecord) -> bool:
        return record.offset >= self.begins[record.partition]

    def lane(self, record: LogRecord) -> str:
        return f"{self.topic.name}-{record.partition}"

    def records(self, attempt: Attempt) -> list[LogRecord]:
        return [self.topic.ever[identifier] for identifier in attempt.batch]

    def settled_below(self, partition: int, offset: int) -> float:
        """Since when all that lies before an offset has met its fate."""
        count = sum(record.offset < offset for record in self.by_partition[partition])
        return self.safe[partition][count]

    def over_of(self, process: Process) -> float:
        """When the process ended."""
        return self._ends[process]

    def end(self, attempt: Attempt) -> float:
        """When its caller knew of its end, or died."""
        ended = NEVER if attempt.ended is None else attempt.ended
        return min(ended, self.over_of(attempt.exchange.caller.process))

    def cut_short(self, process: Process) -> bool:
        """Killed, or ended with its time to drain over."""
        return any(one.killed is not None or one.late for one in self.stretches if one.process is process)

    @property
    def stretches(self) -> list[Stretch]:
        return self.history.stretches(self.mapping)

    def stop_asked(self, own: Ownership) -> float:
        """When whoever had partitions was to stop."""
        asked = (one.stop_asked for one in self.stretches if one.owns(own.caller))
        return next((moment for moment in asked if moment is not None), NEVER)

    def source_for(self, dropped: Dropped) -> TopicPlan:
        """The limits under which records were given up."""
        own = dropped.incarnation
        source = own.plan.source if own is not None and own.plan is not None else self.source
        assert isinstance(source, TopicPlan)
        return source

    def settled_by(self, process: Process, partition: int, since: float) -> Iterator[tuple[float, LogRecord]]:
        """What this process, which reads a partition since then, has settled in order, as far as it knows, and when."""
        own: dict[str, float] = {}
        for attempt in self.history.attempts:
            if attempt.exchange.caller.process is process and attempt.ended is not None and attempt.ended >= since:
                for identifier in attempt.done:
                    own.setdefault(identifier, attempt.ended)
        for dropped in self.history.dropped:
            if dropped.process is process:
                for record in dropped_records(dropped, self.topic):
                    own.setdefault(record.id, dropped.at)
        settled, start = since, self.committed_to(partition, since)
        for record in self.by_partition[partition]:
            if record.offset >= start and self.is_owed(record):
                if record.id not in own:
                    return
                settled = max(settled, own[record.id])
                yield settled, record

    def committed_to(self, partition: int, moment: float) -> int:
        """The group's offset by then; -1 for none."""
        known = [one.offset for one in self.history.commits if one.partition == partition and one.at <= moment]
        return known[-1] if known else -1

    def evicted(self, process: Process, since: float, until: float) -> bool:
        return any(since <= moment <= until and caller.process is process for moment, caller in self.history.evictions)

    def troubled(self, process: Process, since: float, until: float) -> bool:
        """Whether a question of this process to the group went wrong in that time."""
        return any(
            exchange.operation in _GROUP
            and exchange.caller.process is process
            and exchange.started <= until
            and (exchange.ended or NEVER) >= since
            and (exchange.fault or exchange.saw not in {"answered", ""})
            for exchange in self.history.exchanges
        )
