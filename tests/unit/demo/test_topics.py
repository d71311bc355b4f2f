"""The demo's topic, on the demo's own broker; what became of its records is asked of the functions' notes."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from outboard.demo import broker, parts
from outboard.demo.load import message
from outboard.demo.parts import PartError
from outboard.demo.topics import FUNCTIONS, GROUP, INVOICES, PARTITIONS, TRIES, Topics, connected
from outboard.demo.worker import handler_at
from tests.servers.availability import NOT_HERE

PROGRAM = broker.program()
SENT = [message(INVOICES, number) for number in range(1, 61)]
IDENTIFIERS = [each.identifier for each in SENT]
ALL = [TopicPartition(INVOICES.name, partition) for partition in range(PARTITIONS)]


@dataclass(frozen=True, slots=True)
class Bench:
    """The demo's topic, a consumer of the mapping's group that is no member, and the file that the audit reads."""

    source: Topics
    consumer: AIOKafkaConsumer
    notes: Path

    def note(self, *lines: str) -> None:
        with self.notes.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    async def content(self) -> dict[int, list[str]]:
        """Partition -> the identifiers in it, in order; the offsets are 0, 1, 2."""
        await self.consumer.seek_to_beginning()
        found: dict[int, list[str]] = {partition: [] for partition in range(PARTITIONS)}
        while sum(map(len, found.values())) < len(SENT):
            for place, records in (await self.consumer.getmany(timeout_ms=200)).items():
                inside = found[place.partition]
                assert [each.offset for each in records] == [*range(len(inside), len(inside) + len(records))]
                inside += [json.loads(each.value)["id"] for each in records]
        return found


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    if PROGRAM is None:
        pytest.skip(f"{NOT_HERE}the Kafka broker of the extra")
    notes = tmp_path / "ledger.txt"
    async with broker.serving(PROGRAM, tmp_path) as (_part, address), connected(address, notes) as source:
        await source.create()
        consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=GROUP, enable_auto_commit=False)
        await consumer.start()
        consumer.assign(ALL)
        yield Bench(source, consumer, notes)
        await consumer.stop()


def test_the_mapping_s_function_exists() -> None:
    assert str(INVOICES.mapping["FunctionName"]) in FUNCTIONS
    assert [callable(handler_at(path)) for path in FUNCTIONS.values()] == [True]


async def test_records_go_to_every_partition_in_order_and_those_of_a_key_to_one(bench: Bench) -> None:
    await bench.source.send(INVOICES, SENT[:30])
    await bench.source.send(INVOICES, SENT[30:])

    content = await bench.content()
    keys = {each.identifier: each.key for each in SENT}
    assert all(content.values())
    assert sorted(chain(*content.values())) == IDENTIFIERS
    assert all(sorted(inside) == inside for inside in content.values())
    assert sum(len({keys[each] for each in inside}) for inside in content.values()) == len(set(keys.values()))


async def test_the_backlog_is_what_the_functions_have_not_finished_and_not_tried_to_the_end(bench: Bench) -> None:
    await bench.source.send(INVOICES, SENT[:5])
    bench.note(f"finished {IDENTIFIERS[0]}", f"failed {IDENTIFIERS[1]}", "finished orders-000001")
    bench.note(*[f"failed-alone {IDENTIFIERS[2]}"] * TRIES, *[f"failed-alone {IDENTIFIERS[3]}"] * (TRIES - 1))

    assert await bench.source.backlog(INVOICES) == 3
    assert await bench.source.given_up(INVOICES) == [IDENTIFIERS[2]]


async def test_what_is_left_is_behind_the_offsets_of_the_group(bench: Bench) -> None:
    await bench.source.send(INVOICES, SENT)
    content = await bench.content()
    await bench.consumer.commit({ALL[0]: 1, ALL[1]: 0, ALL[2]: len(content[2])})  # the fourth has none

    assert sorted(await bench.source.left(INVOICES)) == sorted(content[0][1:] + content[1] + content[3])
    assert await bench.source.given_up(INVOICES) == []


async def test_nothing_was_given_up_by_a_service_that_only_skipped_it(bench: Bench) -> None:
    await bench.source.send(INVOICES, SENT)
    await bench.consumer.commit(dict.fromkeys(ALL, len(SENT)))

    assert (await bench.source.given_up(INVOICES), await bench.source.left(INVOICES)) == ([], [])
    assert await bench.source.backlog(INVOICES) == len(SENT)


async def test_the_mapping_reads_the_broker_that_runs(bench: Bench) -> None:
    [workload] = bench.source.workloads

    endpoints = workload.mapping["SelfManagedEventSource"]
    assert (workload.name, workload.tries) == (INVOICES.name, TRIES)
    assert json.dumps(endpoints).startswith('{"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["127.0.0.1:')


async def test_a_topic_that_cannot_be_created_is_a_sentence(bench: Bench) -> None:
    with pytest.raises(PartError, match=r"^The demo could not create the topic invoices: .*AlreadyExists"):
        await bench.source.create()


async def test_a_broker_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PartError, match=r"^The demo could not reach the broker of the topic invoices: "):
        async with connected(f"127.0.0.1:{parts.free_port()}", tmp_path / "ledger.txt"):
            pass
