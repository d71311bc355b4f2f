"""A topic worked off end to end: events, offsets, starts, what is given up, and what is not there."""

import asyncio
import json

import pytest

from tests.e2e.harness import Launcher, Running, until
from tests.e2e.topics import (
    at_once,
    done_by,
    fails,
    group_of,
    numbers_of,
    out_of_turn,
    records_of,
    topic_mapping,
    values,
)
from tests.servers.scripted_invoke import ScriptedInvoke, raises, succeeds
from tests.servers.topics import Topic, Topics

pytestmark = pytest.mark.server


async def committed_up_to(running: Running, events: int) -> None:
    await running.until_counted("outboard_committed_events_total", events)


async def test_a_topic_is_worked_off_in_order_and_committed(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create(4)
    await topics.put(topic, values(range(2000)))
    running = await outboard.run([topic_mapping(topic, functions.url)])
    await until(lambda: len(done_by(functions.invokes)) == 2000)
    await running.until_counted("outboard_committed_events_total", 2000)

    assert set(done_by(functions.invokes).values()) == {1}
    assert out_of_turn(functions.invokes) == []
    assert at_once(functions.invokes) == 0
    assert dict(await topics.committed(group_of(topic))) == {0: 500, 1: 500, 2: 500, 3: 500}
    shown = (await running.mappings())["orders"]
    assert (shown["state"], shown["lagRecords"], shown["sourceType"]) == ("Enabled", 0, "kafka")
    assert running.logged("checkpoint failed") == []
    running.send_signal(15)
    assert await running.ended(20) == 0


async def test_the_event_is_what_aws_sends(outboard: Launcher, topics: Topics, functions: ScriptedInvoke) -> None:
    topic = await topics.create()
    await topics.put(topic, [b"hello"], key=b"k", headers=[("h", b"ab\xc3"), ("h", b"")], timestamp_ms=1545084650987)
    await topics.put(topic, [None], key=b"k", timestamp_ms=1545084650988)
    await outboard.run([topic_mapping(topic, functions.url, BatchSize=2)])
    await until(lambda: sum(len(records_of(invoke)) for invoke in functions.invokes) == 2)

    [invoke] = functions.invokes
    place = {"topic": topic.name, "partition": 0}
    assert invoke.event == {
        "eventSource": "SelfManagedKafka",
        "bootstrapServers": topic.endpoint,
        "records": {
            f"{topic.name}-0": [
                {
                    **place,
                    "offset": 0,
                    "timestamp": 1545084650987,
                    "timestampType": "CREATE_TIME",
                    "key": "aw==",
                    "value": "aGVsbG8=",
                    "headers": [{"h": [97, 98, -61]}, {"h": []}],
                },
                {
                    **place,
                    "offset": 1,
                    "timestamp": 1545084650988,
                    "timestampType": "CREATE_TIME",
                    "key": "aw==",
                    "value": None,
                    "headers": [],
                },
            ]
        },
    }


async def test_only_what_is_listed_is_tried_again_and_the_commit_stays_before_it(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create()
    await topics.put(topic, values(range(10)))
    stuck = True
    functions.script("orders", lambda invoke: fails(invoke, {3} if stuck else ()))
    running = await outboard.run([topic_mapping(topic, functions.url, BatchSize=10)])
    shown = await running.until_state("orders", "blocked")

    assert [numbers_of(invoke) for invoke in functions.invokes][:2] == [list(range(10)), [3]]
    assert f"{topic.name}-0@3" in shown["stateReason"]
    await committed_up_to(running, 3)
    assert dict(await topics.committed(group_of(topic))) == {0: 3}
    stuck = False
    await running.until_state("orders", "Enabled")
    await committed_up_to(running, 10)
    assert dict(await topics.committed(group_of(topic))) == {0: 10}
    assert set(done_by(functions.invokes).values()) == {1}


async def test_a_poisoned_record_is_given_up_after_its_tries_and_said_where_it_stands(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create()
    await topics.put(topic, values(range(8)))
    functions.script("orders", lambda invoke: raises() if 5 in numbers_of(invoke) else succeeds())
    fields = {"MaximumRetryAttempts": 1, "BisectBatchOnFunctionError": True, "BatchSize": 8}
    running = await outboard.run([topic_mapping(topic, functions.url, **fields)])
    await committed_up_to(running, 8)

    assert sorted(done_by(functions.invokes)) == [0, 1, 2, 3, 4, 6, 7]
    [line] = running.logged("events dropped")
    assert (line["positions"], line["reason"]) == (f"{topic.name}-0@5", "retry_attempts_exhausted")
    assert (line["partition"], line["error_type"]) == ("0", "ValueError")


async def test_a_poisoned_partition_holds_up_no_other(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create(4)
    for partition in range(4):
        await topics.put(topic, values(range(100 * partition, 100 * partition + 100)), partition=partition)
    functions.script("orders", lambda invoke: raises() if 200 in numbers_of(invoke) else succeeds())
    running = await outboard.run([topic_mapping(topic, functions.url, BatchSize=10)])
    shown = await running.until_state("orders", "blocked")
    await committed_up_to(running, 300)

    assert sorted(done_by(functions.invokes)) == [*range(200), *range(300, 400)]
    assert "partition 2" in shown["stateReason"]
    assert (await running.metrics()).value("outboard_offset_lag", mapping="orders", partition="2") == 100
    assert (await running.mappings())["orders"]["lagRecords"] == 100


# Where to start


async def test_latest_begins_where_it_first_began_whatever_crashes(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create(2)
    await topics.put(topic, values(range(10)))
    functions.script("orders", raises())
    running = await outboard.run([topic_mapping(topic, functions.url, StartingPosition="LATEST")])
    await running.until_counted("outboard_rebalances_total", 1)
    running.kill()
    await topics.put(topic, values(range(10, 20)))  # while nobody is there
    functions.script("orders", succeeds())
    await outboard.again(running)
    await until(lambda: len(done_by(functions.invokes)) == 10)

    assert sorted(done_by(functions.invokes)) == list(range(10, 20))


async def test_a_moment_to_start_at(outboard: Launcher, topics: Topics, functions: ScriptedInvoke) -> None:
    topic = await topics.create()
    for number in range(10):
        await topics.put(topic, values(range(number, number + 1)), timestamp_ms=1_700_000_000_000 + 1000 * number)
    start = {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1_700_000_004}
    await outboard.run([topic_mapping(topic, functions.url, **start)])
    await until(lambda: len(done_by(functions.invokes)) == 6)

    assert sorted(done_by(functions.invokes)) == [4, 5, 6, 7, 8, 9]


async def test_a_groups_offsets_win(outboard: Launcher, topics: Topics, functions: ScriptedInvoke) -> None:
    topic = await topics.create()
    await topics.put(topic, values(range(10)))
    await topics.commit(group_of(topic), topic, {0: 7})
    await outboard.run([topic_mapping(topic, functions.url)])
    await until(lambda: len(done_by(functions.invokes)) == 3)

    assert sorted(done_by(functions.invokes)) == [7, 8, 9]


async def test_a_topic_that_comes_later_is_read_from_its_beginning(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    name = "late-orders"
    absent = Topic(name, topics.bootstrap)
    running = await outboard.run([topic_mapping(absent, functions.url, StartingPosition="LATEST")])
    shown = await running.until_state("orders", "blocked")
    assert "there is no topic late-orders" in shown["stateReason"]
    topic = await topics.create(2, name=name)
    await topics.put(topic, values(range(10)))
    await until(lambda: len(done_by(functions.invokes)) == 10)

    await running.until_state("orders", "Enabled")


async def test_a_partition_that_comes_later_is_read_from_its_beginning(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create(1)
    running = await outboard.run([topic_mapping(topic, functions.url, StartingPosition="LATEST")])
    await running.until_counted("outboard_rebalances_total", 1)
    await topics.grow(topic, 2)
    await topics.put(topic, values(range(10)), partition=1)
    await until(lambda: len(done_by(functions.invokes)) == 10, seconds=90)  # the cluster is looked at once a minute


# What is not there any more, and what never was


async def test_records_that_expired_are_counted_and_the_rest_is_read(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create()
    await topics.put(topic, values(range(20)))
    await topics.commit(group_of(topic), topic, {0: 3})
    await topics.delete_before(topic, 0, 7)
    running = await outboard.run([topic_mapping(topic, functions.url)])
    await committed_up_to(running, 13)

    assert sorted(done_by(functions.invokes)) == list(range(7, 20))
    assert (await running.metrics()).value("outboard_expired_events_total", mapping="orders") == 4
    [line] = running.logged("position reset")
    assert line["reason"] == "offset_out_of_range"


async def test_aborted_records_are_passed_over_and_the_offsets_behind_them_committed(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create()
    await topics.put_in_transaction(topic, values(range(3)), commit=True)
    await topics.put_in_transaction(topic, values(range(3, 6)), commit=False)
    await outboard.run([topic_mapping(topic, functions.url)])
    end = (await topics.ends(topic))[0]
    assert end == 8  # each transaction ends in a record of its own
    async with asyncio.timeout(20):
        while (await topics.committed(group_of(topic))).get(0) != end:  # noqa: ASYNC110 - a broker tells nobody
            await asyncio.sleep(0.2)

    assert sorted(done_by(functions.invokes)) == [0, 1, 2]


async def test_a_record_too_large_for_an_invoke_is_given_up_and_those_around_it_arrive(
    outboard: Launcher, topics: Topics, functions: ScriptedInvoke
) -> None:
    topic = await topics.create(settings={"max.message.bytes": "10000000"})
    await topics.put(topic, values(range(1)))
    await topics.put(topic, [json.dumps({"n": 1, "x": "x" * 5_000_000}).encode()])
    await topics.put(topic, values(range(2, 3)))
    running = await outboard.run([topic_mapping(topic, functions.url)])
    await committed_up_to(running, 3)

    assert sorted(done_by(functions.invokes)) == [0, 2]
    [line] = running.logged("events dropped")
    assert (line["positions"], line["reason"]) == (f"{topic.name}-0@1", "payload_too_large")


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_compressed_topics(outboard: Launcher, topics: Topics, functions: ScriptedInvoke, codec: str) -> None:
    topic = await topics.create(settings={"compression.type": codec})
    await topics.put(topic, values(range(100)))
    await outboard.run([topic_mapping(topic, functions.url)])
    await until(lambda: len(done_by(functions.invokes)) == 100)
