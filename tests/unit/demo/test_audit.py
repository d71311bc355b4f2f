"""The audit tells lost messages from all others, and says so in words."""

from hypothesis import given
from hypothesis import strategies as st

from outboard.demo.audit import Evidence, Findings, findings, overtaken, report
from outboard.demo.world import Message, Nature


def message(number: int, key: str = "", nature: Nature = Nature.SOUND) -> Message:
    return Message(f"orders-{number}", number, key, nature, "{}")


def produced(count: int) -> list[Message]:
    return [message(number) for number in range(1, count + 1)]


def identifiers(*numbers: int) -> list[str]:
    return [f"orders-{number}" for number in numbers]


def test_a_message_that_nobody_has_is_lost() -> None:
    evidence = Evidence(produced(3), finished=identifiers(1, 3))

    assert findings(evidence) == Findings(produced=3, processed=2, lost=1)


def test_given_up_and_left_messages_are_not_lost() -> None:
    evidence = Evidence(produced(4), finished=identifiers(1, 2), given_up=identifiers(3), left=identifiers(4))

    assert findings(evidence) == Findings(produced=4, processed=2, given_up=1, left=1)


def test_what_ran_twice_is_a_duplicate_each_further_time() -> None:
    evidence = Evidence(produced(2), finished=identifiers(1, 2, 1, 1))

    assert findings(evidence) == Findings(produced=2, processed=2, duplicates=2)


def test_a_message_that_was_processed_and_then_given_up_or_left_counts_as_processed() -> None:
    evidence = Evidence(produced(2), finished=identifiers(1, 2), given_up=identifiers(1), left=identifiers(2))

    assert findings(evidence) == Findings(produced=2, processed=2)


def test_what_was_never_produced_is_a_stranger() -> None:
    evidence = Evidence(produced(1), finished=identifiers(1, 7), given_up=identifiers(8))

    assert findings(evidence) == Findings(produced=1, processed=1, strangers=1)


def test_poison_messages_are_told_from_others_that_were_given_up() -> None:
    messages = [message(1, nature=Nature.POISON), message(2)]

    assert findings(Evidence(messages, given_up=identifiers(1, 2))) == Findings(produced=2, given_up=2, poison=1)


def test_a_message_finished_after_a_later_one_of_its_key_was_overtaken() -> None:
    messages = [message(1, "a"), message(2, "b"), message(3, "a"), message(4, "b")]

    assert overtaken(messages, identifiers(3, 2, 1, 4)) == 1


def test_a_repetition_overtakes_nobody() -> None:
    messages = [message(1, "a"), message(2, "a")]

    assert overtaken(messages, identifiers(1, 2, 1)) == 0


def test_messages_without_a_key_have_no_order() -> None:
    assert overtaken(produced(3), identifiers(3, 2, 1)) == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["finished", "given_up", "left"]))), st.integers(0, 20))
def test_every_produced_message_has_exactly_one_fate(traces: list[tuple[int, str]], count: int) -> None:
    def seen(where: str) -> list[str]:
        return identifiers(*(number for number, place in traces if place == where))

    found = findings(Evidence(produced(count), seen("finished"), seen("given_up"), seen("left")))

    assert found.processed + found.given_up + found.left + found.lost == found.produced == count


def test_the_report_of_a_good_run_has_no_problems() -> None:
    messages = [message(1), message(2, nature=Nature.POISON)]
    evidence = Evidence(messages, identifiers(1), given_up=identifiers(2), counted=1)

    said = report({"orders": evidence})

    assert [line.strip() for line in said.lines] == [
        "produced: 2",
        "processed: 1",
        "duplicates: 0",
        "given up: 1 (1 in the dead-letter queues, 0 out of tries; 1 of them made to fail every time)",
        "overtaken: 0 (of those that share a message group, a partition key or a record key)",
        "lost: 0",
    ]
    assert (said.remarks, said.problems) == ((), ())


def test_the_report_adds_up_all_mappings_and_names_the_one_that_lost() -> None:
    said = report(
        {"orders": Evidence(produced(3), identifiers(1, 2, 3)), "clicks": Evidence(produced(2), identifiers(1))}
    )

    assert said.lines[0].strip() == "produced: 5"
    assert said.lines[-1].strip() == "lost: 1"
    assert said.problems == ("clicks: 1 messages were lost.",)


def test_the_report_says_what_is_left_without_calling_it_a_problem() -> None:
    said = report({"orders": Evidence(produced(2), identifiers(1), left=identifiers(2))})

    assert said.lines[-2].strip() == "left: 1 (still where they were sent: the time to drain ran out)"
    assert said.problems == ()


def test_a_run_in_which_nothing_was_processed_is_a_problem() -> None:
    said = report({"orders": Evidence(produced(2), left=identifiers(1, 2))})

    assert said.problems == ("orders: none of 2 messages was processed.",)


def test_strangers_and_overtaken_messages_are_problems() -> None:
    messages = [message(1, "a"), message(2, "a")]

    assert report({"payments": Evidence(messages, identifiers(2, 1, 9))}).problems == (
        "payments: 1 messages were processed that nobody produced.",
        "payments: 1 messages were overtaken by a later one of their key.",
    )


def test_a_count_of_the_service_that_does_not_fit_is_remarked_on() -> None:
    finished = identifiers(1, 2, 2)

    remarks = [report({"orders": Evidence(produced(2), finished, counted=count)}).remarks for count in (1, 2, 3, 4)]

    assert remarks == [
        ("orders: the service counted 1 messages removed, the function processed 2.",),
        (),
        (),
        ("orders: the service counted 4 messages removed, the function processed 2.",),
    ]


def test_what_the_service_gave_up_is_told_from_what_dead_letter_queues_have() -> None:
    dead = Evidence(produced(3), identifiers(1), given_up=identifiers(2, 3), dropped=0)
    dropped = Evidence(produced(2), identifiers(1), given_up=identifiers(2), tries=3, dropped=1)

    said = report({"orders": dead, "parcels": dropped})

    assert said.lines[3].strip() == (
        "given up: 3 (2 in the dead-letter queues, 1 out of tries; 0 of them made to fail every time)"
    )
    assert [remark.split(":")[0] for remark in said.remarks] == ["orders", "parcels"]  # both: not made to fail


def test_a_count_of_what_was_given_up_that_does_not_fit_is_remarked_on() -> None:
    messages = [message(1), message(2, nature=Nature.POISON)]

    def remarks(dropped: int | None) -> tuple[str, ...]:
        return report(
            {"parcels": Evidence(messages, identifiers(1), given_up=identifiers(2), tries=3, dropped=dropped)}
        ).remarks

    assert [remarks(each) for each in (None, 1, 2)] == [
        (),
        (),
        ("parcels: the service gave up 2 messages, the function noted 1 such.",),
    ]


def test_a_sound_message_that_was_given_up_is_remarked_on() -> None:
    said = report({"orders": Evidence(produced(2), identifiers(1), given_up=identifiers(2))})

    assert said.remarks == ("orders: 1 messages were given up that were not made to fail every time.",)


def test_what_was_blocked_as_it_should_be_is_said_last_and_no_problem() -> None:
    evidence = {
        "orders": Evidence(produced(1), identifiers(1)),
        "parcels": Evidence([message(1, nature=Nature.POISON), message(2)], identifiers(2), given_up=identifiers(1)),
        "invoices": Evidence([message(1, nature=Nature.FLAKY)], identifiers(1)),
    }

    said = report(evidence, blocked=["invoices", "parcels"])

    assert said.lines[-1].strip() == (
        "blocked: parcels, invoices, for a while, as expected: "
        "what is made to fail is tried until it is given up, and holds up its shard or partition"
    )
    assert (said.remarks, said.problems) == ((), ())


def test_what_was_blocked_though_nothing_in_it_was_made_to_fail_is_remarked_on() -> None:
    said = report({"clicks": Evidence(produced(1), identifiers(1))}, blocked=["clicks"])

    assert said.remarks == ("clicks: it was blocked, and nothing in it was made to fail.",)
    assert said.lines[-1].strip() == "lost: 0"
