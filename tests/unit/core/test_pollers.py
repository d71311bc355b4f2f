"""Pollers are added while receives come back full and shed when idle."""

from outboard.core.pollers import Pollers, Scaling


def grown(seconds: float, *, limit: int = 1000, every: float = 0.01, saturated: bool = False) -> int:
    scaling, open_, now = Scaling(0.0), 1, 0.0
    while now < seconds:
        now += every
        for _ in range(open_):
            open_ += scaling.grow(Pollers(open_, 0, limit, saturated), now, full=True, leaving=True)
    return open_


def test_a_backlog_gets_at_least_five_pollers_a_second() -> None:
    assert grown(0.2) >= 5
    assert grown(1.0) >= 10


def test_ninety_pollers_are_open_within_two_seconds() -> None:
    assert grown(2.0) >= 90


def test_growth_is_paced() -> None:
    assert grown(0.5) <= 30


def test_the_limit_is_never_exceeded() -> None:
    assert grown(5.0, limit=7) == 7


def test_a_process_without_cpu_left_gets_no_more() -> None:
    assert grown(5.0, saturated=True) == 1


def test_the_last_waiting_poller_that_leaves_is_replaced() -> None:
    scaling = Scaling(0.0)

    assert scaling.grow(Pollers(1, 0, 10), 1.0, full=False, leaving=True)
    assert not scaling.grow(Pollers(2, 1, 10), 1.0, full=False, leaving=True)
    assert not scaling.grow(Pollers(2, 0, 10), 1.0, full=False, leaving=False)


def test_an_idle_poller_goes_unless_it_is_the_last_that_waits() -> None:
    assert Scaling.shed(Pollers(3, 1, 10), idle=True, backlog=False)
    assert not Scaling.shed(Pollers(3, 0, 10), idle=True, backlog=False)


def test_pollers_over_the_limit_go_even_with_a_backlog() -> None:
    assert Scaling.shed(Pollers(5, 0, 4), idle=False, backlog=True)
    assert not Scaling.shed(Pollers(4, 3, 4), idle=False, backlog=True)
