"""A Kafka mapping gives the group its start before anybody reads, works off what it is assigned, and leaves in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import orjson
import pytest

from outboard.core.batcher import BatchLimits
from outboard.core.delivery import OnFailure, Policy
from outboard.core.outcome import FunctionFailed, Outcome
from outboard.core.ports import SourceFailed
from outboard.runtime.mapping import MappingRun
from outboard.sources.kafka.beginning import FirstStart
from outboard.sources.kafka.consumer import ConsumerError, Earliest, FetchLimits, Latest, NotOurs, Since, Start
from outboard.sources.kafka.source import KafkaSettings, KafkaSource
from tests.unit.observe.stage import START
from tests.unit.runtime.stage import ScriptedFunction, work_of
from tests.unit.sources.kafka.fake import (
    BROKERS,
    DENIED,
    GONE,
    MIB,
    TOPIC,
    FakeConsumer,
    FakeLanes,
    FakeLog,
    Scene,
    elapsed,
    fatal,
)
from tests.unit.virtual import virtual

EARLIEST = Earliest()
ERROR = FunctionFailed("ValueError", "no such trade")


class Function(ScriptedFunction):
    """Notes the offsets of each batch, by partition."""

    def __init__(self, *answers: Outcome, seconds: float = 0.0) -> None:
        super().__init__(*answers, seconds=seconds)
        self.batches: list[tuple[str, list[int]]] = []
        self.events: list[dict[str, object]] = []

    async def invoke(self, payload: bytes, trace: str | None) -> Outcome:
        event = orjson.loads(payload)
        ((place, records),) = event["records"].items()
        self.events.append(event)
        self.batches.append((place, [record["offset"] for record in records]))
        return await super().invoke(payload, trace)


class World:
    """A topic, and a mapping of it whose source has a new consumer for each run."""

    def __init__(
        self, function: Function | None = None, *, partitions: int = 1, start: Start = EARLIEST, memory: int = 256 * MIB
    ) -> None:
        self.scene = Scene(partitions=partitions)
        self.topic = self.scene.topic
        self.function = function or Function()
        self.first = FirstStart(start)
        self.memory = memory
        self.consumers: list[FakeConsumer] = []
        self.prepare: Callable[[FakeConsumer], None] = lambda _: None

    def connect(self, limits: FetchLimits) -> FakeConsumer:
        self.consumers.append(FakeConsumer(self.topic, limits))
        self.prepare(self.consumers[-1])
        return self.consumers[-1]

    def source(self) -> KafkaSource:
        scene = self.scene
        settings = KafkaSettings(
            topic=TOPIC,
            arn=None,
            first=self.first,
            allowance=scene.share,
            observer=scene.stage.observer,
            jitter=lambda: 0.0,
            memory=self.memory,
        )
        return KafkaSource(self.connect, settings)

    @asynccontextmanager
    async def running(self, *, within: float = 0.0) -> AsyncIterator[None]:
        """A mapping at work; leaving stops it and waits for its end, which comes `within` so many seconds."""
        policy = Policy(OnFailure.RETRY_FROM_LOWEST)
        work = work_of(self.scene.stage, self.function, limits=BatchLimits(100), policy=policy)
        mapping = MappingRun("trades", self.source, work)
        async with asyncio.TaskGroup() as group:
            group.create_task(mapping.run(), name="trades")
            yield
            stopped = elapsed()
            mapping.stop()
        assert elapsed() - stopped <= within + 1e-6, "the stop took too long"

    @property
    def consumer(self) -> FakeConsumer:
        return self.consumers[-1]

    @property
    def commits(self) -> list[dict[int, int]]:
        return [made for _, made in self.topic.commits]


# Beginning


@pytest.mark.parametrize(("start", "offset"), [(Earliest(), 0), (Latest(), 3), (Since(START + 10), 2)])
@virtual
async def test_where_to_start_is_the_groups_offset_before_anything_is_read(start: Start, offset: int) -> None:
    world = World(start=start, partitions=2)
    world.topic.put(0, "a", "b")
    world.topic.put(0, "c", at=START + 20)
    world.prepare = lambda consumer: consumer.seconds.update({"give start": 3.0})
    async with world.running():
        await asyncio.sleep(5)

    assert world.topic.commits[0] == (3.0, {0: offset, 1: 0})
    assert min(when for when, *_ in world.consumer.takes) == 3.0


@virtual
async def test_latest_is_what_was_the_latest_at_the_first_start() -> None:
    world = World(start=Latest())
    world.topic.put(0, "old")
    world.prepare = lambda consumer: consumer.errors.update({"take": [DENIED] * 100})
    async with world.running():
        await asyncio.sleep(1)
        world.topic.put(0, "new")
    world.prepare = lambda _: None
    async with world.running():
        await asyncio.sleep(1)

    assert world.function.batches == [("trades-0", [1])]


@virtual
async def test_offsets_that_the_group_has_are_kept() -> None:
    world = World(start=Latest())
    world.topic.put(0, *"abcd")
    world.topic.group = {0: 2}
    async with world.running():
        await asyncio.sleep(1)

    assert world.function.batches == [("trades-0", [2, 3])]
    assert world.commits == [{0: 4}]


@virtual
async def test_partitions_that_were_added_later_begin_at_their_first_record() -> None:
    world = World(start=Latest(), partitions=2)
    world.topic.put(0, *"ab")
    world.topic.put(1, *"cd")
    world.topic.group = {0: 1}
    async with world.running():
        await asyncio.sleep(1)

    assert sorted(world.function.batches) == [("trades-0", [1]), ("trades-1", [0, 1])]


@virtual
async def test_a_topic_that_appears_is_read_from_its_first_record() -> None:
    world = World(start=Latest())
    logs, world.topic.logs = world.topic.logs, {}
    async with world.running():
        await asyncio.sleep(5)
        state, reason = world.scene.stage.shown()
        assert "there is no topic trades that we may see" in str(reason)
        assert state != "Enabled"
        world.topic.logs = logs
        world.topic.put(0, *"ab")
        await asyncio.sleep(11)
        assert world.scene.stage.shown()[0] == "Enabled"

    assert world.function.batches == [("trades-0", [0, 1])]
    assert len(world.consumers) == 1


@virtual
async def test_a_topic_that_was_missing_is_read_from_its_first_record_whatever_fails_meanwhile() -> None:
    world = World(start=Latest())
    logs, world.topic.logs = world.topic.logs, {}
    async with world.running():
        await asyncio.sleep(5)
        world.consumer.errors["partitions"] = [GONE]
        await asyncio.sleep(10.5)
        assert len(world.consumers) == 2
        world.topic.logs = logs
        world.topic.put(0, *"ab")
        await asyncio.sleep(11)

    assert world.function.batches == [("trades-0", [0, 1])]


@virtual
async def test_a_missing_topic_is_looked_for_every_ten_seconds_at_most() -> None:
    world = World()
    world.topic.logs = {}
    async with world.running():
        await asyncio.sleep(100)
        assert world.consumer.calls.count("partitions") in range(12, 17)


@pytest.mark.parametrize("operation", ["committed", "partitions", "offsets", "give start"])
@virtual
async def test_a_start_that_cannot_be_given_is_shown_and_given_later(operation: str) -> None:
    world = World()
    world.topic.put(0, "a")

    def join(consumer: FakeConsumer) -> None:
        def failing(group: object) -> None:
            consumer.errors[operation] = [DENIED]
            consumer.group.assigned(frozenset({0}))  # type: ignore[union-attr]

        consumer.on_join = failing

    world.prepare = join
    async with world.running():
        await asyncio.sleep(0.25)
        assert world.function.batches == []
        await asyncio.sleep(2)

    assert world.function.batches == [("trades-0", [0])]
    assert world.scene.stage.value("polling_errors_total", error="access_denied") == 1
    assert len(world.consumers) == 1


@pytest.mark.parametrize("operation", ["start", "partitions"])
@virtual
async def test_a_beginning_that_fails_is_shown_and_made_again_with_a_new_consumer(operation: str) -> None:
    world = World()
    world.topic.put(0, "a")
    refused = [DENIED]
    world.prepare = lambda consumer: consumer.errors.__setitem__(operation, [refused.pop()] if refused else [])
    async with world.running():
        await asyncio.sleep(0.25)
        assert "not authorized" in str(world.scene.stage.shown()[1])
        assert world.consumers[0].calls[-1] == "stop"
        await asyncio.sleep(1)
        assert world.scene.stage.shown()[0] == "Enabled"

    assert world.function.batches == [("trades-0", [0])]
    assert len(world.consumers) == 2


@virtual
async def test_a_stop_cuts_a_beginning_off() -> None:
    world = World()
    world.prepare = lambda consumer: consumer.seconds.__setitem__("start", 30.0)
    async with world.running():
        await asyncio.sleep(1)

    assert world.consumer.calls == ["start", "stop"]


@virtual
async def test_a_stop_cuts_the_wait_for_a_topic_off() -> None:
    world = World()
    world.topic.logs = {}
    async with world.running():
        await asyncio.sleep(20.5)

    assert world.consumer.calls[-1] == "stop"


# Memory


@pytest.mark.parametrize(
    ("partitions", "memory", "connects", "partition"),
    [(1, 256 * MIB, 1, MIB), (8, 64 * MIB, 1, MIB), (64, 64 * MIB, 2, MIB // 8), (300, MIB, 1, 64 * 1024)],
)
@virtual
async def test_many_partitions_are_fetched_in_small_pieces(
    partitions: int, memory: int, connects: int, partition: int
) -> None:
    world = World(partitions=partitions, memory=memory)
    async with world.running():
        await asyncio.sleep(1)

    assert len(world.consumers) == connects
    assert [consumer.calls[-1] for consumer in world.consumers] == ["stop"] * connects
    assert world.consumer.limits is not None
    assert world.consumer.limits.partition == partition
    assert world.consumer.limits.broker >= partition


@virtual
async def test_what_a_run_that_crashed_held_is_given_back() -> None:
    world = World()
    assert world.scene.share.try_take(MIB)
    async with world.running():
        await asyncio.sleep(1)
        assert world.scene.share.used == 0


# Working


@virtual
async def test_records_are_sent_settled_and_committed() -> None:
    world = World(partitions=2)
    world.topic.put(0, *"abc")
    world.topic.put(1, "d")
    async with world.running():
        await asyncio.sleep(1)
        assert world.topic.group == {0: 3, 1: 1}
        world.topic.put(0, "e")
        await asyncio.sleep(0.5)
        assert world.topic.group == {0: 4, 1: 1}
        assert world.scene.stage.observer.snapshot()["lagRecords"] == 0

    assert sorted(world.function.batches) == [("trades-0", [0, 1, 2]), ("trades-0", [3]), ("trades-1", [0])]
    assert world.function.events[0]["eventSource"] == "SelfManagedKafka"
    assert world.function.events[0]["bootstrapServers"] == BROKERS
    assert world.scene.stage.value("committed_events_total") == 5
    assert world.scene.share.used == 0


@virtual
async def test_a_batch_that_fails_holds_up_its_own_partition_alone() -> None:
    world = World(Function(ERROR, ERROR, ERROR), partitions=2)
    world.topic.put(0, *"ab")
    async with world.running():
        await asyncio.sleep(0.25)
        world.topic.put(1, "c")
        world.topic.put(0, "d")
        await asyncio.sleep(20)

    sent = [batch for place, batch in world.function.batches if place == "trades-0"]
    assert sent[0] == sent[1] == [0, 1]
    assert sent[-1] == [2]
    assert world.topic.group == {0: 3, 1: 1}


@virtual
async def test_partitions_that_are_added_are_read_from_their_first_record() -> None:
    world = World(start=Latest())
    world.topic.put(0, "old")
    async with world.running():
        await asyncio.sleep(1)
        world.topic.logs[1] = FakeLog()
        world.topic.put(1, "a", "b")
        group = world.consumer.group
        assert group is not None
        await group.revoked()
        group.assigned(frozenset({0, 1}))
        await asyncio.sleep(1)

    assert world.function.batches == [("trades-1", [0, 1])]
    assert world.topic.group == {0: 1, 1: 2}


@virtual
async def test_trouble_that_lasts_is_shown_until_it_is_over() -> None:
    world = World()
    async with world.running():
        await asyncio.sleep(1.5)
        world.consumer.wrong = GONE
        await asyncio.sleep(1)
        assert world.scene.stage.observer.snapshot()["lastError"] is None, "a hiccup"
        await asyncio.sleep(2)
        assert "no broker answers" in str(world.scene.stage.observer.snapshot()["lastError"])
        world.consumer.wrong = None
        await asyncio.sleep(3)
        assert world.scene.stage.value("mapping_state", state="Enabled") == 1


@virtual
async def test_offsets_that_could_not_be_asked_for_are_forgotten_once_they_can_be() -> None:
    world = World()
    world.topic.put(0, "a")
    world.prepare = lambda consumer: consumer.errors.update({"committed": [DENIED, DENIED, DENIED]})
    async with world.running():
        await asyncio.sleep(1)
        assert world.scene.stage.value("mapping_state", state="blocked") == 1
        await asyncio.sleep(20)
        assert world.scene.stage.value("mapping_state", state="Enabled") == 1

    assert world.function.batches == [("trades-0", [0])]


@virtual
async def test_while_brokers_are_not_trusted_certificates_are_looked_for_now_and_then() -> None:
    world = World()
    async with world.running():
        await asyncio.sleep(1)
        world.consumer.wrong = ConsumerError("CERTIFICATE_VERIFY_FAILED", "unable to get local issuer certificate")
        world.consumer.errors["renew"] = [DENIED]
        await asyncio.sleep(25)
        assert world.consumer.calls.count("renew") == 3
        assert world.scene.stage.value("mapping_state", state="blocked") == 1
        world.consumer.wrong = GONE
        await asyncio.sleep(25)
        assert world.consumer.calls.count("renew") == 3

    assert len(world.consumers) == 1


@virtual
async def test_a_group_that_does_not_say_what_is_ours_is_shown() -> None:
    world = World()
    world.topic.put(0, "a")
    world.prepare = lambda consumer: setattr(consumer, "on_join", lambda _: None)
    async with world.running():
        await asyncio.sleep(95)
        assert "the group has not said for" in str(world.scene.stage.shown()[1])
        world.consumer.group.assigned(frozenset({0}))  # type: ignore[union-attr]
        await asyncio.sleep(2)
        assert world.scene.stage.shown()[0] == "Enabled"

    assert world.function.batches == [("trades-0", [0])]


@virtual
async def test_a_look_that_fails_is_made_again_after_its_backoff() -> None:
    world = World()
    world.topic.put(0, "a")
    world.topic.group = {0: 0}

    def join(consumer: FakeConsumer) -> None:
        def failing(group: object) -> None:
            consumer.errors["committed"] = [GONE, GONE]
            consumer.group.assigned(frozenset({0}))  # type: ignore[union-attr]

        consumer.on_join = failing

    world.prepare = join
    async with world.running():
        await asyncio.sleep(1.25)
        assert world.function.batches == []
        await asyncio.sleep(0.5)
        assert world.function.batches == [("trades-0", [0])]

    assert len(world.consumers) == 1


@virtual
async def test_a_consumer_that_is_of_no_more_use_ends_the_run_and_the_next_one_goes_on() -> None:
    world = World()
    world.topic.put(0, "a")
    async with world.running():
        await asyncio.sleep(1)
        world.consumer.errors["take"] = [fatal()]
        world.topic.put(0, "b")
        await asyncio.sleep(3)
        world.topic.put(0, "c")
        await asyncio.sleep(3)

    assert len(world.consumers) == 2
    assert world.consumers[0].calls[-1] == "stop"
    assert [offset for _, batch in world.function.batches for offset in batch] == [0, 1, 2]
    assert world.topic.group == {0: 3}


@virtual
async def test_its_failure_names_what_ended_the_consumer() -> None:
    world, lanes = World(), FakeLanes()
    source = world.source()

    async def fail() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(source.run(lanes), name="source")
            await asyncio.sleep(1)
            world.consumer.errors["take"] = [fatal()]
            await lanes.opened[0].feed.read(1, None)

    with pytest.raises(ExceptionGroup) as raised:
        await fail()

    error: BaseException = raised.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, SourceFailed)
    assert (error.error_type, error.message) == ("ConsumerStoppedError", "the library gave up")
    assert world.consumer.calls[-1] == "stop"
    assert not lanes.held


# Ending


@virtual
async def test_a_stop_lets_the_invoke_end_and_commits_it_before_it_leaves() -> None:
    world = World(Function(seconds=5.0), partitions=2)
    world.topic.put(0, *"abc")
    async with world.running(within=4.0):
        await asyncio.sleep(1)

    assert world.topic.group == {0: 3, 1: 0}
    assert world.consumer.calls[-2:] == ["commit", "stop"]
    assert world.scene.share.used == 0


@virtual
async def test_what_was_settled_just_before_a_stop_is_committed() -> None:
    world = World()
    world.topic.put(0, *"abc")
    async with world.running():
        await asyncio.sleep(0.1)
        assert world.function.batches
        assert world.topic.group == {0: 0}

    assert world.topic.group == {0: 3}


@pytest.mark.parametrize("error", [DENIED, NotOurs()])
@virtual
async def test_a_last_commit_that_fails_keeps_nobody(error: ConsumerError) -> None:
    world = World()
    world.topic.put(0, *"abc")
    async with world.running():
        await asyncio.sleep(0.1)
        world.consumer.errors["commit"] = [error]

    assert world.topic.group == {0: 0}
    assert world.consumer.calls[-1] == "stop"


@virtual
async def test_a_last_commit_that_hangs_is_cut_off() -> None:
    world = World()
    world.topic.put(0, *"abc")
    async with world.running(within=5.0):
        await asyncio.sleep(0.1)
        world.consumer.seconds["commit"] = 100.0

    assert world.topic.group == {0: 0}


@virtual
async def test_a_stop_while_the_group_is_divided_waits_for_nothing() -> None:
    world = World()
    world.topic.put(0, "a")
    async with world.running():
        await asyncio.sleep(1)
        group = world.consumer.group
        assert group is not None
        await group.revoked()
        world.topic.put(0, "b")
        await asyncio.sleep(5)

    assert world.function.batches == [("trades-0", [0])]
    assert world.topic.group == {0: 1}
    assert world.scene.share.used == 0


@virtual
async def test_a_stop_during_a_take_up_leaves_in_order() -> None:
    world = World()
    world.topic.put(0, *"abc")
    async with world.running():
        await asyncio.sleep(0.1)
        group = world.consumer.group
        assert group is not None
        await group.revoked()
        world.consumer.seconds["committed"] = 10.0
        group.assigned(frozenset({0}))
        await asyncio.sleep(1)

    assert world.topic.group == {0: 3}
    assert world.consumer.calls[-1] == "stop"
