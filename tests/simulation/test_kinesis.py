"""The simulated Kinesis behaves as Kinesis does where that matters to who reads it, and its calls fail as calls do."""

import asyncio
import base64
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from outboard.aws.calls import Refused, TimedOut, Unreachable
from tests.simulation.events import data_of
from tests.simulation.history import Caller, History
from tests.simulation.kinesis import SimulatedKinesis
from tests.simulation.loop import EPOCH, Process, VirtualTimeLoop, run
from tests.simulation.network import Faults, Network
from tests.simulation.stream import Stream

_ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/s"
_FIRST = "shardId-000000000000"


@dataclass
class Bench:
    loop: VirtualTimeLoop
    stream: Stream
    kinesis: SimulatedKinesis
    faults: Faults
    history: History

    def put(self, *identifiers: str, key: str = "k", size: int = 0) -> None:
        for identifier in identifiers:
            self.stream.put(identifier, key, data_of(identifier, "x" * size))

    async def call(self, operation: str, **body: object) -> dict[str, Any]:
        return await self.kinesis.call(operation, body)

    async def listed(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        answer = await self.call("ListShards", StreamName="s", StreamARN=_ARN)
        while token := answer.get("NextToken"):
            shards += answer["Shards"]
            answer = await self.call("ListShards", NextToken=token)
        return shards + answer["Shards"]

    async def iterator(self, shard: str = _FIRST, kind: str = "TRIM_HORIZON", **at: object) -> str:
        answer = await self.call("GetShardIterator", StreamName="s", ShardId=shard, ShardIteratorType=kind, **at)
        return str(answer["ShardIterator"])

    async def read(self, iterator: str, limit: int = 100) -> dict[str, Any]:
        return await self.call("GetRecords", ShardIterator=iterator, Limit=limit, StreamARN=_ARN)

    async def ids(self, shard: str = _FIRST, kind: str = "TRIM_HORIZON", **at: object) -> list[str]:
        page = await self.read(await self.iterator(shard, kind, **at))
        return [base64.b64decode(record["Data"]).decode().partition(":")[0] for record in page["Records"]]


def with_stream(body: Callable[[Bench], Awaitable[Any]], *, shards: int = 1, seed: int = 1) -> Any:
    async def main(loop: VirtualTimeLoop) -> Any:
        history, faults = History(), Faults()
        stream = Stream(loop, random.Random(seed), "s", shards=shards)
        network = Network(loop, random.Random(2), faults, history)
        kinesis = SimulatedKinesis(stream, Caller(Process("p"), "s0"), network)
        return await body(Bench(loop, stream, kinesis, faults, history))

    return run(main)


def test_a_record_has_the_shape_of_kinesis() -> None:
    async def body(bench: Bench) -> dict[str, Any]:
        bench.put("a")
        page = await bench.read(await bench.iterator())
        return page | {"NextShardIterator": type(page["NextShardIterator"])}

    page = with_stream(body)
    (record,) = page["Records"]
    assert record == {
        "SequenceNumber": record["SequenceNumber"],
        "ApproximateArrivalTimestamp": EPOCH,
        "Data": base64.b64encode(b"a:").decode(),
        "PartitionKey": "k",
    }
    assert record["SequenceNumber"].isdigit()
    assert (page["MillisBehindLatest"], page["NextShardIterator"]) == (0, str)


def test_sequence_numbers_ascend_as_numbers_and_in_some_shards_not_as_text() -> None:
    async def body(bench: Bench) -> list[str]:
        bench.put(*map(str, range(30)))
        return [str(entry.sequence) for entry in bench.stream.ever.values()]

    found = [with_stream(body, seed=seed) for seed in range(10)]
    assert all(numbers == sorted(numbers, key=int) for numbers in found)
    assert sum(numbers != sorted(numbers) for numbers in found) >= 5


def test_records_with_one_key_are_in_one_shard_and_the_keys_are_spread() -> None:
    async def body(bench: Bench) -> dict[str, set[str]]:
        for number in range(40):
            bench.put(f"r{number}", key=f"k{number % 8}")
        shards: dict[str, set[str]] = {}
        for entry in bench.stream.ever.values():
            shards.setdefault(entry.key, set()).add(entry.shard.id)
        return shards

    shards = with_stream(body, shards=3)
    assert [len(found) for found in shards.values()] == [1] * 8
    assert len(set.union(*shards.values())) == 3


def test_an_iterator_starts_where_it_is_told_to() -> None:
    async def body(bench: Bench) -> list[list[str]]:
        bench.put("a", "b")
        await asyncio.sleep(5.0)
        bench.put("c")
        number = str(bench.stream.ever["a"].sequence)
        return [
            await bench.ids(),
            await bench.ids(kind="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number),
            await bench.ids(kind="AT_TIMESTAMP", Timestamp=EPOCH + 1.5),
            await bench.ids(kind="AT_TIMESTAMP", Timestamp=EPOCH + 5.0),
            await bench.ids(kind="AT_TIMESTAMP", Timestamp=EPOCH + 5.001),
        ]

    assert with_stream(body) == [["a", "b", "c"], ["b", "c"], ["c"], ["c"], []]


@pytest.mark.parametrize(
    ("kind", "at"),
    [
        ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": "7"}),
        ("AT_TIMESTAMP", {"Timestamp": EPOCH + 60.0}),
    ],
)
def test_a_position_that_the_shard_does_not_know_is_refused(kind: str, at: dict[str, object]) -> None:
    async def body(bench: Bench) -> tuple[str, list[str]]:
        bench.put("a")
        with pytest.raises(Refused) as refused:
            await bench.iterator(kind=kind, **at)
        return refused.value.code, bench.history.illegal

    assert with_stream(body) == ("InvalidArgumentException", [])


def test_pages_go_on_where_the_last_one_ended_and_say_what_is_behind() -> None:
    async def body(bench: Bench) -> list[tuple[int, bool]]:
        bench.put("a", "b", "c")
        await asyncio.sleep(2.0)
        pages = [await bench.read(await bench.iterator(), limit=2)]
        pages.append(await bench.read(pages[0]["NextShardIterator"], limit=2))
        return [(len(page["Records"]), page["MillisBehindLatest"] > 1999) for page in pages]

    assert with_stream(body) == [(2, True), (1, False)]


def test_a_page_has_ten_megabytes_at_most() -> None:
    async def body(bench: Bench) -> int:
        bench.put(*map(str, range(12)), size=1_000_000)
        return len((await bench.read(await bench.iterator()))["Records"])

    assert with_stream(body) == 10


def test_a_page_may_be_empty_although_there_is_more() -> None:
    async def body(bench: Bench) -> tuple[int, bool, list[str]]:
        bench.put("a")
        bench.stream.empty_pages = 1.0
        page = await bench.read(await bench.iterator())
        bench.stream.empty_pages = 0.0
        page_after = await bench.read(page["NextShardIterator"])
        return len(page["Records"]), page["MillisBehindLatest"] > 0, [r["PartitionKey"] for r in page_after["Records"]]

    assert with_stream(body) == (0, True, ["k"])


def test_an_iterator_expires_after_five_minutes() -> None:
    async def body(bench: Bench) -> tuple[int, str]:
        iterator = await bench.iterator()
        await asyncio.sleep(299.0)
        page = await bench.read(iterator)
        await asyncio.sleep(301.0)
        with pytest.raises(Refused) as refused:
            await bench.read(page["NextShardIterator"])
        return len(page["Records"]), refused.value.code

    assert with_stream(body) == (0, "ExpiredIteratorException")


def test_the_sixth_read_of_a_shard_within_a_second_is_throttled() -> None:
    async def body(bench: Bench) -> list[str]:
        first, second = await bench.iterator(), await bench.iterator("shardId-000000000001")
        codes = []
        for iterator in (*[first] * 6, second):
            try:
                await bench.read(iterator)
                codes.append("")
            except Refused as refused:
                codes.append(refused.code)
        await asyncio.sleep(1.0)
        await bench.read(first)
        return codes

    assert with_stream(body, shards=2) == [*[""] * 5, "ProvisionedThroughputExceededException", ""]


def test_a_split_closes_the_shard_and_names_it_as_the_parent_of_two() -> None:
    async def body(bench: Bench) -> tuple[Any, Any]:
        bench.put("before")
        bench.stream.split(bench.stream.shards[_FIRST])
        for number in range(20):
            bench.put(f"after-{number}", key=f"k{number}")
        page = await bench.read(await bench.iterator())
        parents = [(shard["ShardId"][-1], shard.get("ParentShardId", "")[-1:]) for shard in await bench.listed()]
        children = [(child["ShardId"][-1], child["ParentShards"]) for child in page["ChildShards"]]
        return parents, (len(page["Records"]), "NextShardIterator" in page, children)

    parents, page = with_stream(body)
    assert parents == [("0", ""), ("1", "0"), ("2", "0")]
    assert page == (1, False, [("1", [_FIRST]), ("2", [_FIRST])])


def test_a_merge_has_two_parents_and_an_end_may_name_no_children() -> None:
    async def body(bench: Bench) -> tuple[Any, Any]:
        bench.stream.tells_children = False
        bench.stream.merge(*bench.stream.open_shards)
        child = (await bench.listed())[-1]
        page = await bench.read(await bench.iterator())
        return (child["ParentShardId"][-1], child["AdjacentParentShardId"][-1]), page

    parents, page = with_stream(body, shards=2)
    assert parents == ("0", "1")
    assert page == {"Records": [], "MillisBehindLatest": 0}


def test_sequence_numbers_of_children_are_above_those_of_their_parents() -> None:
    async def body(bench: Bench) -> list[int]:
        for generation in range(4):
            bench.put(*(f"{generation}-{number}" for number in range(20)))
            bench.stream.split(next(shard for shard in bench.stream.open_shards if shard.entries))
        return [entry.sequence for entry in bench.stream.ever.values()]

    found = with_stream(body)
    assert found == sorted(found)


def test_a_long_listing_comes_in_pages() -> None:
    async def body(bench: Bench) -> tuple[int, int]:
        bench.stream.listed_at_once = 2
        return len(await bench.listed()), sum(one.operation == "ListShards" for one in bench.history.exchanges)

    assert with_stream(body, shards=5) == (5, 3)


def test_trimmed_shards_are_not_listed_and_cannot_be_read() -> None:
    async def body(bench: Bench) -> tuple[list[str], str, bool]:
        bench.put("a")
        iterator = await bench.iterator()
        bench.stream.split(bench.stream.shards[_FIRST])
        bench.stream.trim()
        with pytest.raises(Refused) as refused:
            await bench.read(iterator)
        gone = bench.stream.ever["a"].gone is not None
        return [shard["ShardId"][-1] for shard in await bench.listed()], refused.value.code, gone

    assert with_stream(body) == (["1", "2"], "ResourceNotFoundException", True)


def test_what_is_trimmed_of_an_open_shard_is_passed_over() -> None:
    async def body(bench: Bench) -> list[list[str]]:
        bench.put("a", "b", "c")
        bench.stream._lose(bench.stream.shards[_FIRST], 2)
        number = str(bench.stream.ever["a"].sequence)
        after = await bench.ids(kind="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number)
        return [await bench.ids(), after]

    assert with_stream(body) == [["c"], ["c"]]


def test_a_deleted_stream_is_not_found_and_another_one_of_its_name_is_a_different_one() -> None:
    async def body(bench: Bench) -> tuple[str, str, bool, list[str]]:
        bench.put("a")
        number, created = str(bench.stream.ever["a"].sequence), bench.stream.created
        bench.stream.delete()
        with pytest.raises(Refused) as missing:
            await bench.iterator()
        await asyncio.sleep(1.0)
        bench.stream.create()
        bench.stream.status = "ACTIVE"
        bench.put("b")
        with pytest.raises(Refused) as unknown:
            await bench.iterator(kind="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number)
        return missing.value.code, unknown.value.code, bench.stream.created > created, await bench.ids()

    assert with_stream(body) == ("ResourceNotFoundException", "InvalidArgumentException", True, ["b"])


def test_a_stream_that_is_being_created_can_be_described_and_not_read() -> None:
    async def body(bench: Bench) -> tuple[str, str]:
        bench.stream.status = "CREATING"
        described = await bench.call("DescribeStreamSummary", StreamName="s")
        with pytest.raises(Refused) as refused:
            await bench.listed()
        return described["StreamDescriptionSummary"]["StreamStatus"], refused.value.code

    assert with_stream(body) == ("CREATING", "ResourceInUseException")


@pytest.mark.parametrize(
    ("fault", "error", "took_a_read"),
    [
        ("refused", Unreachable, False),
        ("reset", Unreachable, False),
        ("lost", Unreachable, True),
        ("throttled", Refused, False),
        ("failed", Refused, False),
        ("silent", TimedOut, False),
        ("mute", TimedOut, True),
    ],
)
def test_a_failed_read_counts_at_the_shard_or_not(fault: str, error: type[Exception], took_a_read: bool) -> None:
    async def body(bench: Bench) -> bool:
        iterator = await bench.iterator()
        bench.faults.always = fault
        with pytest.raises(error):
            await bench.read(iterator)
        return bool(bench.stream.shards[_FIRST].reads)

    assert with_stream(body) is took_a_read


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("GetRecords", {"ShardIterator": "made up"}),
        ("GetRecords", {"Limit": 0}),
        ("GetRecords", {"StreamName": "s"}),
        ("ListShards", {"StreamName": "another"}),
        ("ListShards", {"StreamName": "s", "NextToken": f"token-{_FIRST}"}),
        ("GetShardIterator", {"StreamName": "s", "ShardId": _FIRST, "ShardIteratorType": "AT_TIMESTAMP"}),
        ("PutRecord", {"StreamName": "s"}),
    ],
)
def test_an_illegal_request_is_noted(operation: str, body: dict[str, object]) -> None:
    async def make(bench: Bench) -> list[str]:
        with pytest.raises(Refused):
            await bench.call(operation, **body)
        return bench.history.illegal

    assert len(with_stream(make)) == 1
