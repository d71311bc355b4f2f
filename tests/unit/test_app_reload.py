"""A configuration is exchanged while the service runs: what it does not change goes on, the rest drains and starts anew."""

import asyncio
from typing import Any

import orjson
import pytest

from outboard.app import Outboard
from outboard.aws.calls import CallFailed, InvokeReply
from outboard.config.loading import parse
from tests.unit.sources.kinesis.fake import FIRST
from tests.unit.test_app import CLICKS, ORDERS, SUCCESS, World, invoked, states
from tests.unit.virtual import virtual

OTHERS = """  - Name: others
    EventSourceArn: arn:aws:sqs:eu-central-1:123456789012:others
    FunctionName: arn:aws:lambda:us-east-1:999999999999:function:others
"""


def put(outboard: Outboard, text: str) -> bool:
    return outboard.reload(parse({"outboard.yaml": text}))


def value(world: World, metric: str, **labels: str) -> float | None:
    return world.metrics.registry.get_sample_value(f"outboard_{metric}", labels)


def bodies(world: World) -> list[list[str]]:
    payloads = [orjson.loads(payload) for _, _, payload, _ in world.connections.functions.invokes]
    return [[event["messageId"] for event in payload["Records"]] for payload in payloads]


@virtual
async def test_an_added_mapping_starts_and_the_others_are_not_touched() -> None:
    world = World(ORDERS)
    world.connections.functions.seconds = 3
    world.connections.queue("eu-west-1").send("m-1")
    world.connections.queue("eu-central-1").send("m-2")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, ORDERS + OTHERS)
        await asyncio.sleep(5)
        assert states(outboard) == {"orders": "Enabled", "others": "Enabled"}
        receives = world.connections.queue("eu-west-1").times("ReceiveMessage")

    assert sorted(bodies(world)) == [["m-1"], ["m-2"]]
    assert world.connections.asked.count(("sqs", "eu-west-1", None)) == 1
    assert receives[0] < 1
    assert [(line["added"], line["removed"], line["changed"]) for line in world.logged("configuration reloaded")] == [
        (1, 0, 0)
    ]


@virtual
async def test_a_removed_mapping_finishes_its_invoke_and_then_is_gone_with_its_series() -> None:
    world = World(ORDERS + OTHERS)
    world.connections.functions.seconds = 30
    queue = world.connections.queue("eu-central-1")
    queue.send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, ORDERS)
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Enabled", "others": "Deleting"}
        assert value(world, "mapping_state", mapping="others", state="Deleting") == 1
        await asyncio.sleep(40)
        assert states(outboard) == {"orders": "Enabled"}
        assert [shown["FunctionArn"].rpartition(":")[2] for shown in listed(outboard)] == ["live"]
        assert value(world, "polled_events_total", mapping="others") is None

    assert queue.deleted == ["m-1"]
    assert bodies(world) == [["m-1"]]


def listed(outboard: Outboard) -> list[dict[str, Any]]:
    return [dict(shown) for shown in outboard.listing()]


@virtual
async def test_a_changed_mapping_drains_as_it_was_and_starts_anew_as_it_is() -> None:
    world = World(ORDERS)
    world.connections.functions.seconds = 30
    queue = world.connections.queue("eu-west-1")
    queue.send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, ORDERS.replace("BatchSize: 5", "BatchSize: 1"))
        queue.send("m-2", "m-3")
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Updating"}
        await asyncio.sleep(31)
        assert states(outboard) == {"orders": "Enabled"}
        assert value(world, "mapping_info", **labels(outboard, batch_size="1")) == 1
        queue.send("m-4", "m-5")
        await asyncio.sleep(90)

    # What a long poll under way brings is sent as it was: given back, it would count as received once more.
    assert sorted(bodies(world)) == [["m-1"], ["m-2", "m-3"], ["m-4"], ["m-5"]]
    assert sorted(queue.deleted) == ["m-1", "m-2", "m-3", "m-4", "m-5"]
    assert {message.receives for message in queue.messages.values()} <= {1}
    assert value(world, "handed_back_events_total", mapping="orders") == 0


@virtual
async def test_what_is_throttled_while_its_mapping_drains_is_given_back_to_the_next() -> None:
    world = World(ORDERS)
    world.connections.functions.reply = InvokeReply(429, {}, b'{"message": "Rate Exceeded."}')
    queue = world.connections.queue("eu-west-1")
    queue.send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(0.01)
        assert put(outboard, ORDERS.replace("BatchSize: 5", "BatchSize: 1"))
        world.connections.functions.reply = SUCCESS
        await asyncio.sleep(1)
        assert queue.made("ChangeMessageVisibilityBatch")[0]["Entries"][0]["VisibilityTimeout"] == 0
        await asyncio.sleep(30)
        assert states(outboard) == {"orders": "Enabled"}

    assert bodies(world) == [["m-1"], ["m-1"]]
    assert queue.deleted == ["m-1"]


@virtual
async def test_at_the_end_of_the_process_a_mapping_that_drains_begins_nothing_more() -> None:
    world = World(ORDERS)
    queue = world.connections.queue("eu-west-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, OTHERS_ALONE)
        await asyncio.sleep(1)
        outboard.stop("SIGTERM")
        queue.send("m-1")

    assert bodies(world) == []
    assert queue.made("ChangeMessageVisibilityBatch")[0]["Entries"][0]["VisibilityTimeout"] == 0


@virtual
async def test_after_the_time_to_drain_a_mapping_that_goes_begins_nothing_more() -> None:
    brief = "Shutdown:\n  DrainTimeoutSeconds: 5\n"
    world = World(brief + ORDERS)
    queue = world.connections.queue("eu-west-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, brief + OTHERS_ALONE)
        await asyncio.sleep(6)
        queue.send("m-1")
        await asyncio.sleep(1)
        assert states(outboard)["others"] == "Enabled"

    assert bodies(world) == []
    assert queue.made("ChangeMessageVisibilityBatch")[0]["Entries"][0]["VisibilityTimeout"] == 0


def labels(outboard: Outboard, **more: str) -> dict[str, str]:
    (shown,) = outboard.mappings()
    return {
        "mapping": "orders",
        "uuid": str(shown["uuid"]),
        "source_type": "sqs",
        "function_arn": "arn:aws:lambda:eu-west-1:123456789012:function:process-orders:live",
        "event_source_arn": "arn:aws:sqs:eu-west-1:123456789012:orders",
        **more,
    }


@virtual
async def test_changes_that_come_faster_than_the_drain_end_with_the_last_one() -> None:
    world = World(ORDERS)
    world.connections.functions.seconds = 30
    queue = world.connections.queue("eu-west-1")
    queue.send("m-1")
    async with world.running() as outboard:
        for size in (4, 3, 2):
            await asyncio.sleep(1)
            assert put(outboard, ORDERS.replace("BatchSize: 5", f"BatchSize: {size}"))
        assert states(outboard) == {"orders": "Updating"}
        await asyncio.sleep(40)
        assert [shown["BatchSize"] for shown in listed(outboard)] == [2]

    assert {body["MaxNumberOfMessages"] for body in queue.made("ReceiveMessage")} == {5, 2}


@virtual
async def test_a_mapping_under_another_name_but_with_its_uuid_waits_for_the_old_one() -> None:
    uuid = "    UUID: 11111111-2222-4333-8444-555555555555\n"
    world = World(ORDERS + uuid)
    world.connections.functions.seconds = 30
    world.connections.queue("eu-west-1").send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, (ORDERS + uuid).replace("Name: orders", "Name: renamed"))
        assert states(outboard) == {"orders": "Updating"}
        await asyncio.sleep(31)
        assert states(outboard) == {"renamed": "Enabled"}
        assert value(world, "polled_events_total", mapping="orders") is None
        assert value(world, "polled_events_total", mapping="renamed") == 0


@virtual
async def test_a_mapping_that_gets_a_uuid_of_its_own_waits_for_the_one_that_had_its_name() -> None:
    world = World(ORDERS)
    world.connections.functions.seconds = 30
    world.connections.queue("eu-west-1").send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, ORDERS + "    UUID: 11111111-2222-4333-8444-555555555555\n")
        assert states(outboard) == {"orders": "Deleting"}
        await asyncio.sleep(31)
        assert states(outboard) == {"orders": "Enabled"}
        assert value(world, "polled_events_total", mapping="orders") == 0


@virtual
async def test_a_mapping_is_switched_off_and_on() -> None:
    world = World(ORDERS)
    queue = world.connections.queue("eu-west-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, ORDERS + "    Enabled: false\n")
        await asyncio.sleep(21)
        assert states(outboard) == {"orders": "Disabled"}
        queue.send("m-1")
        await asyncio.sleep(30)
        assert put(outboard, ORDERS)
        await asyncio.sleep(5)
        assert states(outboard) == {"orders": "Enabled"}

    assert queue.deleted == ["m-1"]


@virtual
async def test_a_bad_configuration_is_refused_and_the_old_one_runs_on() -> None:
    world = World(ORDERS)
    queue = world.connections.queue("eu-west-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        before = outboard.config_hash
        assert not put(outboard, ORDERS.replace("BatchSize: 5", "BatchSize: 0") + OTHERS)
        queue.send("m-1")
        await asyncio.sleep(2)
        assert states(outboard) == {"orders": "Enabled"}
        assert outboard.config_hash == before
        told = outboard.last_reload
        assert told is not None
        assert not told["successful"]
        (problem,) = told["problems"]
        assert problem.startswith("outboard.yaml:6: mapping orders: BatchSize: ")
        assert value(world, "config_last_reload_successful") == 0
        assert value(world, "config_reloads_total", result="refused") == 1
        assert put(outboard, ORDERS)
        assert outboard.last_reload is not None
        assert outboard.last_reload["successful"]
        assert value(world, "config_last_reload_successful") == 1

    assert queue.deleted == ["m-1"]
    assert [line["problems"] for line in world.logged("configuration refused")] == [[problem]]


@virtual
async def test_a_configuration_without_any_mapping_is_refused() -> None:
    world = World(ORDERS)
    async with world.running() as outboard:
        assert not put(outboard, "EventSourceMappings: []\n")
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Enabled"}
        assert outboard.last_reload is not None
        assert outboard.last_reload["problems"] == [
            "outboard.yaml: EventSourceMappings: lists no mapping; add at least one"
        ]


@virtual
async def test_a_streams_changed_mapping_goes_on_where_it_was() -> None:
    world = World(CLICKS)
    world.connections.stream.put(FIRST, "a", "b")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, CLICKS + "    BatchSize: 1\n")
        await asyncio.sleep(1)
        world.connections.stream.put(FIRST, "c", "d")
        await asyncio.sleep(2)

    numbers = [int(event["kinesis"]["sequenceNumber"]) for event in invoked(world)]
    assert len(numbers) == 4
    assert numbers == sorted(numbers)


@virtual
async def test_blocks_that_are_taken_up_at_the_start_alone_are_told_of_until_they_are_as_they_were() -> None:
    world = World(ORDERS)
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, "Server: {Port: 9999}\n" + ORDERS)
        assert outboard.last_reload is not None
        assert outboard.last_reload["restartNeeded"] == ["Server"]
        assert value(world, "config_restart_required") == 1
        assert put(outboard, ORDERS)
        assert outboard.last_reload["restartNeeded"] == []
        assert value(world, "config_restart_required") == 0

    assert [line["fields"] for line in world.logged("restart needed")] == [["Server"]]


@virtual
async def test_a_new_drain_time_out_counts_from_the_reload_on() -> None:
    world = World(ORDERS)
    world.connections.functions.seconds = 600
    world.connections.queue("eu-west-1").send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, "Shutdown: {DrainTimeoutSeconds: 5}\n" + ORDERS)
        outboard.stop("SIGTERM")

    assert world.outcome == {"orders": 1}
    assert asyncio.get_running_loop().time() == pytest.approx(1006)


@virtual
async def test_more_time_to_drain_waits_for_a_restart() -> None:
    world = World("Shutdown: {DrainTimeoutSeconds: 5}\n" + ORDERS)
    world.connections.functions.seconds = 600
    world.connections.queue("eu-west-1").send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, "Shutdown: {DrainTimeoutSeconds: 60}\n" + ORDERS)
        assert outboard.last_reload is not None
        assert outboard.last_reload["restartNeeded"] == ["Shutdown"]
        outboard.stop("SIGTERM")

    assert asyncio.get_running_loop().time() == pytest.approx(1006)


@virtual
async def test_while_the_service_drains_nothing_is_reloaded() -> None:
    world = World(ORDERS)
    world.connections.functions.seconds = 30
    world.connections.queue("eu-west-1").send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        outboard.stop("SIGTERM")
        assert not put(outboard, ORDERS + OTHERS)
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Disabling"}


@virtual
async def test_a_mapping_that_does_not_drain_is_ended_after_its_invoke_must_have() -> None:
    world = World(ORDERS + "    InvokeTimeoutSeconds: 60\n")
    queue = world.connections.queue("eu-west-1")
    queue.seconds["DeleteMessage"] = 10_000
    queue.seconds["DeleteMessageBatch"] = 10_000
    queue.send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, OTHERS_ALONE)
        await asyncio.sleep(198)
        assert states(outboard) == {"orders": "Deleting", "others": "Enabled"}
        await asyncio.sleep(4)
        assert states(outboard) == {"others": "Enabled"}


OTHERS_ALONE = "EventSourceMappings:\n" + OTHERS


@virtual
async def test_a_mapping_shown_as_failed_since_the_start_is_mended_by_a_reload() -> None:
    world = World(ORDERS + OTHERS.replace("FunctionName", "Functionname"))
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Enabled", "others": "Failed"}
        assert put(outboard, ORDERS + OTHERS)
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Enabled", "others": "Enabled"}


@virtual
async def test_memory_is_given_to_the_others_when_a_mapping_goes() -> None:
    world = World(ORDERS + OTHERS)
    async with world.running() as outboard:
        for _ in range(50):
            await asyncio.sleep(25)
            assert put(outboard, ORDERS)
            await asyncio.sleep(25)
            assert put(outboard, ORDERS + OTHERS)
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Enabled", "others": "Enabled"}
        assert len(outboard.mappings()) == 2


@virtual
async def test_a_renamed_mapping_waits_until_what_the_old_one_has_under_way_from_the_source_is_done() -> None:
    world = World(ORDERS)
    world.connections.functions.seconds = 30
    world.connections.queue("eu-west-1").send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert put(outboard, ORDERS.replace("Name: orders", "Name: renamed"))
        assert states(outboard) == {"orders": "Deleting"}
        await asyncio.sleep(31)
        assert states(outboard) == {"renamed": "Enabled"}


@virtual
async def test_a_state_that_a_reload_opened_is_the_one_that_later_reloads_are_measured_against() -> None:
    world = World(ORDERS)
    elsewhere = "State: {Path: /tmp/elsewhere.db}\n"
    both = CLICKS + ORDERS.partition("\n")[2]
    async with world.running() as outboard:
        await asyncio.sleep(1)
        loaded = parse({"outboard.yaml": elsewhere + both})
        state = outboard.missing_state(loaded)
        assert state is not None
        assert state.path == "/tmp/elsewhere.db"
        outboard.keep_positions(world.checkpoints, state)
        assert outboard.reload(loaded)
        assert outboard.last_reload is not None
        assert outboard.last_reload["restartNeeded"] == []
        assert not put(outboard, both.replace("TRIM_HORIZON", "TRIM_HORIZON\n    BatchSize: 7"))
        assert put(outboard, both)
        assert outboard.last_reload["restartNeeded"] == ["State"]


@virtual
async def test_a_mapping_that_could_not_be_begun_is_begun_by_the_next_reload_as_it_is() -> None:
    world = World(ORDERS + OTHERS)
    world.connections.refused["us-east-1"] = CallFailed("InvalidEndpoint", "the endpoint is wrong")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Enabled", "others": "Failed"}
        world.connections.refused.clear()
        assert put(outboard, ORDERS + OTHERS)
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Enabled", "others": "Enabled"}


@virtual
async def test_a_stream_that_is_changed_while_nothing_can_be_saved_goes_on() -> None:
    world = World(CLICKS)
    async with world.running() as outboard:
        await asyncio.sleep(2)
        world.checkpoints.failing = True
        world.connections.stream.put(FIRST, "a")
        await asyncio.sleep(2)
        assert put(outboard, CLICKS + "    BatchSize: 7\n")
        world.connections.stream.put(FIRST, "b")
        await asyncio.sleep(5)
        assert states(outboard) == {"clicks": "Enabled"}
        assert len(invoked(world)) == 2
        world.checkpoints.failing = False
        world.checkpoints.mended.set()
