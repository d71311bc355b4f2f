"""Parents before children, in every lineage and order; positions as text; the first listing and later ones."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.core.shards import After, Beginning, End, Lineage, Position, Shard, Since, read, written

START = Since(1_700_000_000.25)


def identifiers(shards: list[Shard]) -> list[str]:
    return [shard.identifier for shard in shards]


# Positions as text


@pytest.mark.parametrize(
    ("position", "text"),
    [
        (Beginning(), "TRIM_HORIZON"),
        (Since(1735236331.5), "AT_TIMESTAMP 1735236331.5"),
        (Since(0.0), "AT_TIMESTAMP 0.0"),
        (After("49590338271490256608559692538361571095921575989136588898"),
         "49590338271490256608559692538361571095921575989136588898"),
        (End(), "SHARD_END"),
    ],
)  # fmt: skip
def test_a_position_is_written_in_the_words_of_the_client_library(position: Position, text: str) -> None:
    assert written(position) == text
    assert read(text) == position


POSITIONS = st.one_of(
    st.just(Beginning()),
    st.just(End()),
    st.builds(Since, st.floats(0, 1e12)),
    st.builds(After, st.integers(0, 2**200).map(str)),
)


@given(POSITIONS)
def test_a_position_survives_being_written(position: Position) -> None:
    assert read(written(position)) == position


@pytest.mark.parametrize(
    "text",
    ["", " ", "LATEST", "trim_horizon", "TRIM_HORIZON ", "SHARD_END 1", "AT_TIMESTAMP", "AT_TIMESTAMP ", "-1", "1.5",
     "AT_TIMESTAMP soon", "12a", "\u0664\u0662", "\u00b2"],
)  # fmt: skip
def test_anything_else_is_no_position(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of the two sentences either will do
        read(text)


@pytest.mark.parametrize("text", ["AT_TIMESTAMP nan", "AT_TIMESTAMP inf", "AT_TIMESTAMP -inf"])
def test_a_moment_that_is_none_is_no_position(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read(text)


# Listings


def test_the_first_listing_begins_where_the_mapping_starts() -> None:
    lineage = Lineage({}, START)

    assert lineage.listed([Shard("a"), Shard("b", ("a",))]) == {"a": START, "b": START}
    assert lineage.position("b") == START


def test_what_is_listed_later_begins_at_its_beginning() -> None:
    lineage = Lineage({}, START)
    lineage.listed([Shard("a")])

    assert lineage.listed([Shard("a"), Shard("b", ("a",))]) == {"b": Beginning()}
    assert lineage.listed([Shard("a"), Shard("b", ("a",))]) == {}
    assert (lineage.position("a"), lineage.position("b")) == (START, Beginning())


def test_after_a_restart_no_listing_is_the_first_and_stored_positions_hold() -> None:
    lineage = Lineage({"a": After("7"), "gone": End()}, START)

    assert lineage.listed([Shard("a"), Shard("b")]) == {"b": Beginning()}
    assert lineage.position("a") == After("7")


def test_a_shard_that_was_never_listed_has_no_position() -> None:
    with pytest.raises(KeyError):
        Lineage({}, START).position("a")


# Which may be read


def test_a_child_waits_for_its_parent() -> None:
    lineage = Lineage({}, START)
    lineage.listed([Shard("a"), Shard("b", ("a",)), Shard("c", ("a",))])

    assert identifiers(lineage.open_ready()) == ["a"]
    assert (lineage.open_ready(), lineage.waiting) == ([], 2)
    lineage.settled("a", End())
    assert identifiers(lineage.open_ready()) == ["b", "c"]
    assert lineage.waiting == 0


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_the_child_of_a_merge_waits_for_both_parents(order: tuple[str, str]) -> None:
    lineage = Lineage({}, START)
    lineage.listed([Shard("a"), Shard("b"), Shard("c", ("a", "b"))])
    lineage.open_ready()

    lineage.settled(order[0], End())
    assert lineage.open_ready() == []
    lineage.settled(order[1], End())
    assert identifiers(lineage.open_ready()) == ["c"]


def test_a_parent_that_is_listed_no_more_counts_as_done() -> None:
    lineage = Lineage({}, START)
    lineage.listed([Shard("b", ("a",)), Shard("c", ("a", "x"))])

    assert identifiers(lineage.open_ready()) == ["b", "c"]


def test_a_parent_that_goes_from_the_listing_frees_its_children_once_nobody_reads_it() -> None:
    lineage = Lineage({}, START)
    lineage.listed([Shard("a"), Shard("b", ("a",))])
    lineage.open_ready()
    assert lineage.is_listed("a")

    lineage.listed([Shard("b", ("a",))])

    assert not lineage.is_listed("a")
    assert lineage.open_ready() == []
    lineage.closed("a")
    assert identifiers(lineage.open_ready()) == ["b"]


@pytest.mark.parametrize("between", [[], [Shard("0", closed=True), Shard("1", ("0",)), Shard("2", ("0",))]])
def test_a_grandchild_waits_for_who_is_read_although_those_between_them_came_and_went(between: list[Shard]) -> None:
    lineage = Lineage({}, START)
    lineage.listed([Shard("0")])
    lineage.open_ready()
    if between:
        lineage.listed(between)
    lineage.listed([Shard("3", ("1", "2"))])
    assert lineage.open_ready() == []

    lineage.settled("0", End())
    lineage.closed("0")
    assert identifiers(lineage.open_ready()) == ["3"]


def test_what_is_done_is_never_opened_again_not_even_after_a_restart() -> None:
    lineage = Lineage({"a": End()}, START)
    lineage.listed([Shard("a"), Shard("b", ("a",))])

    assert identifiers(lineage.open_ready()) == ["b"]
    lineage.settled("b", End())
    lineage.closed("b")
    assert (lineage.open_ready(), lineage.waiting) == ([], 0)


def test_what_is_closed_before_it_is_done_may_be_opened_again() -> None:
    lineage = Lineage({}, START)
    lineage.listed([Shard("a")])
    lineage.open_ready()
    lineage.closed("a")

    assert identifiers(lineage.open_ready()) == ["a"]


@st.composite
def histories(draw: st.DrawFn) -> list[Shard]:
    """The shards of a stream in the order of their making, after any splits and merges."""
    live = [Shard(f"s{number}") for number in range(draw(st.integers(1, 4)))]
    made = list(live)
    for _ in range(draw(st.integers(0, 8))):
        live = draw(st.permutations(live))
        if len(live) > 1 and draw(st.booleans()):
            one, other, *live = live
            children = [Shard(f"s{len(made)}", (one.identifier, other.identifier))]
        else:
            parent, *live = live
            children = [Shard(f"s{len(made) + more}", (parent.identifier,)) for more in range(2)]
        live += children
        made += children
    return made


@given(
    made=histories(),
    seen=st.integers(1, 20),
    expired=st.integers(0, 6),
    restarts=st.booleans(),
    dice=st.randoms(use_true_random=False),
)
def test_every_shard_is_read_once_and_after_its_parents(
    made: list[Shard], seen: int, expired: int, restarts: bool, dice: random.Random
) -> None:
    """Shards appear and expire while others complete in any order, and the process may die in between."""
    lineage, stored = Lineage({}, START), {}
    listing, to_come = made[:seen], made[seen:]
    oldest = [shard.identifier for shard in made[:expired]]
    stored |= lineage.listed(dice.sample(listing, len(listing)))
    done: list[str] = []
    reading: list[str] = []
    while True:
        for shard in lineage.open_ready():
            there = {each.identifier for each in listing}
            assert all(parent in done or parent not in there for parent in shard.parents)
            assert shard.identifier not in done
            assert shard.identifier not in reading
            assert lineage.position(shard.identifier) == stored[shard.identifier]
            reading.append(shard.identifier)
        if reading and dice.random() < 0.7:
            finished = reading.pop(dice.randrange(len(reading)))
            lineage.settled(finished, End())
            lineage.closed(finished)
            stored[finished] = End()
            done.append(finished)
        if to_come and dice.random() < 0.6:
            listing = [*listing, to_come.pop(0)]
        gone = [shard for shard in listing if shard.identifier in oldest and shard.identifier in done]
        if gone and dice.random() < 0.3:
            listing = [shard for shard in listing if shard is not gone[0]]
        if restarts and dice.random() < 0.2:
            lineage, reading = Lineage(dict(stored), START), []
        stored |= lineage.listed(dice.sample(listing, len(listing)))
        if not to_come and not reading and not lineage.waiting:
            break

    assert sorted(done) == sorted(shard.identifier for shard in made)
    assert lineage.open_ready() == []
