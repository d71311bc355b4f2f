"""What every kind of state promises to those who keep positions in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from outboard.core.ports import Checkpoints
from outboard.state.memory import MemoryCheckpoints
from outboard.state.sqlite import open_checkpoints
from tests.unit.state.stage import Heard


@pytest.fixture(params=["memory", "sqlite"])
async def checkpoints(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Checkpoints]:
    if request.param == "memory":
        yield MemoryCheckpoints()
        return
    heard = Heard()
    async with open_checkpoints(str(tmp_path / "outboard.db"), heard) as opened:
        yield opened
    assert heard.news == []


async def test_nothing_is_known_at_first(checkpoints: Checkpoints) -> None:
    assert await checkpoints.load("m", "s") == {}


async def test_what_was_saved_is_loaded_at_once(checkpoints: Checkpoints) -> None:
    checkpoints.save("m", "s", {"a": "1", "b": "SHARD_END"})

    assert await checkpoints.load("m", "s") == {"a": "1", "b": "SHARD_END"}


async def test_what_was_saved_is_loaded_when_it_is_durable(checkpoints: Checkpoints) -> None:
    checkpoints.save("m", "s", {"a": "1", "b": "SHARD_END"})
    await checkpoints.saved()

    assert await checkpoints.load("m", "s") == {"a": "1", "b": "SHARD_END"}


async def test_a_save_replaces_its_shards_and_no_others(checkpoints: Checkpoints) -> None:
    checkpoints.save("m", "s", {"a": "1", "b": "2"})
    await checkpoints.saved()
    checkpoints.save("m", "s", {"b": "20", "c": "30"})

    assert await checkpoints.load("m", "s") == {"a": "1", "b": "20", "c": "30"}
    await checkpoints.saved()
    assert await checkpoints.load("m", "s") == {"a": "1", "b": "20", "c": "30"}


async def test_a_position_may_go_back(checkpoints: Checkpoints) -> None:
    for position in ("9", "TRIM_HORIZON"):
        checkpoints.save("m", "s", {"a": position})
        await checkpoints.saved()

    assert await checkpoints.load("m", "s") == {"a": "TRIM_HORIZON"}


async def test_mappings_and_streams_are_kept_apart(checkpoints: Checkpoints) -> None:
    checkpoints.save("m", "s", {"a": "1"})
    checkpoints.save("m", "t", {"a": "2"})
    checkpoints.save("n", "s", {"a": "3"})
    await checkpoints.saved()

    assert await checkpoints.load("m", "s") == {"a": "1"}
    assert await checkpoints.load("m", "t") == {"a": "2"}
    assert await checkpoints.load("n", "s") == {"a": "3"}
    assert await checkpoints.load("n", "t") == {}


async def test_any_text_is_a_key_and_a_position(checkpoints: Checkpoints) -> None:
    shards = {"": "AT_TIMESTAMP 1735236331.5", "ä\0'": "\n", "x" * 5000: "", "A": "1", "a": "2", "１": "3"}
    checkpoints.save("ÿ", "arn:aws:kinesis:eu-west-1:123456789012:stream/orders@1.7e9", shards)
    await checkpoints.saved()

    assert await checkpoints.load("ÿ", "arn:aws:kinesis:eu-west-1:123456789012:stream/orders@1.7e9") == shards


async def test_what_was_loaded_does_not_change_with_later_saves(checkpoints: Checkpoints) -> None:
    checkpoints.save("m", "s", {"a": "1"})
    loaded = await checkpoints.load("m", "s")
    checkpoints.save("m", "s", {"a": "2"})

    assert loaded == {"a": "1"}


async def test_what_was_given_may_change_afterwards(checkpoints: Checkpoints) -> None:
    positions = {"a": "1"}
    checkpoints.save("m", "s", positions)
    positions["a"] = "2"
    await checkpoints.saved()

    assert await checkpoints.load("m", "s") == {"a": "1"}


async def test_saving_no_shard_changes_nothing(checkpoints: Checkpoints) -> None:
    checkpoints.save("m", "s", {})
    await checkpoints.saved()

    assert await checkpoints.load("m", "s") == {}


async def test_waiting_with_nothing_to_wait_for_ends(checkpoints: Checkpoints) -> None:
    await checkpoints.saved()
    await checkpoints.saved()
