"""Bugs planted on purpose are found within the seeds that every test run covers."""

import pytest

from tests.simulation.plans import plan
from tests.simulation.planted import PLANTED, Faulty
from tests.simulation.worlds import simulate

#: As many as a test run covers.
_SEEDS = 1000


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug: str) -> None:
    feed, sentence = PLANTED[bug]

    def noticed(seed: int) -> bool:
        return any(sentence in broken for broken in simulate(plan(seed), sqs_feed=feed).violations)

    found = next(filter(noticed, range(_SEEDS)), None)

    assert found is not None, f"{bug}: no seed below {_SEEDS} noticed"
    # It was the bug that was noticed: in the same world the real feed breaks nothing.
    assert simulate(plan(found)).violations == []


def test_the_wrapper_in_which_bugs_are_planted_breaks_nothing_itself() -> None:
    broken = [sentence for seed in range(20) for sentence in simulate(plan(seed), sqs_feed=Faulty).violations]

    assert broken == []
