"""Knows what is promised for a stream, and finds in a history where that was broken."""

from collections.abc import Iterator, Mapping

from tests.simulation.fates import open_entries
from tests.simulation.history import History
from tests.simulation.places import StreamPlace
from tests.simulation.plans import Plan
from tests.simulation.stream_facts import StreamFacts
from tests.simulation.stream_limits import wrongly_dropped
from tests.simulation.stream_order import disorder
from tests.simulation.stream_reading import badly_read
from tests.simulation.stream_saving import badly_saved


def broken_by_streams(plan: Plan, history: History, places: Mapping[str, StreamPlace]) -> list[str]:
    """`history` is of these places' mappings."""
    found: list[str] = []
    for name, place in places.items():
        facts = StreamFacts(place, history.of({name}))
        found += [*lost(facts), *disorder(facts), *wrongly_dropped(facts)]
        found += [*badly_saved(plan, facts), *badly_read(plan, facts)]
    return found


def lost(facts: StreamFacts) -> Iterator[str]:
    """Every record from the start on was processed, dropped by a limit, or is gone from the stream."""
    for entry in open_entries(facts.place, facts.history):
        yield f"{entry.id} in {entry.shard.id} was lost"
    for attempt in facts.history.attempts:
        for identifier in attempt.done:
            if not facts.place.function.processed.get(identifier):
                yield f"{identifier} counts as done and was never processed"
