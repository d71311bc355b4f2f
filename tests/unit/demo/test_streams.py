"""The demo's stream, on the demo's own server; what became of its records is asked of the functions' notes."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from outboard.core.shards import After, Beginning, End, Since
from outboard.demo import parts
from outboard.demo.clients import client
from outboard.demo.load import message
from outboard.demo.parts import PartError
from outboard.demo.streams import FUNCTIONS, PARCELS, SHARDS, TRIES, Streams, connected, stored_positions
from outboard.demo.worker import handler_at
from outboard.state.sqlite import open_checkpoints

ARN = str(PARCELS.mapping["EventSourceArn"])
SENT = [message(PARCELS, number) for number in range(1, 41)]
IDENTIFIERS = [each.identifier for each in SENT]


class Silence:
    """Hears whether positions could be saved."""

    def failed(self, error_type: str, message: str) -> None:
        raise AssertionError(message)

    def saved(self) -> None: ...


async def store(state: Path, positions: dict[str, str], *, stream: str = ARN) -> None:
    """Keep positions as the service does."""
    async with open_checkpoints(str(state), Silence()) as checkpoints:
        checkpoints.save("uuid", f"{stream}@1795595347.605", positions)
        checkpoints.save("uuid", stream, {"": "TRIM_HORIZON"})
        await checkpoints.saved()


@dataclass(frozen=True, slots=True)
class Bench:
    """The demo's stream, another client of its server, and the files that its audit reads."""

    source: Streams
    client: Any
    notes: Path
    state: Path

    def note(self, *lines: str) -> None:
        with self.notes.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    async def content(self) -> dict[str, list[str]]:
        """Shard -> the identifiers in it, in order; the sequence numbers are 1, 2, 3."""
        shards = (await self.client.list_shards(StreamName=PARCELS.name))["Shards"]
        return {shard["ShardId"]: await self._read(shard["ShardId"]) for shard in shards}

    async def _read(self, shard: str) -> list[str]:
        answer = await self.client.get_shard_iterator(
            StreamName=PARCELS.name, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )
        page = await self.client.get_records(ShardIterator=answer["ShardIterator"])
        assert [int(record["SequenceNumber"]) for record in page["Records"]] == [*range(1, len(page["Records"]) + 1)]
        return [json.loads(record["Data"])["id"] for record in page["Records"]]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    notes, state = tmp_path / "ledger.txt", tmp_path / "outboard.db"
    async with parts.aws_server(tmp_path) as (_part, url):
        access = (url, "key", "secret")
        async with connected(*access, notes, state) as source, client("kinesis", *access) as other:
            await source.create()
            yield Bench(source, other, notes, state)


def test_the_mapping_s_function_exists() -> None:
    assert str(PARCELS.mapping["FunctionName"]) in FUNCTIONS
    assert [callable(handler_at(path)) for path in FUNCTIONS.values()] == [True]


async def test_records_go_to_every_shard_in_order_and_those_of_a_key_to_one(bench: Bench) -> None:
    await bench.source.send(PARCELS, SENT[:20])
    await bench.source.send(PARCELS, SENT[20:])

    content = await bench.content()
    keys = {each.identifier: each.key for each in SENT}
    assert [len(content), all(content.values())] == [SHARDS, True]
    assert sorted(chain(*content.values())) == IDENTIFIERS
    assert all(sorted(inside) == inside for inside in content.values())
    assert sum(len({keys[each] for each in inside}) for inside in content.values()) == len(set(keys.values()))


async def test_the_backlog_is_what_the_functions_have_not_finished_and_not_tried_to_the_end(bench: Bench) -> None:
    await bench.source.send(PARCELS, SENT[:5])
    bench.note(f"finished {IDENTIFIERS[0]}", f"failed {IDENTIFIERS[1]}", "finished orders-000001")
    bench.note(*[f"failed-alone {IDENTIFIERS[2]}"] * TRIES, *[f"failed-alone {IDENTIFIERS[3]}"] * (TRIES - 1))

    assert await bench.source.backlog(PARCELS) == 3
    assert await bench.source.given_up(PARCELS) == [IDENTIFIERS[2]]


async def test_nothing_was_given_up_by_a_service_that_only_skipped_it(bench: Bench) -> None:
    await bench.source.send(PARCELS, SENT)
    await store(bench.state, {shard: str(len(inside)) for shard, inside in (await bench.content()).items()})

    assert (await bench.source.given_up(PARCELS), await bench.source.left(PARCELS)) == ([], [])
    assert await bench.source.backlog(PARCELS) == len(SENT)


async def test_what_is_left_is_behind_the_stored_positions(bench: Bench) -> None:
    await bench.source.send(PARCELS, SENT)
    content = await bench.content()
    first, second, third, fourth = content.values()
    texts = ["2", "AT_TIMESTAMP 1736235331.5", "SHARD_END"]  # the fourth has none yet
    await store(bench.state, dict(zip(content, texts, strict=False)))

    assert sorted(await bench.source.left(PARCELS)) == sorted(first[2:] + second + fourth)
    assert third


async def test_sequence_numbers_are_compared_as_numbers(bench: Bench) -> None:
    await bench.source.send(PARCELS, SENT)
    content = await bench.content()
    shard, inside = max(content.items(), key=lambda each: len(each[1]))
    assert len(inside) > 9
    await store(bench.state, {each: "9" if each == shard else "SHARD_END" for each in content})

    assert sorted(await bench.source.left(PARCELS)) == inside[9:]


async def test_everything_is_left_where_no_position_was_ever_stored(bench: Bench) -> None:
    await bench.source.send(PARCELS, SENT)

    assert await bench.source.left(PARCELS) == IDENTIFIERS


async def test_positions_of_another_stream_are_not_this_one_s(tmp_path: Path) -> None:
    state = tmp_path / "outboard.db"
    await store(state, {"a": "7", "b": "SHARD_END", "c": "TRIM_HORIZON", "d": "AT_TIMESTAMP 2.5"})
    await store(state, {"a": "8", "e": "9"}, stream=f"{ARN}-more")

    assert stored_positions(state, ARN) == {"a": After("7"), "b": End(), "c": Beginning(), "d": Since(2.5)}


async def test_a_server_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    async with parts.aws_server(tmp_path) as (_part, url):
        pass
    async with connected(url, "key", "secret", tmp_path / "ledger.txt", tmp_path / "outboard.db") as source:
        with pytest.raises(PartError, match=r"The demo could not create the stream parcels: "):
            await source.create()
