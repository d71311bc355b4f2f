"""Messages that are held stay invisible; what becomes of them reaches the queue, tried again where that can help."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.sources.sqs.fake import BROKEN, DENIED, Scene, failed
from tests.unit.virtual import virtual


@asynccontextmanager
async def keeping(scene: Scene) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(scene.receipts.keep(), name="keeper")
        yield
        keeper.cancel()


def first_fails(code: str, *, fault: bool) -> Any:
    """An answer in which the first entry failed and the others were done."""

    def answer(body: Mapping[str, Any]) -> dict[str, Any]:
        first, *others = body["Entries"]
        return {
            "Successful": [{"Id": entry["Id"]} for entry in others],
            "Failed": [failed(first["Id"], code, fault=fault)],
        }

    return answer


def logged(scene: Scene, event: str) -> list[str]:
    return [str(line.get("error_message", "")) for line in scene.stage.lines if line["event"] == event]


def asked(scene: Scene, call: int = -1) -> dict[str, int]:
    entries = scene.sqs.made("ChangeMessageVisibilityBatch")[call]["Entries"]
    return {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in entries}


# Keeping


@virtual
async def test_what_is_held_is_extended_at_half_of_its_time_again_and_again() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1", "m-2")
    async with keeping(scene):
        handles = await scene.received()
        await asyncio.sleep(50)
        assert scene.sqs.visible() == []

    assert scene.sqs.times("ChangeMessageVisibilityBatch") == [15.0, 30.0, 45.0]
    assert asked(scene) == dict.fromkeys(handles, 30)
    assert scene.stage.value("visibility_extensions_total") == 6


@virtual
async def test_nothing_is_extended_after_it_was_settled() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1")
    async with keeping(scene):
        await scene.receipts.delete(await scene.received())
        await asyncio.sleep(50)

    assert scene.receipts.held == 0
    assert scene.sqs.made("ChangeMessageVisibilityBatch") == []


@virtual
async def test_more_than_ten_are_extended_in_tens() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send(*[f"m-{number}" for number in range(25)])
    async with keeping(scene):
        await scene.received(25)
        await asyncio.sleep(16)

    sizes = [len(body["Entries"]) for body in scene.sqs.made("ChangeMessageVisibilityBatch")]
    assert sorted(sizes) == [5, 10, 10]


@virtual
async def test_an_extension_that_failed_is_tried_again_before_the_time_is_over() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1")
    scene.sqs.answers["ChangeMessageVisibilityBatch"] = [BROKEN, BROKEN]
    async with keeping(scene):
        await scene.received()
        await asyncio.sleep(20)
        assert scene.sqs.visible() == []

    assert scene.sqs.times("ChangeMessageVisibilityBatch") == [15.0, 16.0, 17.0]
    assert scene.stage.value("lost_visibility_events_total") == 0
    assert logged(scene, "call failed")[:1] == ["ChangeMessageVisibility: try again"]


@virtual
async def test_only_the_entry_that_failed_is_extended_again() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1", "m-2")
    scene.sqs.answers["ChangeMessageVisibilityBatch"] = [first_fails("InternalError", fault=False)]
    async with keeping(scene):
        first, _ = await scene.received()
        await asyncio.sleep(20)

    assert scene.sqs.times("ChangeMessageVisibilityBatch") == [15.0, 16.0]
    assert list(asked(scene)) == [first]
    assert scene.stage.value("visibility_extensions_total") == 2


@virtual
async def test_a_message_that_is_no_longer_ours_is_let_go_and_told_of() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1", "m-2")
    scene.sqs.answers["ChangeMessageVisibilityBatch"] = [first_fails("ReceiptHandleIsInvalid", fault=True)]
    async with keeping(scene):
        await scene.received()
        await asyncio.sleep(20)

    assert scene.receipts.held == 1
    assert logged(scene, "visibility lost") == ["ReceiptHandleIsInvalid: it did not work"]


@virtual
async def test_a_message_whose_time_ran_out_is_let_go_and_told_of() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1")
    scene.sqs.answers["ChangeMessageVisibilityBatch"] = [BROKEN] * 60
    async with keeping(scene):
        await scene.received()
        await asyncio.sleep(40)

    assert scene.receipts.held == 0
    assert logged(scene, "visibility lost") == ["its time ran out before it could be extended"]


@virtual
async def test_without_the_permission_it_warns_once_and_asks_no_more() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send(*[f"m-{number}" for number in range(25)])
    scene.sqs.answers["ChangeMessageVisibilityBatch"] = [DENIED] * 60
    async with keeping(scene):
        await scene.received(25)
        await asyncio.sleep(100)

    assert logged(scene, "visibility lost") == [
        "not allowed to extend it; grant sqs:ChangeMessageVisibility (not authorized)"
    ]
    assert logged(scene, "call failed") == []
    assert set(scene.sqs.times("ChangeMessageVisibilityBatch")) == {15.0}


@pytest.mark.parametrize(("visibility", "asked_for"), [(0, 10), (10, 10), (30, 30), (900, 900)])
@virtual
async def test_a_receive_names_the_time_out_that_is_counted_on(visibility: float, asked_for: int) -> None:
    assert Scene(visibility=visibility).receipts.receive_visibility == asked_for


@virtual
async def test_extensions_end_at_twelve_hours_without_a_call_that_gains_nothing() -> None:
    scene = Scene(visibility=3600)
    scene.sqs.seconds["ChangeMessageVisibilityBatch"] = 1.0
    scene.sqs.send("m-1")
    async with keeping(scene):
        await scene.received()
        await asyncio.sleep(13 * 3600)

    calls = scene.sqs.made("ChangeMessageVisibilityBatch")
    times = scene.sqs.times("ChangeMessageVisibilityBatch")
    ends = [at + body["Entries"][0]["VisibilityTimeout"] for at, body in zip(times, calls, strict=True)]
    assert 11.9 * 3600 < max(ends) <= 12 * 3600
    assert len(calls) < 30


# Deleting


@virtual
async def test_deletes_go_in_tens() -> None:
    scene = Scene()
    scene.sqs.send(*[f"m-{number}" for number in range(23)])

    await scene.receipts.delete(await scene.received(23))

    assert sorted(len(body["Entries"]) for body in scene.sqs.made("DeleteMessageBatch")) == [3, 10, 10]
    assert scene.sqs.messages == {}
    assert scene.stage.value("deleted_events_total") == 23


@virtual
async def test_deletes_of_a_large_batch_run_a_bounded_number_at_once() -> None:
    scene = Scene()
    scene.sqs.seconds["DeleteMessageBatch"] = 1.0
    scene.sqs.send(*[f"m-{number}" for number in range(330)])

    await scene.receipts.delete(await scene.received(330))

    assert [scene.sqs.times("DeleteMessageBatch").count(at) for at in (0.0, 1.0, 2.0)] == [16, 16, 1]


@virtual
async def test_a_failed_delete_is_tried_again_and_counted_once() -> None:
    scene = Scene()
    scene.sqs.send("m-1", "m-2")
    scene.sqs.answers["DeleteMessageBatch"] = [BROKEN, first_fails("InternalError", fault=False)]

    await scene.receipts.delete(await scene.received())

    assert [len(body["Entries"]) for body in scene.sqs.made("DeleteMessageBatch")] == [2, 2, 1]
    assert scene.stage.value("deleted_events_total") == 2
    assert scene.stage.value("failed_delete_events_total") == 0


@virtual
async def test_a_delete_that_cannot_work_is_given_up_at_once() -> None:
    scene = Scene()
    scene.sqs.send("m-1", "m-2")
    scene.sqs.answers["DeleteMessageBatch"] = [first_fails("ReceiptHandleIsInvalid", fault=True)]

    await scene.receipts.delete(await scene.received())

    assert len(scene.sqs.made("DeleteMessageBatch")) == 1
    assert scene.stage.value("deleted_events_total") == 1
    assert scene.stage.value("failed_delete_events_total") == 1
    assert logged(scene, "delete failed") == ["it did not work"]
    assert scene.receipts.held == 0


@virtual
async def test_a_delete_is_tried_while_the_handle_is_valid_and_then_counted_as_failed() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1")
    scene.sqs.answers["DeleteMessageBatch"] = [BROKEN] * 99

    await scene.receipts.delete(await scene.received())

    times = scene.sqs.times("DeleteMessageBatch")
    assert 3 < len(times) < 15
    assert 25.0 <= times[-1] <= 36.0
    assert logged(scene, "delete failed") == ["try again"]
    assert scene.receipts.held == 0


@virtual
async def test_what_waits_to_be_deleted_is_not_extended() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1", "m-2")
    scene.sqs.answers["DeleteMessageBatch"] = [first_fails("InternalError", fault=False)] * 6
    async with keeping(scene):
        handles = await scene.received()
        await asyncio.sleep(5)
        await scene.receipts.delete(handles)

    assert max(scene.sqs.times("DeleteMessageBatch")) > 15
    assert scene.sqs.made("ChangeMessageVisibilityBatch") == []
    assert logged(scene, "visibility lost") == []


@virtual
async def test_with_a_stop_a_delete_is_not_tried_for_long() -> None:
    scene = Scene(visibility=3600)
    scene.sqs.send("m-1")
    scene.sqs.answers["DeleteMessageBatch"] = [BROKEN] * 99
    handles = await scene.received()
    scene.receipts.stop()

    await scene.receipts.delete(handles)

    assert len(scene.sqs.made("DeleteMessageBatch")) == 3
    assert scene.stage.value("failed_delete_events_total") == 1


@virtual
async def test_a_handle_is_usable_as_long_as_its_message_is_kept() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1")
    (handle,) = await scene.received()
    await asyncio.sleep(29)
    assert scene.receipts.usable(handle)
    await asyncio.sleep(2)
    assert not scene.receipts.usable(handle)


# Giving back


@virtual
async def test_what_a_function_failed_is_left_to_the_queue_where_nothing_was_changed() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1")
    handles = await scene.received()
    await asyncio.sleep(5)

    await scene.receipts.give_back(handles)

    assert scene.sqs.made("ChangeMessageVisibilityBatch") == []
    assert scene.receipts.held == 0
    assert scene.stage.value("returned_events_total") == 1


@virtual
async def test_what_was_extended_gets_the_rest_of_the_queues_own_time() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1")
    async with keeping(scene):
        handles = await scene.received()
        await asyncio.sleep(20)
        await scene.receipts.give_back(handles)

    assert asked(scene) == {handles[0]: 10}


@virtual
async def test_what_was_held_for_longer_than_the_queues_own_time_is_visible_at_once() -> None:
    scene = Scene(visibility=30)
    scene.sqs.send("m-1")
    async with keeping(scene):
        handles = await scene.received()
        await asyncio.sleep(100)
        await scene.receipts.give_back(handles)

    assert asked(scene) == {handles[0]: 0}
    assert scene.sqs.visible() == ["m-1"]


@virtual
async def test_only_those_that_were_changed_are_changed_back() -> None:
    scene = Scene(visibility=30)
    async with keeping(scene):
        scene.sqs.send("old")
        old = await scene.received()
        await asyncio.sleep(20)
        scene.sqs.send("new")
        new = await scene.received()
        await scene.receipts.give_back([*old, *new])

    assert asked(scene) == {old[0]: 10}
    assert scene.stage.value("returned_events_total") == 2


# Handing back


@virtual
async def test_what_was_not_sent_is_visible_at_once() -> None:
    scene = Scene()
    scene.sqs.send(*[f"m-{number}" for number in range(12)])
    handles = await scene.received(12)

    await scene.receipts.hand_back(handles)

    assert len(scene.sqs.visible()) == 12
    assert scene.receipts.held == 0
    assert scene.stage.value("handed_back_events_total") == 12


@virtual
async def test_a_hand_back_is_tried_again_for_what_failed() -> None:
    scene = Scene()
    scene.sqs.send("m-1", "m-2")
    scene.sqs.answers["ChangeMessageVisibilityBatch"] = [BROKEN, first_fails("InternalError", fault=False)]
    first, second = await scene.received()

    await scene.receipts.hand_back([first, second])

    assert [list(asked(scene, call)) for call in range(3)] == [[first, second], [first, second], [first]]
    assert scene.sqs.times("ChangeMessageVisibilityBatch") == [0.0, 0.2, 0.6]


@virtual
async def test_a_hand_back_gives_up_after_a_while() -> None:
    scene = Scene()
    scene.sqs.send("m-1")
    scene.sqs.answers["ChangeMessageVisibilityBatch"] = [BROKEN] * 99

    await scene.receipts.hand_back(await scene.received())

    assert scene.sqs.times("ChangeMessageVisibilityBatch") == [0.0, 0.2, 0.6, 1.4]
    assert scene.receipts.held == 0
    assert scene.stage.value("handed_back_events_total") == 1


@pytest.mark.parametrize("answer", [DENIED, first_fails("ReceiptHandleIsInvalid", fault=True)])
@virtual
async def test_a_hand_back_that_cannot_work_is_not_tried_again(answer: Any) -> None:
    scene = Scene()
    scene.sqs.send("m-1")
    scene.sqs.answers["ChangeMessageVisibilityBatch"] = [answer]

    await scene.receipts.hand_back(await scene.received())

    assert len(scene.sqs.made("ChangeMessageVisibilityBatch")) == 1


@virtual
async def test_what_is_left_to_the_queue_is_not_touched() -> None:
    scene = Scene()
    scene.sqs.send("m-1")
    async with keeping(scene):
        scene.receipts.leave(await scene.received())
        await asyncio.sleep(20)

    assert scene.sqs.made("ChangeMessageVisibilityBatch") == []
    assert scene.receipts.held == 0
    assert scene.stage.value("returned_events_total") == 1
