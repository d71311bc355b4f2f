"""The concurrency limit follows what the function can take."""

from outboard.core.concurrency import ConcurrencyLimit


def test_a_throttle_halves_what_was_in_flight() -> None:
    limit = ConcurrencyLimit(1000)
    limit.throttled(started=1.0, now=2.0, in_flight=40)

    assert limit.limit == 20


def test_invokes_begun_before_the_cut_do_not_cut_again() -> None:
    limit = ConcurrencyLimit(64)
    limit.throttled(1.0, 2.0, 64)
    limit.throttled(1.5, 2.1, 64)

    assert limit.limit == 32


def test_it_never_falls_below_one() -> None:
    limit = ConcurrencyLimit(4)
    for second in range(10):
        limit.unavailable(float(second), second + 0.5, 1)

    assert limit.limit == 1


def test_after_an_outage_it_doubles_each_round_up_to_where_it_was() -> None:
    limit = ConcurrencyLimit(64)
    for second in range(10):
        limit.unavailable(float(second), second + 0.5, 64)
    for _ in range(63):
        limit.succeeded()

    assert limit.limit == 64


def test_after_a_throttle_it_creeps() -> None:
    limit = ConcurrencyLimit(64)
    limit.throttled(1.0, 2.0, 64)
    for _ in range(33):
        limit.succeeded()

    assert limit.limit == 33
