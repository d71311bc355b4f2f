"""How old the oldest event is that has not met its fate, wherever it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.observe.lag import Lag


def test_it_is_the_age_of_the_oldest_event_that_any_lane_holds() -> None:
    lag = Lag()
    lag.hold("1", 100.0)
    lag.hold("2", 90.0)

    assert lag.age(110.0) == 20.0
    lag.hold("2", None)
    assert lag.age(110.0) == 10.0
    lag.hold("1", None)
    assert lag.age(110.0) == 0.0


def test_an_event_from_the_future_has_no_negative_age() -> None:
    lag = Lag()
    lag.hold("1", 100.0)

    assert lag.age(90.0) == 0.0


def test_what_was_read_and_is_in_no_batch_counts() -> None:
    lag = Lag()
    lag.hold("shard-1", 100.0)
    lag.wait("shard-2", 80.0)

    assert lag.age(110.0) == 30.0
    lag.wait("shard-2", None)
    assert lag.age(110.0) == 10.0


def test_what_is_not_read_yet_grows_older_while_it_is_not_read() -> None:
    lag = Lag()
    lag.behind("shard-1", 30.0, 100.0)

    assert [lag.age(now) for now in (100.0, 101.0, 160.0)] == [30.0, 31.0, 90.0]
    lag.behind("shard-1", 0.0, 160.0)
    assert lag.age(160.0) == 0.0


def test_a_shard_that_is_read_every_second_and_is_empty_is_caught_up_between_its_reads() -> None:
    lag = Lag()
    for second in range(100, 200):
        lag.behind("shard-1", 0.0, float(second))

        assert lag.age(second + 0.999) == 0.0


def test_a_shard_seen_empty_long_ago_may_hold_what_came_since() -> None:
    lag = Lag()
    lag.behind("shard-1", 0.0, 100.0)

    assert [lag.age(now) for now in (105.0, 105.1, 400.0)] == [0.0, pytest.approx(5.1), 300.0]


def test_the_oldest_of_all_shards_and_stages_counts() -> None:
    lag = Lag()
    lag.hold("shard-1", 95.0)
    lag.wait("shard-1", 96.0)
    lag.behind("shard-1", 1.0, 100.0)
    lag.behind("shard-2", 40.0, 100.0)

    assert lag.age(100.0) == 40.0
    lag.close("shard-2")
    assert lag.age(100.0) == 5.0
    lag.close("shard-1")
    assert lag.age(100.0) == 0.0


@given(
    held=st.dictionaries(st.sampled_from("abc"), st.floats(0, 1000)),
    waiting=st.dictionaries(st.sampled_from("abc"), st.floats(0, 1000)),
    behind=st.dictionaries(st.sampled_from("abc"), st.floats(0, 1000)),
    later=st.floats(0, 1000),
)
def test_it_never_shrinks_while_nothing_is_told(
    held: dict[str, float], waiting: dict[str, float], behind: dict[str, float], later: float
) -> None:
    lag = Lag()
    for lane, since in held.items():
        lag.hold(lane, since)
    for shard, since in waiting.items():
        lag.wait(shard, since)
    for shard, seconds in behind.items():
        lag.behind(shard, seconds, 1000.0)

    assert lag.age(1000.0 + later) >= lag.age(1000.0) >= max([0.0, *behind.values()])
