"""Bugs planted on purpose are found within the seeds that every test run covers."""

from collections.abc import Sequence

import pytest

from tests.simulation.deployment import Parts
from tests.simulation.planted_kafka import KAFKA_BUGS, FaultyPartition
from tests.simulation.planted_queues import QUEUE_BUGS, Bug, Faulty
from tests.simulation.planted_reloads import RELOAD_BUGS, FaultyOutboard
from tests.simulation.planted_streams import STREAM_BUGS, FaultyCheckpoints, FaultyShard
from tests.simulation.seeds import KINDS, QUEUES, STREAMS, TOPICS, plan
from tests.simulation.worlds import simulate

#: Of each kind of world, as many as a test run covers.
_QUEUES, _STREAMS, _TOPICS = (range(kind, 3000, KINDS) for kind in (QUEUES, STREAMS, TOPICS))


#: Those below a thousand in which the configuration changes.
_RELOADS = [seed for seed in range(1000) if plan(seed).reloads]


def _find(bug: Bug, seeds: Sequence[int]) -> int | None:
    """The first seed that notices the bug."""
    for seed in seeds:
        if any(bug.sentence in broken for broken in simulate(plan(seed), parts=bug.parts).violations):
            return seed
    return None


@pytest.mark.parametrize("name", QUEUE_BUGS)
def test_a_bug_planted_in_the_reading_of_queues_is_found(name: str) -> None:
    found = _find(QUEUE_BUGS[name], _QUEUES)

    assert found is not None, f"{name}: no seed below {_QUEUES.stop} noticed"
    # It was the bug that was noticed: in the same world the real feed breaks nothing.
    assert simulate(plan(found)).violations == []


@pytest.mark.parametrize("name", STREAM_BUGS)
def test_a_bug_planted_in_the_reading_of_streams_is_found(name: str) -> None:
    found = _find(STREAM_BUGS[name], _STREAMS)

    assert found is not None, f"{name}: no seed below {_STREAMS.stop} noticed"
    assert simulate(plan(found)).violations == []


@pytest.mark.parametrize("name", KAFKA_BUGS)
def test_a_bug_planted_in_the_reading_of_topics_is_found(name: str) -> None:
    found = _find(KAFKA_BUGS[name], _TOPICS)

    assert found is not None, f"{name}: no seed below {_TOPICS.stop} noticed"
    assert simulate(plan(found)).violations == []


@pytest.mark.parametrize("name", RELOAD_BUGS)
def test_a_bug_planted_in_reloads_is_found(name: str) -> None:
    found = _find(RELOAD_BUGS[name], _RELOADS)

    assert found is not None, f"{name}: no seed below 1000 noticed"
    assert simulate(plan(found)).violations == []


def test_the_wrappers_in_which_bugs_are_planted_break_nothing_themselves() -> None:
    parts = Parts(
        sqs_feed=Faulty,
        shard_feed=FaultyShard,
        partition_feed=FaultyPartition,
        outboard=FaultyOutboard,
        checkpoints=lambda real: FaultyCheckpoints(lambda _old, new: new, real),
    )
    broken = [sentence for seed in range(60) for sentence in simulate(plan(seed), parts=parts).violations]

    assert broken == []
