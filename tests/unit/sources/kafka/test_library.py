"""What a member sees of aiokafka that the library itself does not look at."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.group import LeaveGroupRequest

from outboard.sources.kafka import library
from tests.unit.virtual import virtual

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


class Leaving:
    """A consumer that hangs while it leaves, with the tasks that the library has."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._coordinator = SimpleNamespace(
            _coordination_task=group.create_task(asyncio.sleep(900), name="coordination"),
            _heartbeat_task=group.create_task(asyncio.sleep(900), name="heartbeat"),
            _commit_refresh_task=None,
        )
        self._fetcher = SimpleNamespace(_fetch_task=group.create_task(asyncio.sleep(900), name="fetching"))

    async def stop(self) -> None:
        await asyncio.sleep(900)


@virtual
async def test_whoever_interrupts_a_consumer_that_leaves_ends_its_heartbeats_too() -> None:
    async with asyncio.TaskGroup() as group:
        consumer = Leaving(group)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await library.close(consumer, 5.0)
        ended = asyncio.get_running_loop().time()

    assert ended == pytest.approx(1000.5)
    assert asyncio.get_running_loop().time() == pytest.approx(1000.5)
