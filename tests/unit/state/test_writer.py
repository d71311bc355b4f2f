"""Positions become durable soon, together and in order, whatever the store does meanwhile."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.core.ports import SourceFailed
from outboard.state.unavailable import StateUnavailable
from outboard.state.writer import GATHERING, LAST_WRITE, LATE, LONGEST_PAUSE, Writer, writing
from tests.simulation.loop import run
from tests.unit.state.stage import FakeStore, Heard, Rows
from tests.unit.virtual import virtual


def half() -> float:
    return 0.5


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual
async def test_what_is_saved_is_written_within_the_moment_of_gathering() -> None:
    store = FakeStore()
    async with writing(store, Heard(), half) as checkpoints:
        await asyncio.sleep(60)
        started = now()
        checkpoints.save("m", "s", {"a": "1"})
        await asyncio.sleep(1)

        assert store.writes == [(pytest.approx(started + GATHERING), {("m", "s", "a"): "1"}, False)]


@virtual
async def test_every_write_is_told_of() -> None:
    heard = Heard()
    async with writing(FakeStore(), heard, half) as checkpoints:
        for number in range(3):
            checkpoints.save("m", "s", {"a": str(number)})
            await asyncio.sleep(1)

        assert (heard.writes, heard.news) == (3, [])


@virtual
async def test_many_saves_of_a_moment_are_one_write_with_the_last_position_of_each_shard() -> None:
    store = FakeStore()
    async with writing(store, Heard(), half) as checkpoints:
        for number in range(100):
            checkpoints.save("m", "s", {f"shard-{number % 3}": str(number)})
            await asyncio.sleep(GATHERING / 200)
        await asyncio.sleep(1)

        written = [rows for _, rows, _ in store.writes]
        assert written == [{("m", "s", "shard-0"): "99", ("m", "s", "shard-1"): "97", ("m", "s", "shard-2"): "98"}]


@virtual
async def test_under_steady_saving_there_is_one_write_in_each_moment_of_gathering() -> None:
    store = FakeStore()
    async with writing(store, Heard(), half) as checkpoints:
        for number in range(1000):
            checkpoints.save("m", "s", {"a": str(number)})
            await asyncio.sleep(0.01)

        assert len(store.writes) == pytest.approx(10 / GATHERING, abs=3)


@virtual
async def test_whoever_waits_hurries_the_write_and_has_it_synced() -> None:
    store = FakeStore()
    store.seconds = 0.03
    async with writing(store, Heard(), half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1"})
        await asyncio.sleep(0)
        started = now()
        await checkpoints.saved()

        assert now() - started == pytest.approx(0.03)
        assert store.writes == [(pytest.approx(started), {("m", "s", "a"): "1"}, True)]


@virtual
async def test_after_a_hurry_positions_are_gathered_again() -> None:
    store = FakeStore()
    async with writing(store, Heard(), half) as checkpoints:
        await checkpoints.saved()
        started = now()
        checkpoints.save("m", "s", {"a": "1"})
        await asyncio.sleep(1)

        assert [(at, synced) for at, _, synced in store.writes[1:]] == [(pytest.approx(started + GATHERING), False)]


@virtual
async def test_what_is_written_already_is_synced_for_whoever_waits_later() -> None:
    store = FakeStore()
    async with writing(store, Heard(), half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1"})
        await asyncio.sleep(1)
        await checkpoints.saved()

        assert [(rows, synced) for _, rows, synced in store.writes] == [({("m", "s", "a"): "1"}, False), ({}, True)]


@virtual
async def test_a_write_under_way_does_not_answer_for_what_came_after_it_began() -> None:
    store = FakeStore()
    store.seconds = 1
    async with writing(store, Heard(), half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1"})
        await asyncio.sleep(GATHERING + 0.1)
        checkpoints.save("m", "s", {"b": "2"})
        await checkpoints.saved()

        assert store.rows == {("m", "s", "a"): "1", ("m", "s", "b"): "2"}


@virtual
async def test_a_load_sees_what_is_not_written_yet_and_only_its_own() -> None:
    store = FakeStore()
    store.rows = {("m", "s", "a"): "1", ("m", "s", "b"): "2", ("m", "other", "a"): "3"}
    async with writing(store, Heard(), half) as checkpoints:
        checkpoints.save("m", "s", {"b": "20", "c": "30"})
        checkpoints.save("n", "s", {"a": "40"})

        assert await checkpoints.load("m", "s") == {"a": "1", "b": "20", "c": "30"}
        assert await checkpoints.load("n", "s") == {"a": "40"}


@virtual
async def test_a_load_sees_the_newest_position_at_every_instant_of_a_write() -> None:
    for instant in range(14):
        store = FakeStore()
        store.seconds = 0.1
        async with writing(store, Heard(), half) as checkpoints:
            checkpoints.save("m", "s", {"a": "1"})
            await asyncio.sleep(instant * 0.05)

            assert await checkpoints.load("m", "s") == {"a": "1"}


@virtual
async def test_a_store_that_cannot_be_read_is_a_failure_of_the_mapping_that_asks() -> None:
    store = FakeStore()
    store.unreadable = True
    async with writing(store, Heard(), half) as checkpoints:
        with pytest.raises(SourceFailed, match="the store cannot be read") as failed:
            await checkpoints.load("m", "s")

    assert failed.value.error_type == "Unreadable"


@virtual
async def test_a_failing_store_is_told_of_at_each_try_and_once_when_it_is_over() -> None:
    store, heard = FakeStore(), Heard()
    store.full = True
    async with writing(store, heard, half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1"})
        await asyncio.sleep(5)
        assert heard.news == ["Full"] * 3
        store.full = False
        await asyncio.sleep(5)
        checkpoints.save("m", "s", {"a": "2"})
        await asyncio.sleep(1)

    assert heard.news == ["Full", "Full", "Full", "saved"]
    assert heard.messages == ["the store is full"] * 3
    assert store.rows == {("m", "s", "a"): "2"}


@virtual
async def test_tries_get_rarer_but_never_rarer_than_the_longest_pause() -> None:
    store = FakeStore()
    store.full = True
    async with writing(store, Heard(), half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1"})
        await asyncio.sleep(60)
        pauses = [later[0] - earlier[0] for earlier, later in zip(store.writes, store.writes[1:], strict=False)]
        store.full = False

    assert pauses == pytest.approx([0.75, 1.5, 3, 6, *[LONGEST_PAUSE] * (len(pauses) - 4)], abs=GATHERING + 0.01)
    assert len(pauses) >= 7


@virtual
async def test_what_a_failed_write_took_goes_along_with_the_next_unless_there_is_newer() -> None:
    store = FakeStore()
    store.full = True
    async with writing(store, Heard(), half) as checkpoints:
        checkpoints.save("m", "s", {"parent": "SHARD_END", "other": "1"})
        await asyncio.sleep(0.3)
        checkpoints.save("m", "s", {"child": "5", "other": "2"})
        store.full = False
        await asyncio.sleep(3)

        expected = {("m", "s", "parent"): "SHARD_END", ("m", "s", "other"): "2", ("m", "s", "child"): "5"}
        assert store.rows == expected
        assert len(store.writes) == 2
        assert store.writes[1][1] == expected


@virtual
async def test_what_is_saved_during_a_write_that_fails_is_newer_than_what_that_took() -> None:
    store = FakeStore()
    store.full, store.seconds = True, 1.0
    async with writing(store, Heard(), half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1", "b": "1"})
        await asyncio.sleep(GATHERING + 0.5)
        checkpoints.save("m", "s", {"a": "2"})
        await asyncio.sleep(1)
        store.full = False

        assert await checkpoints.load("m", "s") == {"a": "2", "b": "1"}
        await checkpoints.saved()

    assert store.rows == {("m", "s", "a"): "2", ("m", "s", "b"): "1"}


@virtual
async def test_while_writing_fails_nobody_waits_but_who_asked_to() -> None:
    store = FakeStore()
    store.full = True
    async with writing(store, Heard(), half) as checkpoints, asyncio.TaskGroup() as group:
        checkpoints.save("m", "s", {"a": "1"})
        waiting = group.create_task(checkpoints.saved(), name="waiting")
        await asyncio.sleep(20)
        assert not waiting.done()
        assert len(store.writes) < 7, "waiting must not make the tries more frequent"
        store.full = False
        await waiting

        assert store.rows == {("m", "s", "a"): "1"}


@virtual
async def test_who_stops_waiting_is_no_matter() -> None:
    store = FakeStore()
    store.seconds = 1
    async with writing(store, Heard(), half) as checkpoints, asyncio.TaskGroup() as group:
        checkpoints.save("m", "s", {"a": "1"})
        waiting = group.create_task(checkpoints.saved(), name="waiting")
        await asyncio.sleep(0.5)
        waiting.cancel()
        await asyncio.sleep(1)
        await checkpoints.saved()

        assert store.rows == {("m", "s", "a"): "1"}


@virtual
async def test_the_end_writes_what_is_left_and_waits_for_no_moment() -> None:
    store, heard, started = FakeStore(), Heard(), now()
    async with writing(store, heard, half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1"})

    assert store.rows == {("m", "s", "a"): "1"}
    assert now() == started
    assert heard.news == []


@virtual
async def test_nothing_to_write_is_no_write() -> None:
    store = FakeStore()
    async with writing(store, Heard(), half) as checkpoints:
        checkpoints.save("m", "s", {})
        await asyncio.sleep(5)

    assert store.writes == []


@virtual
async def test_the_end_tries_a_full_store_once_more_and_tells_what_is_lost() -> None:
    store, heard = FakeStore(), Heard()
    store.full = True
    async with writing(store, heard, half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1", "b": "2"})
        await asyncio.sleep(4)
        heard.news.clear()
        started = now()

    assert now() == started
    assert heard.news == ["Full", "NotSaved"]
    assert heard.messages[-1] == "2 positions not saved before the end; what came since is delivered again"


@virtual
async def test_a_store_that_hangs_does_not_hold_up_the_end() -> None:
    store, heard = FakeStore(), Heard()
    store.seconds = 1e6
    async with writing(store, heard, half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1"})
        await asyncio.sleep(1)
        checkpoints.save("m", "s", {"b": "2"})
        started = now()

    assert now() - started == pytest.approx(LAST_WRITE)
    assert heard.news == ["NotSaved"]
    assert heard.messages[-1].startswith("2 positions")


@virtual
async def test_a_write_that_does_not_come_back_is_told_of_again_and_again_until_it_does() -> None:
    store, heard = FakeStore(), Heard()
    store.seconds = 3 * LATE - 1
    async with writing(store, heard, half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1"})
        await asyncio.sleep(3 * LATE + 1)

        assert heard.news == ["Timeout", "Timeout", "saved"]
        assert heard.messages[-1].startswith("a write has not ended within 10 s")


@virtual
async def test_who_still_waits_at_the_end_is_told_that_it_was_in_vain() -> None:
    store = FakeStore()
    store.full = True
    told = []

    async def wait(checkpoints: Writer) -> None:
        try:
            await checkpoints.saved()
        except StateUnavailable as error:
            told.append(str(error))

    async with asyncio.TaskGroup() as group, writing(store, Heard(), half) as checkpoints:
        checkpoints.save("m", "s", {"a": "1"})
        group.create_task(wait(checkpoints), name="waiting")
        await asyncio.sleep(1)

    assert told == ["The state was closed before the positions were saved."]


@virtual
async def test_a_cancelled_body_is_still_followed_by_the_last_write() -> None:
    store = FakeStore()
    store.seconds = 0.5

    async def body() -> None:
        async with writing(store, Heard(), half) as checkpoints:
            checkpoints.save("m", "s", {"a": "1"})
            await asyncio.sleep(60)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(body(), name="body")
        await asyncio.sleep(0.1)
        task.cancel()

    assert store.rows == {("m", "s", "a"): "1"}


#: What happens in turn: a save of one shard, time passing, or the store changing its ways.
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("save"), st.integers(0, 4)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.05, 0.3, 2.0])),
        st.tuples(st.just("ways"), st.sampled_from(["good", "full", "torn"])),
        st.tuples(st.just("takes"), st.sampled_from([0.0, 1.0])),
        st.tuples(st.just("hurry"), st.none()),
        st.tuples(st.just("load"), st.none()),
    ),
    max_size=60,
)


class _Observed(FakeStore):
    """Checks after each write that the store is as it was after one of the saves, and never goes back."""

    def __init__(self, states: list[Rows]) -> None:
        super().__init__()
        self._states = states
        self._reached = 0

    async def write(self, rows: object, *, synced: bool) -> None:
        try:
            await super().write(rows, synced=synced)  # type: ignore[arg-type]
        finally:
            reached = [number for number, state in enumerate(self._states) if state == self.rows]
            assert reached, f"{self.rows} was never the state"
            assert reached[-1] >= self._reached
            self._reached = reached[-1]


@given(_STEPS)
def test_the_store_is_always_as_it_was_after_one_of_the_saves(steps: list[tuple[str, object]]) -> None:
    async def play() -> None:
        states: list[Rows] = [{}]
        store, heard = _Observed(states), Heard()
        async with asyncio.TaskGroup() as group, writing(store, heard, half) as checkpoints:
            for number, (what, value) in enumerate(steps):
                match what:
                    case "save":
                        shard = f"shard-{value}"
                        states.append(states[-1] | {("m", "s", shard): str(number)})
                        checkpoints.save("m", "s", {shard: str(number)})
                    case "wait":
                        await asyncio.sleep(float(str(value)))
                    case "ways":
                        store.full, store.torn = value == "full", value == "torn"
                    case "takes":
                        store.seconds = float(str(value))
                    case "hurry":
                        group.create_task(checkpoints.saved(), name="hurry")
                    case "load":
                        expected = {key[2]: position for key, position in states[-1].items()}
                        assert await checkpoints.load("m", "s") == expected
            store.full, store.torn, store.seconds = False, False, 0.0
            await checkpoints.saved()
            assert store.rows == states[-1]
        assert "NotSaved" not in heard.news
        assert heard.news[-1:] in ([], ["saved"])

    run(lambda _loop: play())
