"""What a member sees of aiokafka that the library itself does not look at."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.group import LeaveGroupRequest

from outboard.sources.kafka import library

FETCH = OffsetFetchRequest("group", [("trades", [0])])


class Coordinator:
    """Answers every request with one error code."""

    def __init__(self, code: int) -> None:
        self._code = code
        self.dead = 0

    async def _send_req(self, request: object) -> Any:
        del request
        return SimpleNamespace(topics=[], error_code=self._code)

    def coordinator_dead(self) -> None:
        self.dead += 1


def seen(code: int) -> tuple[Any, Coordinator]:
    coordinator = Coordinator(code)
    library.see_refusals(SimpleNamespace(_coordinator=coordinator))
    return coordinator._send_req, coordinator


@pytest.mark.parametrize(
    ("code", "error", "dead"),
    [
        (14, GroupLoadInProgressError, 0),
        (15, GroupCoordinatorNotAvailableError, 1),
        (16, NotCoordinatorForGroupError, 1),
    ],
)
async def test_a_coordinator_that_cannot_say_is_not_taken_for_a_group_without_offsets(
    code: int, error: type[Exception], dead: int
) -> None:
    send, coordinator = seen(code)

    with pytest.raises(error) as raised:
        await send(FETCH)
    assert raised.value.retriable  # type: ignore[attr-defined]  # so that the library asks again
    assert coordinator.dead == dead


async def test_an_answer_without_an_error_is_passed_on() -> None:
    send, _ = seen(0)

    assert (await send(FETCH)).topics == []


async def test_answers_to_other_questions_are_the_librarys_own_business() -> None:
    send, _ = seen(16)

    assert (await send(LeaveGroupRequest("group", "member"))).error_code == 16
