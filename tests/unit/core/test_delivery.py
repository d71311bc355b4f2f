"""One batch's life: the retry, age, bisect and partial-response rules, for sources that return and sources that retry."""

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.core.delivery import Delivery, Divert, Invoke, OnFailure, Policy, Settle, Settled, Wait
from outboard.core.outcome import FunctionFailed, Outcome, Succeeded, Throttled, TooLarge, Unavailable
from outboard.core.records import DropReason, Envelope, Record
from tests.unit.core.records import record, records

OK = Succeeded(b"null")
ERROR = FunctionFailed("ValueError", "boom")
STREAM = OnFailure.RETRY_FROM_LOWEST
KAFKA = OnFailure.RETRY_LISTED
SQS = OnFailure.RETURN


def reporting(*identifiers: str) -> Succeeded:
    failures = [{"itemIdentifier": it} for it in identifiers]
    return Succeeded(json.dumps({"batchItemFailures": failures}).encode())


class Played:
    """A delivery carried to its end against a function, in its own time."""

    def __init__(
        self,
        batch: Sequence[Record],
        policy: Policy,
        function: Callable[[list[str]], Outcome],
        *,
        wall: float = 0.0,
        invokes: int = 400,
    ) -> None:
        self.invoked: list[list[str]] = []
        self.delivered: list[str] = []
        self.returned: list[str] = []
        self.diverted: list[tuple[list[str], DropReason, int]] = []
        self.waits: list[float] = []
        self.finished = False
        now = 0.0
        delivery = Delivery(batch, policy, lambda: 0.0)
        while len(self.invoked) < invokes:
            match delivery.step(now, wall + now):
                case Invoke(records=sent):
                    names = [str(it.identifier) for it in sent]
                    self.invoked.append(names)
                    delivery.answered(function(names), now)
                case Wait(until=until):
                    self.waits.append(until - now)
                    assert until > now
                    now = until
                case Divert(records=lost, reason=reason, invokes=count):
                    self.diverted.append(([str(it.identifier) for it in lost], reason, count))
                case Settle(delivered=done, returned=back):
                    self.delivered += [str(it.identifier) for it in done]
                    self.returned += [str(it.identifier) for it in back]
                case Settled():
                    self.finished = True
                    break
        self.unsettled = [str(it.identifier) for it in delivery.unsettled]


def test_success_settles_the_whole_batch_after_one_invoke() -> None:
    played = Played(records(3), Policy(STREAM), lambda _: OK)

    assert played.invoked == [["0", "1", "2"]]
    assert played.delivered == ["0", "1", "2"]
    assert played.finished


@pytest.mark.parametrize("retries", [0, 1, 3, 7])
def test_n_retries_are_n_plus_one_invokes_and_the_count_says_so(retries: int) -> None:
    played = Played(records(2), Policy(STREAM, maximum_retry_attempts=retries), lambda _: ERROR)

    assert len(played.invoked) == retries + 1
    assert played.diverted == [(["0", "1"], DropReason.RETRY_ATTEMPTS_EXHAUSTED, retries + 1)]


def test_the_retry_count_starts_again_after_partial_progress() -> None:
    """As recorded from AWS: of 3 with 3 retries the always reported last one is delivered five times, the others once."""
    policy = Policy(STREAM, partial_responses=True, maximum_retry_attempts=3)
    played = Played(records(3), policy, lambda sent: reporting("2") if "2" in sent else OK)

    assert played.invoked == [["0", "1", "2"], ["2"], ["2"], ["2"], ["2"]]
    assert played.delivered == ["0", "1"]
    assert played.diverted == [(["2"], DropReason.RETRY_ATTEMPTS_EXHAUSTED, 4)]


def test_a_stream_goes_on_from_the_lowest_reported_record() -> None:
    answers = iter([reporting("3", "1"), OK])
    played = Played(records(4), Policy(STREAM, partial_responses=True), lambda _: next(answers))

    assert played.invoked == [["0", "1", "2", "3"], ["1", "2", "3"]]
    assert played.delivered == ["0", "1", "2", "3"]


def test_kafka_tries_only_the_listed_records_again() -> None:
    answers = iter([reporting("3", "1"), OK])
    played = Played(records(4), Policy(KAFKA, partial_responses=True), lambda _: next(answers))

    assert played.invoked == [["0", "1", "2", "3"], ["1", "3"]]
    assert played.delivered == ["0", "2", "1", "3"]


def test_sqs_returns_the_listed_records_and_invokes_once() -> None:
    played = Played(records(3), Policy(SQS, partial_responses=True), lambda _: reporting("1"))

    assert len(played.invoked) == 1
    assert played.delivered == ["0", "2"]
    assert played.returned == ["1"]


def test_sqs_returns_all_after_a_function_error_and_after_an_answer_that_cannot_be_read() -> None:
    for answer in (ERROR, Succeeded(b'{"batchItemFailures":[{"itemId":"1"}]}')):
        played = Played(records(3), Policy(SQS, partial_responses=True), lambda _, answer=answer: answer)

        assert played.returned == ["0", "1", "2"]
        assert played.delivered == []


def test_without_report_batch_item_failures_the_answer_is_not_read() -> None:
    played = Played(records(2), Policy(SQS), lambda _: Succeeded(b'{"batchItemFailures":[{"itemIdentifier":"1"}]}'))

    assert played.delivered == ["0", "1"]


@pytest.mark.parametrize("outcome", [Throttled("Rate"), Unavailable("ServiceException", "oops")])
def test_throttles_and_service_errors_are_no_attempts(outcome: Outcome) -> None:
    answers = iter([outcome, outcome, outcome, ERROR])
    played = Played(records(1), Policy(STREAM, maximum_retry_attempts=0), lambda _: next(answers))

    assert len(played.invoked) == 4
    assert played.diverted == [(["0"], DropReason.RETRY_ATTEMPTS_EXHAUSTED, 1)]
    assert played.waits == [0.5, 1.0, 2.0]


def test_a_throttled_sqs_batch_is_held_and_sent_again() -> None:
    answers = iter([Throttled("Rate", retry_after=7.0), OK])
    played = Played(records(2), Policy(SQS), lambda _: next(answers))

    assert played.delivered == ["0", "1"]
    assert played.waits == [7.0]


def test_only_the_expired_head_is_cut_off() -> None:
    batch = [record(0, timestamp=100.0), record(1, timestamp=900.0), record(2, timestamp=100.0)]
    played = Played(batch, Policy(STREAM, maximum_record_age=600.0), lambda _: OK, wall=1000.0)

    assert played.diverted == [(["0"], DropReason.RECORD_AGE_EXCEEDED, 1)]
    assert played.delivered == ["1", "2"]


def test_a_failing_batch_ends_when_it_is_too_old() -> None:
    played = Played(records(1, timestamp=1000.0), Policy(STREAM, maximum_record_age=60.0), lambda _: ERROR, wall=1000.0)

    (diverted,) = played.diverted
    assert diverted[:2] == (["0"], DropReason.RECORD_AGE_EXCEEDED)
    assert diverted[2] == len(played.invoked)


def test_a_record_without_a_timestamp_has_no_age() -> None:
    played = Played(records(1), Policy(STREAM, maximum_record_age=60.0), lambda _: OK, wall=1e9)

    assert played.delivered == ["0"]


def test_bisecting_isolates_the_poison_record_without_using_up_attempts() -> None:
    policy = Policy(STREAM, bisect=True, maximum_retry_attempts=1)
    played = Played(records(8), policy, lambda sent: ERROR if "5" in sent else OK)

    assert played.diverted == [(["5"], DropReason.RETRY_ATTEMPTS_EXHAUSTED, 2)]
    assert played.delivered == ["0", "1", "2", "3", "4", "6", "7"]
    assert [len(sent) for sent in played.invoked] == [8, 4, 4, 2, 1, 1, 1, 2]


def test_a_partial_response_splits_at_the_reported_record_and_halves_where_it_names_the_first() -> None:
    answers = iter([reporting("2"), reporting("2"), OK, OK])
    played = Played(records(6), Policy(STREAM, partial_responses=True, bisect=True), lambda _: next(answers))

    assert played.invoked == [["0", "1", "2", "3", "4", "5"], ["2", "3", "4", "5"], ["2", "3"], ["4", "5"]]


def test_a_413_splits_and_is_no_attempt_until_a_single_record_is_too_large() -> None:
    played = Played(
        records(4), Policy(STREAM, maximum_retry_attempts=0), lambda sent: TooLarge() if "2" in sent else OK
    )

    assert played.delivered == ["0", "1", "3"]
    assert played.diverted == [(["2"], DropReason.PAYLOAD_TOO_LARGE, 1)]


def test_a_record_over_the_limit_is_given_up_without_an_invoke() -> None:
    size = Envelope().size + 100
    played = Played([record("big", size=101)], Policy(STREAM, payload_limit=size), lambda _: OK)

    assert played.invoked == []
    assert played.diverted == [(["big"], DropReason.PAYLOAD_TOO_LARGE, 1)]


def test_sqs_keeps_a_message_that_no_invoke_can_carry() -> None:
    played = Played([record("big", size=101)], Policy(SQS, payload_limit=100), lambda _: OK)

    assert played.returned == ["big"]


def test_after_a_split_a_group_never_overtakes_its_failed_head() -> None:
    batch = [record(0, key="a"), record(1, key="b"), record(2, key="a"), record(3, key="c")]
    answers = {"0123": TooLarge(), "01": ERROR, "3": OK}
    played = Played(batch, Policy(SQS), lambda sent: answers["".join(sent)])

    assert played.invoked == [["0", "1", "2", "3"], ["0", "1"], ["3"]]
    assert played.returned == ["0", "1", "2"]
    assert played.delivered == ["3"]


# What AWS was recorded doing with streams


@pytest.mark.parametrize(
    "body",
    [b"{}", b"null", b"[]", b'""', b"", b'{"batchItemFailures":[]}', b'{"batchItemFailures":null}'],
)
def test_a_stream_takes_these_answers_for_success(body: bytes) -> None:
    played = Played(records(3), Policy(STREAM, partial_responses=True), lambda _: Succeeded(body))

    assert played.invoked == [["0", "1", "2"]]
    assert played.delivered == ["0", "1", "2"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"batchItemFailures":[{"foo":"1"}]}',
        b'{"batchItemFailures":[{"foo":null}]}',
        b'{"batchItemFailures":[{"itemIdentifier":""}]}',
        b'{"batchItemFailures":[{"itemIdentifier":null}]}',
        b'{"batchItemFailures":[{"itemIdentifier":123}]}',
        b'{"batchItemFailures":[{"itemIdentifier":"123"}]}',
        b'{"batchItemFailures":[{"itemIdentifier":"1"},{"foo":"2"}]}',
        b'{"batchItemFailures":["1"]}',
        b'{"batchItemFailures":5}',
        b'"1"',
        b"[1]",
        b"5",
        b"true",
    ],
)
def test_a_stream_takes_these_answers_for_the_failure_of_the_whole_batch(body: bytes) -> None:
    policy = Policy(STREAM, partial_responses=True, maximum_retry_attempts=2)
    played = Played(records(3), policy, lambda _: Succeeded(body))

    assert played.invoked == [["0", "1", "2"]] * 3
    assert played.delivered == []
    assert played.diverted == [(["0", "1", "2"], DropReason.RETRY_ATTEMPTS_EXHAUSTED, 3)]


def test_a_function_error_fails_the_whole_batch_of_a_stream_with_and_without_partial_responses() -> None:
    for partial in (True, False):
        answers = iter([ERROR, OK])
        played = Played(records(3), Policy(STREAM, partial_responses=partial), lambda _, a=answers: next(a))

        assert played.invoked == [["0", "1", "2"]] * 2
        assert played.delivered == ["0", "1", "2"]


@pytest.mark.parametrize("body", [b"", b"null", b'{"batchItemFailures":[{"itemIdentifier":"1"}]}', b"not JSON"])
def test_a_stream_without_partial_responses_takes_any_answer_for_success_at_once(body: bytes) -> None:
    played = Played(records(2), Policy(STREAM), lambda _: Succeeded(body))

    assert len(played.invoked) == 1
    assert played.delivered == ["0", "1"]


def test_a_record_that_is_always_reported_is_delivered_five_times_and_those_before_it_once() -> None:
    """Six records in batches of three with three retries: the failure record says four invokes, one record."""
    policy = Policy(STREAM, partial_responses=True, maximum_retry_attempts=3)
    sent: list[str] = []
    diverted = []
    for batch in (records(6)[:3], records(6)[3:]):
        played = Played(batch, policy, lambda names: reporting("5") if "5" in names else OK)
        sent += [name for invoke in played.invoked for name in invoke]
        diverted += played.diverted

    assert [sent.count(str(number)) for number in range(6)] == [1, 1, 1, 1, 1, 5]
    assert diverted == [(["5"], DropReason.RETRY_ATTEMPTS_EXHAUSTED, 4)]


def test_of_a_mixed_batch_the_expired_record_alone_is_given_up_and_five_fresh_ones_are_delivered() -> None:
    batch = [record(0, timestamp=900.0), *[record(number, timestamp=990.0) for number in range(1, 6)]]
    played = Played(batch, Policy(STREAM, maximum_record_age=60.0, maximum_retry_attempts=0), lambda _: OK, wall=1000.0)

    assert played.diverted == [(["0"], DropReason.RECORD_AGE_EXCEEDED, 1)]
    assert played.delivered == ["1", "2", "3", "4", "5"]
    assert played.invoked == [["1", "2", "3", "4", "5"]]


def test_expired_and_exhausted_records_of_one_batch_are_both_given_up_each_for_its_reason() -> None:
    batch = [record(0, timestamp=900.0), record(1, timestamp=990.0)]
    policy = Policy(STREAM, maximum_record_age=60.0, maximum_retry_attempts=1)
    played = Played(batch, policy, lambda _: ERROR, wall=1000.0)

    assert played.diverted == [
        (["0"], DropReason.RECORD_AGE_EXCEEDED, 1),
        (["1"], DropReason.RETRY_ATTEMPTS_EXHAUSTED, 2),
    ]


def test_a_batch_that_fails_throughout_an_age_limit_of_a_minute_is_tried_about_eight_times() -> None:
    played = Played(records(1, timestamp=1000.0), Policy(STREAM, maximum_record_age=60.0), lambda _: ERROR, wall=1000.0)

    assert 7 <= len(played.invoked) <= 9


def test_without_limits_a_batch_is_tried_until_it_is_done() -> None:
    answers = iter([*[ERROR] * 50, OK])
    played = Played(records(2), Policy(STREAM), lambda _: next(answers))

    assert played.delivered == ["0", "1"]
    assert len(played.invoked) == 51
    assert max(played.waits) == 30.0


def test_a_record_is_given_up_when_it_is_too_old_and_not_when_its_retry_is_due() -> None:
    policy = Policy(STREAM, maximum_record_age=60)
    delivery = Delivery([record("a", timestamp=100.0), record("b", timestamp=130.0)], policy, lambda: 0.0)
    assert isinstance(delivery.step(0.0, 150.0), Invoke)
    delivery.answered(Throttled("Rate", retry_after=50.0), 0.0)

    assert delivery.step(1.0, 151.0) == Wait(pytest.approx(10.001))
    assert isinstance(delivery.step(10.001, 160.001), Divert)
    assert delivery.step(10.001, 160.001) == Wait(pytest.approx(40.001))
    assert isinstance(delivery.step(40.001, 190.001), Divert)
    assert delivery.step(40.001, 190.001) == Settled()


def test_a_batch_whose_age_ends_while_it_is_throttled_is_given_up() -> None:
    policy = Policy(STREAM, maximum_record_age=60.0)
    played = Played(records(1, timestamp=1000.0), policy, lambda _: Throttled("Rate"), wall=1000.0)

    assert [lost[:2] for lost in played.diverted] == [(["0"], DropReason.RECORD_AGE_EXCEEDED)]


def diverts(policy: Policy, *outcomes: Outcome) -> Divert:
    """How a batch of one is given up."""
    delivery, now = Delivery(records(1), policy, lambda: 0.0), 0.0
    answers = iter(outcomes)
    while True:
        match delivery.step(now, now):
            case Divert() as divert:
                return divert
            case Invoke():
                delivery.answered(next(answers), now)
            case Wait(until=until):
                now = until
            case step:
                raise AssertionError(step)


def test_what_is_given_up_names_the_functions_last_failure_and_none_where_it_reported_the_record() -> None:
    policy = Policy(STREAM, partial_responses=True, maximum_retry_attempts=1)
    second = FunctionFailed("KeyError", "no price", "r-2")

    assert diverts(policy, ERROR, second).last == second
    assert diverts(policy, ERROR, Throttled("Rate"), second).last == second
    assert diverts(policy, ERROR, reporting("0")).last is None
    assert diverts(policy, reporting("0"), ERROR).last == ERROR


# Answers that were lost


LOST = Unavailable("ServerDisconnectedError", "gone", in_doubt=True)


def after(batch: Sequence[Record], policy: Policy, *outcomes: Outcome) -> Delivery:
    """A delivery that has had these outcomes."""
    delivery, now = Delivery(batch, policy, lambda: 0.0), 0.0
    for outcome in outcomes:
        while not isinstance(step := delivery.step(now, now), Invoke):
            now = step.until if isinstance(step, Wait) else now
        delivery.answered(outcome, now)
    return delivery


@pytest.mark.parametrize("on_failure", OnFailure)
def test_nothing_is_in_doubt_before_an_invoke_and_after_an_answer(on_failure: OnFailure) -> None:
    batch = records(2)

    for outcomes in ((), (Throttled("Rate"),), (Unavailable("X", "down"),), (LOST, OK), (LOST, ERROR)):
        assert list(after(batch, Policy(on_failure), *outcomes).in_doubt) == []


@pytest.mark.parametrize("on_failure", OnFailure)
def test_what_was_sent_and_not_answered_is_in_doubt(on_failure: OnFailure) -> None:
    batch = records(4)

    assert list(after(batch, Policy(on_failure), LOST).in_doubt) == batch
    assert list(after(batch, Policy(on_failure), TooLarge(), LOST).in_doubt) == batch[:2]
    assert list(after(batch, Policy(on_failure), TooLarge(), LOST, OK).in_doubt) == []


@pytest.mark.parametrize("later", [Throttled("Rate"), Unavailable("ClientConnectorError", "nobody listens")])
def test_an_attempt_that_never_reached_the_function_says_nothing_of_an_earlier_one(later: Outcome) -> None:
    batch = records(2)

    assert list(after(batch, Policy(STREAM), LOST, later).in_doubt) == batch
    assert list(after(batch, Policy(STREAM), LOST, later, OK).in_doubt) == []


def test_what_grew_too_old_is_in_doubt_no_more_and_what_is_behind_it_never_was() -> None:
    batch = [record(0, timestamp=1000.0), record(1, timestamp=5000.0)]
    delivery = Delivery(batch, Policy(STREAM, maximum_record_age=60.0), lambda: 0.0)
    delivery.step(0.0, 1000.0)
    delivery.answered(TooLarge(), 0.0)
    delivery.step(0.0, 1000.0)
    delivery.answered(LOST, 0.0)
    assert list(delivery.in_doubt) == batch[:1]

    assert isinstance(delivery.step(0.0, 2000.0), Divert)

    assert list(delivery.in_doubt) == []


def test_what_the_source_took_back_is_in_doubt_no_more() -> None:
    batch = records(3)
    delivery = after(batch, Policy(SQS), LOST)

    delivery.taken_back(batch[:1])

    assert list(delivery.in_doubt) == []
    assert delivery.step(0.0, 0.0) == Settle(returned=batch[:1])


# What goes back goes back together


def test_failed_records_and_their_followers_go_back_in_one_piece() -> None:
    batch = [record(0, key="a"), record(1, key="b"), record(2, key="a"), record(3, key="b"), record(4, key="c")]
    delivery = after(batch, Policy(SQS, partial_responses=True), TooLarge(), reporting("0"))

    assert delivery.step(0.0, 0.0) == Settle(delivered=[batch[1]], returned=[batch[0], batch[2]])
    assert delivery.step(0.0, 0.0) == Invoke([batch[3], batch[4]], 1)


def test_what_the_source_took_back_goes_with_its_followers_in_one_piece() -> None:
    batch = [record(0, key="a"), record(1, key="b"), record(2, key="a")]
    delivery = after(batch, Policy(SQS), Unavailable("X", "down"))

    delivery.taken_back([batch[0]])

    assert delivery.step(9.0, 0.0) == Settle(returned=[batch[0], batch[2]])
    assert delivery.step(9.0, 0.0) == Invoke([batch[1]], 1)


def test_a_message_that_no_invoke_can_carry_goes_back_alone_and_its_followers_behind_it() -> None:
    batch = [record("big", size=101, key="a"), record(1, key="b"), record(2, key="a"), record(3, key="c")]
    delivery = after(batch, Policy(SQS, payload_limit=100 + Envelope().size), TooLarge(), TooLarge())

    assert delivery.step(0.0, 0.0) == Settle(returned=[batch[0]], too_large=True)
    assert delivery.step(0.0, 0.0) == Settle(returned=[batch[2]])
    assert delivery.step(0.0, 0.0) == Invoke([batch[1]], 1)


OUTCOMES = st.sampled_from(["ok", "error", "throttled", "down", "413", "partial", "invalid"])


@given(
    count=st.integers(1, 12),
    outcomes=st.lists(OUTCOMES, max_size=40),
    policy=st.builds(
        Policy,
        st.sampled_from(OnFailure),
        st.booleans(),
        st.sampled_from([None, 0, 1, 3]),
        st.sampled_from([None, 60.0]),
        st.booleans(),
    ),
    pick=st.randoms(use_true_random=False),
)
def test_every_record_meets_exactly_one_fate_and_single_records_keep_their_order(
    count: int, outcomes: list[str], policy: Policy, pick: object
) -> None:
    script = iter(outcomes)

    def function(sent: list[str]) -> Outcome:
        match next(script, "ok"):
            case "error":
                return ERROR
            case "throttled":
                return Throttled("Rate")
            case "down":
                return Unavailable("X", "down")
            case "413":
                return TooLarge()
            case "partial":
                return reporting(*pick.sample(sent, pick.randint(1, len(sent))))  # type: ignore[attr-defined]
            case "invalid":
                return Succeeded(b'{"batchItemFailures":[{}]}')
            case _:
                return OK

    played = Played(records(count, timestamp=1000.0), policy, function, wall=1000.0)
    diverted = [it for lost, _, _ in played.diverted for it in lost]

    assert played.finished
    assert sorted(played.delivered + played.returned + diverted) == sorted(str(it) for it in range(count))
    assert played.unsettled == []
    assert diverted == [] or policy.on_failure is not OnFailure.RETURN or policy.maximum_record_age is not None
    for sent in played.invoked:
        assert sent == sorted(sent, key=int)
    if policy.on_failure is not KAFKA:
        firsts = [int(sent[0]) for sent in played.invoked]
        assert firsts == sorted(firsts)
