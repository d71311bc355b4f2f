"""Floods of alike lines are cut down, and what is cut is counted."""

from hypothesis import given
from hypothesis import strategies as st

from outboard.observe.repeats import Repeats, Warnings
from tests.unit.observe.stage import recording_log


def test_the_first_few_are_admitted_at_once_and_the_next_waits() -> None:
    repeats = Repeats(burst=3, interval=60.0)

    assert [repeats.admit("lane", 100.0) for _ in range(5)] == [0, 0, 0, None, None]


def test_the_line_after_the_interval_says_how_many_were_withheld() -> None:
    repeats = Repeats(burst=1, interval=60.0)
    for now in (0.0, 1.0, 59.9):
        repeats.admit("lane", now)

    assert repeats.admit("lane", 60.0) == 2
    assert repeats.admit("lane", 61.0) is None


def test_quiet_time_gives_the_burst_back() -> None:
    repeats = Repeats(burst=2, interval=60.0)
    for _ in range(3):
        repeats.admit("lane", 0.0)

    assert [repeats.admit("lane", 200.0) for _ in range(3)] == [1, 0, None]


def test_keys_do_not_share() -> None:
    repeats = Repeats(burst=1, interval=60.0)

    assert [repeats.admit(key, 0.0) for key in ("a", "b", "a")] == [0, 0, None]


def test_a_forgotten_key_starts_anew() -> None:
    repeats = Repeats(burst=1, interval=60.0)
    repeats.admit("lane", 0.0)
    repeats.forget("lane")

    assert repeats.admit("lane", 0.0) == 0


def test_the_longest_known_key_is_forgotten_when_there_are_too_many() -> None:
    repeats = Repeats(burst=1, interval=60.0, keys=2)

    assert [repeats.admit(key, 0.0) for key in ("a", "b", "c", "b", "a")] == [0, 0, 0, None, 0]


@given(gaps=st.lists(st.floats(0, 90), max_size=60), burst=st.integers(1, 4))
def test_never_more_than_the_burst_and_one_an_interval(gaps: list[float], burst: int) -> None:
    repeats, now, written, withheld, lines = Repeats(burst, interval=60.0), 0.0, 0, 0, 0
    for gap in gaps:
        now += gap
        lines += 1
        counted = repeats.admit("lane", now)
        if counted is not None:
            written += 1
            withheld += counted

    assert written <= burst + now / 60.0
    assert written + withheld <= lines


def test_a_withheld_warning_is_written_at_debug() -> None:
    log, lines = recording_log()
    warnings = Warnings(log, burst=1)

    assert [warnings.write("lane", now, "invoke failed", n=1) for now in (0.0, 1.0, 60.0)] == [True, False, True]
    assert lines == [
        {"event": "invoke failed", "log_level": "warning", "n": 1},
        {"event": "invoke failed", "log_level": "debug", "n": 1},
        {"event": "invoke failed", "log_level": "warning", "n": 1, "withheld": 1},
    ]
