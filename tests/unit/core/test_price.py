"""A record costs its bytes twice and a little; one that is not read yet as much as the largest of the last minutes."""

from hypothesis import given
from hypothesis import strategies as st

from outboard.core.price import PER_RECORD, Price, charge, charge_all
from tests.unit.core.records import record

KIB = 1024


@given(st.lists(st.integers(0, 10_000), max_size=20))
def test_records_together_cost_what_each_of_them_costs(sizes: list[int]) -> None:
    batch = [record(number, size=size) for number, size in enumerate(sizes)]

    assert [charge(each) for each in batch] == [2 * size + PER_RECORD for size in sizes]
    assert charge_all(batch) == sum(map(charge, batch))
    assert charge_all(iter(batch)) == charge_all(batch)


def test_before_anything_was_seen_a_record_is_expected_to_be_of_some_size() -> None:
    assert Price().of(1000.0) == 32 * KIB


def test_a_larger_record_raises_the_price_at_once() -> None:
    price = Price()
    price.saw(500 * KIB, 1000.0)

    assert price.of(1000.0) == 500 * KIB


def test_a_smaller_one_does_not_lower_it_before_the_larger_is_forgotten() -> None:
    price = Price()
    price.saw(500 * KIB, 1000.0)
    price.saw(2 * KIB, 1059.0)
    assert price.of(1061.0) == 500 * KIB
    price.saw(2 * KIB, 1062.0)
    assert price.of(1120.0) == 500 * KIB
    assert price.of(1125.0) == 2 * KIB


def test_it_never_falls_below_what_any_record_costs() -> None:
    price = Price()
    for minute in range(10):
        price.of(1000.0 + 61 * minute)

    assert price.of(2000.0) == PER_RECORD


@given(st.lists(st.tuples(st.integers(PER_RECORD, 10**7), st.floats(0, 30)), min_size=1, max_size=50))
def test_what_was_seen_in_the_last_minute_is_always_covered(seen: list[tuple[int, float]]) -> None:
    price, now = Price(), 1000.0
    recent: list[tuple[float, int]] = []
    for size, later in seen:
        now += later
        price.saw(size, now)
        recent.append((now, size))
        assert price.of(now) >= max(each for at, each in recent if now - at <= 60)
