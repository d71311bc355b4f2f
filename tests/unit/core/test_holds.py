"""Received messages stay invisible as long as they are held, and no longer than SQS allows."""

from outboard.core.holds import LONGEST, Holds


def test_an_extension_is_due_with_half_the_time_gone() -> None:
    holds = Holds(30.0)
    holds.received(["a"], 100.0)

    assert holds.next_due() == 115.0
    assert holds.due(114.0) == [("a", 30)]
    assert holds.due(110.0) == []


def test_what_falls_due_soon_comes_along_and_the_rest_does_not() -> None:
    holds = Holds(100.0)
    holds.received(["a"], 0.0)
    holds.received(["b"], 4.0)
    holds.received(["c"], 20.0)

    assert [handle for handle, _ in holds.due(50.0)] == ["a", "b"]


def test_an_extended_message_is_due_again_after_the_others() -> None:
    holds = Holds(30.0)
    holds.received(["a", "b"], 0.0)
    holds.extended("a", 30.0, 15.0)

    assert [handle for handle, _ in holds.due(15.0)] == ["b"]
    assert holds.usable("a", 44.0)
    assert holds.expired(30.0) == ["b"]


def test_extensions_end_twelve_hours_after_the_receive() -> None:
    holds = Holds(30.0)
    holds.received(["a"], 0.0)
    holds.extended("a", 30.0, LONGEST - 20)

    assert holds.due(LONGEST - 5) == [("a", 5)]
    assert holds.due(LONGEST) == []


def test_what_remains_is_counted_from_the_receive_and_only_where_something_was_changed() -> None:
    holds = Holds(30.0)
    holds.received(["a", "b", "c"], 0.0)
    holds.extended("a", 30.0, 15.0)
    holds.extended("b", 30.0, 15.0)

    assert holds.remaining("a", 20.0) == 10
    assert holds.remaining("b", 44.0) == 0
    assert holds.remaining("c", 20.0) is None
    assert holds.remaining("unknown", 20.0) is None


def test_a_queue_with_next_to_no_time_out_is_held_for_longer_and_restored_to_its_own() -> None:
    holds = Holds(0.0)
    holds.received(["a"], 0.0)

    assert holds.differs_from_queue
    assert holds.span == 10.0
    assert holds.remaining("a", 3.0) == 1, "at once would be a tight loop"
