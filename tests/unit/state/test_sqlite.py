"""The state file as the service uses it: through kills, a second process, a full disk, and any order of calls."""

import asyncio
import json
import random
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outboard.state.sqlite import StateUnavailable, open_checkpoints
from tests.unit.state.stage import Heard, after, child, line


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "outboard.db")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can look into."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


async def loaded(path: str) -> dict[str, str]:
    heard = Heard()
    async with open_checkpoints(path, heard) as checkpoints:
        return dict(await checkpoints.load("mapping", "stream"))


async def test_positions_outlive_the_process_that_saved_them(path: str) -> None:
    async with open_checkpoints(path, Heard()) as checkpoints:
        checkpoints.save("mapping", "stream", {"a": "1"})

    assert await loaded(path) == {"a": "1"}


async def test_what_is_saved_is_soon_in_the_file_though_nobody_waits(path: str) -> None:
    with child("count", path) as process:
        for _ in range(3):
            line(process)
        process.kill()
        process.wait()

    assert len(await loaded(path)) == 7


async def test_after_any_kill_the_file_is_as_it_was_after_one_of_the_saves_and_has_all_that_is_known_to_be_durable(
    path: str,
) -> None:
    chance = random.Random(4)
    durable = 0
    for _ in range(5):
        with child("count", path) as process:
            acknowledged = int(line(process))
            await asyncio.sleep(chance.uniform(0, 0.5))
            process.kill()
            assert process.stdout is not None
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        found = await loaded(path)

        reached = max(map(int, found.values())) + 1
        assert found == after(reached)
        assert reached >= acknowledged > durable
        durable = reached


async def test_a_second_process_is_refused_until_the_first_one_is_gone_however_that_ended(path: str) -> None:
    with child("hold", path) as process:
        assert line(process) == '"open"'
        with pytest.raises(StateUnavailable, match=rf"{path} is in use by another process \(pid {process.pid} on .*\)"):
            async with open_checkpoints(path, Heard()):
                pass
        process.kill()
        process.wait()

    assert await loaded(path) == {}


async def test_a_full_disk_is_told_of_and_nothing_is_lost_when_there_is_room_again(path: str) -> None:
    with child("fill", path) as process:
        meanwhile, afterwards = json.loads(line(process)), json.loads(line(process))
        assert process.wait() == 0

    assert meanwhile == {"loaded": 1007, "last": "13", "waiting": True}
    assert afterwards["news"] == ["SQLITE_IOERR_WRITE", "saved"]
    found = await loaded(path)
    assert len(found) == 1007
    assert found == {f"more-{number}": "9" * 50 for number in range(1000)} | after(14)


async def test_a_full_disk_does_not_hold_up_the_end(path: str) -> None:
    with child("end_full", path) as process:
        said = json.loads(line(process))
        assert process.wait() == 0

    assert said == {
        "news": ["SQLITE_IOERR_WRITE", "NotSaved"],
        "message": "3 positions not saved before the end; what came since is delivered again",
        "quick": True,
    }
    assert await loaded(path) == {}


@pytest.mark.parametrize(
    ("folder_mode", "mode", "expected"),
    [
        (0o755, 0o444, "cannot be locked (Permission denied); put it into a folder in which this process may make"),
        (0o777, 0o444, "cannot be written (attempt to write a readonly database); let this process write it"),
        (0o777, 0o000, "cannot be opened (Permission denied); let this process read and write it"),
        (0o700, 0o444, "cannot be opened (Permission denied); name a file that this process may open"),
    ],
)
async def test_a_file_that_the_process_has_no_rights_to_is_refused(
    open_folder: Path, folder_mode: int, mode: int, expected: str
) -> None:
    folder = open_folder / "state"
    folder.mkdir()
    state = folder / "outboard.db"
    async with open_checkpoints(str(state), Heard()):
        pass
    (folder / "outboard.db-lock").unlink()
    before = state.read_bytes()
    state.chmod(mode)
    folder.chmod(folder_mode)

    with child("open_as_nobody", state) as process:
        said = json.loads(line(process))

    assert said.startswith(f"State.Path: the state file {state} {expected}")
    folder.chmod(0o755)
    state.chmod(0o600)
    assert state.read_bytes() == before


async def test_an_opening_that_is_cancelled_leaves_no_lock(path: str) -> None:
    async def opening() -> None:
        async with open_checkpoints(path, Heard()):
            await asyncio.sleep(60)

    for turns in range(6):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(opening(), name="opening")
            for _ in range(turns):
                await asyncio.sleep(0.0005)
            task.cancel()

        assert await loaded(path) == {}


async def test_what_the_body_raises_comes_out_and_what_was_saved_is_written(path: str) -> None:
    async def body() -> None:
        async with open_checkpoints(path, Heard()) as checkpoints:
            checkpoints.save("mapping", "stream", {"a": "1"})
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as group:
        await body()

    assert [type(error) for error in group.value.exceptions] == [ZeroDivisionError]
    assert await loaded(path) == {"a": "1"}


_NAMES = st.text(max_size=3)

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("save"), _NAMES, st.dictionaries(_NAMES, st.text(max_size=10), max_size=3)),
        st.tuples(st.just("load"), _NAMES, st.just({})),
        st.tuples(st.just("saved"), st.just(""), st.just({})),
        st.tuples(st.just("reopen"), st.just(""), st.just({})),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(_STEPS)
def test_any_order_of_calls_and_restarts_gives_what_a_dict_would(steps: list[tuple[str, str, dict[str, str]]]) -> None:
    model: dict[str, dict[str, str]] = {}
    heard = Heard()

    async def play(path: str) -> None:
        async with AsyncExitStack() as stack:
            checkpoints = await stack.enter_async_context(open_checkpoints(path, heard))
            for what, stream, positions in steps:
                match what:
                    case "save":
                        checkpoints.save("m", stream, positions)
                        model.setdefault(stream, {}).update(positions)
                    case "load":
                        assert await checkpoints.load("m", stream) == model.get(stream, {})
                    case "saved":
                        await checkpoints.saved()
                    case "reopen":
                        await stack.aclose()
                        checkpoints = await stack.enter_async_context(open_checkpoints(path, heard))
        async with open_checkpoints(path, heard) as checkpoints:
            for stream, positions in model.items():
                assert await checkpoints.load("m", stream) == positions

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(f"{folder}/outboard.db"))
    assert heard.news == []
