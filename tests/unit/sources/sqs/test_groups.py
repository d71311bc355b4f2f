"""No message group is ever alive in two pollers at once."""

from hypothesis import given
from hypothesis import strategies as st

from outboard.core.records import Record
from outboard.sources.sqs.groups import LiveGroups


def of(*keys: str) -> list[Record]:
    return [Record(f"{key}-{number}", b"", key=key) for number, key in enumerate(keys)]


def test_a_poller_gets_what_nobody_else_has() -> None:
    groups = LiveGroups()
    mine, others = of("A", "B"), of("B", "C")

    assert groups.admit("one", mine) == (mine, [])
    assert groups.admit("two", others) == ([others[1]], [others[0]])


def test_a_group_is_free_once_all_of_it_is_gone() -> None:
    groups = LiveGroups()
    first, second = of("A", "A")
    groups.admit("one", [first, second])

    groups.leave("one", [first])
    assert groups.admit("two", [first]) == ([], [first])
    groups.leave("one", [second])
    assert groups.admit("two", [first]) == ([first], [])


def test_who_does_not_have_a_group_cannot_free_it() -> None:
    groups = LiveGroups()
    held = of("A")
    groups.admit("one", held)

    groups.leave("two", held)

    assert groups.admit("two", held) == ([], held)


@given(st.lists(st.tuples(st.sampled_from("12"), st.booleans(), st.lists(st.sampled_from("ABC"), max_size=4))))
def test_a_group_has_one_owner_at_most_and_order_is_kept(steps: list[tuple[str, bool, list[str]]]) -> None:
    groups = LiveGroups()
    held: dict[str, list[Record]] = {"1": [], "2": []}
    for poller, leaves, keys in steps:
        if leaves:
            groups.leave(poller, held[poller])
            held[poller] = []
        else:
            records = of(*keys)
            admitted, refused = groups.admit(poller, records)
            assert sorted([*admitted, *refused], key=records.index) == records
            assert admitted == [record for record in records if record in admitted]
            held[poller] += admitted
        assert not {record.key for record in held["1"]} & {record.key for record in held["2"]}
    for poller, records in held.items():
        groups.leave(poller, records)
    everything = of("A", "B", "C")
    assert groups.admit("3", everything) == (everything, [])
