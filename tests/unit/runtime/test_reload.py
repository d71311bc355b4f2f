"""A changed configuration is taken up once, when it lies still; what is half written is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from outboard.runtime.reload import INTERVAL, SETTLING, Reloader
from tests.unit.virtual import virtual


class Files:
    """What is there to be read, and what was taken of it, with the moments."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.taken: list[tuple[float, str]] = []
        self.reloader = Reloader(self.look, self.take, text)

    async def look(self) -> str:
        return self.text

    async def take(self, seen: str) -> bool:
        self.taken.append((asyncio.get_running_loop().time() - 1000, seen))
        return seen != "not yet"

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self.reloader.run(), name="reloader")
            yield
            watching.cancel()

    def write(self, text: str) -> None:
        self.text = text


@virtual
async def test_what_has_not_changed_is_not_taken() -> None:
    files = Files("one")
    async with files.watched():
        await asyncio.sleep(60)
    assert files.taken == []


@virtual
async def test_a_change_is_taken_once_within_ten_seconds() -> None:
    files = Files("one")
    async with files.watched():
        await asyncio.sleep(0.1)
        files.write("two")
        await asyncio.sleep(60)
    assert files.taken == [(INTERVAL + SETTLING, "two")]
    assert INTERVAL + SETTLING < 10


@virtual
async def test_what_is_still_being_written_is_not_taken() -> None:
    files = Files("one")
    loop = asyncio.get_running_loop()
    for number, text in enumerate(("", "tw", "two")):
        loop.call_later(INTERVAL - 0.1 + number * SETTLING * 0.9, files.write, text)
    async with files.watched():
        await asyncio.sleep(60)
    assert [text for _, text in files.taken] == ["two"]


@virtual
async def test_what_is_as_it_was_when_it_lies_still_is_not_taken() -> None:
    files = Files("one")
    loop = asyncio.get_running_loop()
    loop.call_later(INTERVAL - 0.1, files.write, "")
    loop.call_later(INTERVAL + 0.1, files.write, "one")
    async with files.watched():
        await asyncio.sleep(60)
    assert files.taken == []


@virtual
async def test_a_change_that_is_undone_later_is_taken_back() -> None:
    files = Files("one")
    async with files.watched():
        files.write("bad")
        await asyncio.sleep(10)
        files.write("one")
        await asyncio.sleep(10)
    assert [text for _, text in files.taken] == ["bad", "one"]


@virtual
async def test_whoever_asks_gets_a_look_at_once_and_what_is_there_is_taken_as_it_is() -> None:
    files = Files("one")
    async with files.watched():
        await asyncio.sleep(1)
        files.reloader.ask()
        await asyncio.sleep(2)
    assert files.taken == [(1 + SETTLING, "one")]


@virtual
async def test_what_could_not_be_taken_for_now_is_tried_again_until_it_can_or_is_replaced() -> None:
    files = Files("one")
    async with files.watched():
        files.write("not yet")
        await asyncio.sleep(3.5 * (INTERVAL + SETTLING))
        files.write("one")
        await asyncio.sleep(20)
    assert [text for _, text in files.taken] == ["not yet", "not yet", "not yet", "one"]
