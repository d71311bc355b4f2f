"""Knows what came of a topic's records: what reached the functions, what they worked off, and who came out of turn."""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from tests.servers.scripted_invoke import Answer, Ending, Invoke
from tests.servers.topics import Topic

Record = Mapping[str, Any]


def topic_mapping(topic: Topic, functions: str, *, name: str = "orders", **fields: object) -> dict[str, object]:
    """An entry of EventSourceMappings that reads the topic from its oldest record on, with partial responses; `fields`
    are added or take precedence.
    """
    return {
        "Name": name,
        "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [topic.endpoint]}},
        "Topics": [topic.name],
        "StartingPosition": "TRIM_HORIZON",
        "FunctionName": f"arn:aws:lambda:eu-west-1:123456789012:function:{name}",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FunctionEndpointUrl": functions,
        "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": group_of(topic)},
        **fields,
    }


def group_of(topic: Topic) -> str:
    return f"group-of-{topic.name}"


def values(numbers: Iterable[int]) -> list[bytes]:
    """What to write so that `number_of` finds each number."""
    return [json.dumps({"n": number}).encode() for number in numbers]


def records_of(invoke: Invoke) -> list[Record]:
    """The records of an event, whatever their partitions."""
    return [record for records in invoke.event["records"].values() for record in records]


def number_of(record: Record) -> int:
    """The number that a test gave it."""
    return int(json.loads(base64.b64decode(record["value"]))["n"])


def numbers_of(invoke: Invoke) -> list[int]:
    return [number_of(record) for record in records_of(invoke)]


def fails(invoke: Invoke, numbers: Iterable[int], *, delay: float = 0.0) -> Answer:
    """A partial response that lists the records with these numbers; all others are done."""
    bad = set(numbers)
    listed = [
        {"itemIdentifier": {"partition": f"{record['topic']}-{record['partition']}", "offset": record["offset"]}}
        for record in records_of(invoke)
        if number_of(record) in bad
    ]
    done = frozenset(str(number) for number in numbers_of(invoke) if number not in bad)
    return Answer(body=json.dumps({"batchItemFailures": listed}).encode(), delay=delay, done=done)


def done_by(invokes: Iterable[Invoke]) -> Counter[int]:
    """How often each number was worked off, by what the functions themselves say."""
    return Counter(number for invoke in invokes for number in _done(invoke))


def _done(invoke: Invoke) -> Iterator[int]:
    answer = invoke.answer
    if answer is None or answer.ending is Ending.HANG:
        return
    for number in numbers_of(invoke):
        if answer.done is None or str(number) in answer.done:
            yield number


def out_of_turn(invokes: Iterable[Invoke]) -> list[tuple[str, int, int]]:
    """Records whose first arrival came after that of a later one of their partition."""
    seen: defaultdict[str, int] = defaultdict(lambda: -1)
    known: set[tuple[str, int]] = set()
    wrong = []
    for invoke in sorted(invokes, key=lambda each: each.started):
        for record in records_of(invoke):
            place, offset = f"{record['topic']}-{record['partition']}", int(record["offset"])
            if (place, offset) not in known and offset < seen[place]:
                wrong.append((place, offset, seen[place]))
            known.add((place, offset))
            seen[place] = max(seen[place], offset)
    return wrong


def at_once(invokes: Iterable[Invoke]) -> int:
    """How many pairs of invokes of one partition were under way at the same time."""
    by_place: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for invoke in invokes:
        for place in invoke.event["records"]:
            by_place[place].append((invoke.started, invoke.ended or float("inf")))
    overlaps = 0
    for spans in by_place.values():
        spans.sort()
        overlaps += sum(later[0] < earlier[1] for earlier, later in pairwise(spans))
    return overlaps
