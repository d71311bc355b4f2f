"""The parts put together: a configuration's mappings run, are seen, and drain; one that cannot run stops no other."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from outboard.app import Outboard, Surroundings
from outboard.aws.calls import CallFailed, InvokeReply, JsonService, LambdaService
from outboard.config.loading import parse
from outboard.observe.metrics import Metrics
from outboard.observe.process import ProcessObserver
from tests.unit.observe.stage import START, Clock, recording_log
from tests.unit.sources.kinesis.fake import ARN, FIRST, THROTTLED, FakeCheckpoints, FakeKinesis
from tests.unit.sources.sqs.fake import DENIED, FakeSqs
from tests.unit.virtual import virtual

ORDERS = """EventSourceMappings:
  - Name: orders
    EventSourceArn: arn:aws:sqs:eu-west-1:123456789012:orders
    FunctionName: process-orders:live
    FunctionResponseTypes: [ReportBatchItemFailures]
    BatchSize: 5
"""
REFUNDS = """  - Name: refunds
    EventSourceArn: arn:aws:sqs:eu-central-1:123456789012:refunds
    FunctionName: arn:aws:lambda:us-east-1:999999999999:function:pay-back
    SourceRoleArn: arn:aws:iam::123456789012:role/reader
    FunctionRoleArn: arn:aws:iam::999999999999:role/invoker
    InvokeTimeoutSeconds: 60
"""
CLICKS = """EventSourceMappings:
  - Name: clicks
    EventSourceArn: arn:aws:kinesis:eu-west-1:123456789012:stream/clicks
    FunctionName: count-clicks
    StartingPosition: TRIM_HORIZON
"""
SUCCESS = InvokeReply(200, {"x-amz-executed-version": "1"}, b"")


class FakeLambda:
    """Answers with `reply` after `seconds`."""

    def __init__(self) -> None:
        self.reply = SUCCESS
        self.seconds = 0.0
        self.invokes: list[tuple[str, str | None, bytes, float]] = []

    async def invoke(
        self,
        function: str,
        payload: bytes,
        *,
        qualifier: str | None = None,
        invocation_type: str = "RequestResponse",
        trace: str | None = None,
        timeout: float = 905.0,
    ) -> InvokeReply:
        self.invokes.append((function, qualifier, payload, timeout))
        await asyncio.sleep(self.seconds)
        return self.reply


class FakeConnections:
    """A queue per region and one Lambda; notes under which identity they were asked for."""

    region: str | None = "eu-west-1"

    def __init__(self) -> None:
        self.queues: dict[str, FakeSqs] = {}
        self.stream = FakeKinesis()
        self.identity: str | CallFailed | None = "arn:aws:iam::123456789012:user/tester"
        self.functions = FakeLambda()
        self.asked: list[tuple[str, str, str | None]] = []
        self.refused: dict[str, CallFailed] = {}
        self.closed = False

    def queue(self, region: str) -> FakeSqs:
        return self.queues.setdefault(region, FakeSqs())

    def sqs_endpoint(self, region: str, endpoint: str | None) -> str:
        return endpoint or f"https://sqs.{region}.amazonaws.com"

    def sqs(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService:
        self.asked.append(("sqs", region, role_arn))
        return self.queue(region)

    def kinesis(self, region: str, endpoint: str | None, role_arn: str | None) -> JsonService:
        self.asked.append(("kinesis", region, role_arn))
        return self.stream

    async def caller_arn(self, region: str, **_how: object) -> str | None:
        if isinstance(self.identity, CallFailed):
            raise self.identity
        return self.identity

    def lambda_(self, region: str, endpoint: str | None, role_arn: str | None) -> LambdaService:
        self.asked.append(("lambda", region, role_arn))
        if region in self.refused:
            raise self.refused[region]
        return self.functions

    async def close(self) -> None:
        self.closed = True


class World:
    """The service on fakes."""

    def __init__(self, text: str) -> None:
        self.connections = FakeConnections()
        self.metrics = Metrics()
        self.clock = Clock()
        log, self.lines = recording_log()
        self._process = ProcessObserver(self.metrics, log, self.clock)
        self.checkpoints = FakeCheckpoints()
        self._text = text
        self.outcome: dict[str, int] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Outboard]:
        outboard = Outboard(
            parse({"outboard.yaml": self._text}),
            self.connections,
            self.metrics,
            self._process,
            Surroundings(wall=self.clock, jitter=lambda: 0.0, checkpoints=self.checkpoints),
        )
        async with asyncio.TaskGroup() as group:
            run = group.create_task(outboard.run(), name="outboard")
            yield outboard
            if not outboard.draining:
                outboard.stop("SIGTERM")
        self.outcome = dict(run.result())

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [dict(line) for line in self.lines if line["event"] == event]


def states(outboard: Outboard) -> dict[str, object]:
    return {str(shown["name"]): shown["state"] for shown in outboard.mappings()}


@virtual
async def test_messages_reach_the_function_and_are_deleted() -> None:
    world = World(ORDERS)
    queue = world.connections.queue("eu-west-1")
    queue.send("m-1", "m-2")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        (shown,) = outboard.mappings()
        assert shown["name"] == "orders"
        assert shown["state"] == "Enabled"

    ((function, qualifier, payload, timeout),) = world.connections.functions.invokes
    assert (function, qualifier, timeout) == ("process-orders", "live", 905)
    assert payload.startswith(b'{"Records":[{"messageId":"m-1",')
    assert queue.deleted == ["m-1", "m-2"]
    assert queue.made("ReceiveMessage")[0]["QueueUrl"] == "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
    assert queue.made("ReceiveMessage")[0]["MaxNumberOfMessages"] == 5


@virtual
async def test_each_mapping_has_its_own_regions_roles_and_time_out() -> None:
    world = World(ORDERS + REFUNDS)
    world.connections.queue("eu-central-1").send("m-1")
    async with world.running():
        await asyncio.sleep(1)

    assert sorted(world.connections.asked, key=str) == [
        ("lambda", "eu-west-1", None),
        ("lambda", "us-east-1", "arn:aws:iam::999999999999:role/invoker"),
        ("sqs", "eu-central-1", "arn:aws:iam::123456789012:role/reader"),
        ("sqs", "eu-west-1", None),
    ]
    assert [timeout for *_, timeout in world.connections.functions.invokes] == [60]


@virtual
async def test_a_partial_response_is_honoured() -> None:
    world = World(ORDERS)
    queue = world.connections.queue("eu-west-1")
    queue.send("m-1", "m-2")
    world.connections.functions.reply = InvokeReply(
        200, {"x-amz-executed-version": "1"}, b'{"batchItemFailures":[{"itemIdentifier":"m-2"}]}'
    )
    async with world.running():
        await asyncio.sleep(1)

    assert queue.deleted == ["m-1"]
    assert list(queue.messages) == ["m-2"]


def clicks(fields: str = "") -> World:
    return World(CLICKS.replace("    StartingPosition", f"{fields}    StartingPosition") if fields else CLICKS)


def invoked(world: World) -> list[dict[str, Any]]:
    """Every event that the function was sent, in order."""
    return [
        event for _, _, payload, _ in world.connections.functions.invokes for event in orjson.loads(payload)["Records"]
    ]


@virtual
async def test_a_streams_records_reach_the_function_and_are_checkpointed_durably_before_the_end() -> None:
    world = clicks()
    stream = world.connections.stream
    _, two = stream.put(FIRST, "a", "b")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert states(outboard) == {"clicks": "Enabled"}
        (uuid,) = [str(shown["uuid"]) for shown in outboard.mappings()]

    assert [event["eventID"].partition(":")[0] for event in invoked(world)] == [FIRST, FIRST]
    assert world.checkpoints.durable[uuid, f"{ARN}@{stream.created!r}"] == {FIRST: two}
    assert world.checkpoints.durable[uuid, ARN] == {"": "TRIM_HORIZON"}


@pytest.mark.parametrize(
    ("position", "stored", "sent"),
    [
        ("TRIM_HORIZON", "TRIM_HORIZON", ["old", "new"]),
        ("LATEST", f"AT_TIMESTAMP {START!r}", ["new"]),
        (f"AT_TIMESTAMP\n    StartingPositionTimestamp: {START - 5}", f"AT_TIMESTAMP {START - 5!r}", ["new"]),
    ],
)
@virtual
async def test_a_stream_is_begun_where_the_mapping_says(position: str, stored: str, sent: list[str]) -> None:
    world = World(CLICKS.replace("TRIM_HORIZON", position))
    world.connections.stream.put(FIRST, "old", arrived=START - 10)
    async with world.running():
        await asyncio.sleep(1)
        world.connections.stream.put(FIRST, "new")
        await asyncio.sleep(2)

    assert [base64.b64decode(event["kinesis"]["data"]).decode() for event in invoked(world)] == sent
    assert [rows for (_, stream), rows in world.checkpoints.rows.items() if stream == ARN] == [{"": stored}]


@virtual
async def test_a_streams_limits_are_the_mappings() -> None:
    world = clicks(
        "    BatchSize: 2\n    MaximumRetryAttempts: 1\n    BisectBatchOnFunctionError: true\n"
        "    FunctionResponseTypes: [ReportBatchItemFailures]\n"
    )
    numbers = world.connections.stream.put(FIRST, *"abc")
    broken = b'{"batchItemFailures":[{"itemIdentifier":"%s"}]}' % numbers[0].encode()
    world.connections.functions.reply = InvokeReply(200, {"x-amz-executed-version": "1"}, broken)
    async with world.running():
        await asyncio.sleep(2.5)

    sizes = [len(orjson.loads(payload)["Records"]) for _, _, payload, _ in world.connections.functions.invokes]
    assert sizes == [2, 1, 1, 1, 1, 1, 1]
    labels = {"mapping": "clicks", "reason": "retry_attempts_exhausted"}
    assert world.metrics.registry.get_sample_value("outboard_dropped_events_total", labels) == 3


@pytest.mark.parametrize(
    ("fields", "identity", "named"),
    [
        ("", "arn:aws:iam::123456789012:user/tester", "arn:aws:iam::123456789012:user/tester"),
        ("", None, "arn:aws:iam::123456789012:root"),
        ("", CallFailed("NoIdentity", "STS did not say"), "arn:aws:iam::123456789012:root"),
        (
            "    SourceRoleArn: arn:aws:iam::123456789012:role/reader\n",
            CallFailed("NoIdentity", "not asked"),
            "arn:aws:iam::123456789012:role/reader",
        ),
        (
            (
                "    SourceRoleArn: arn:aws:iam::123456789012:role/reader\n"
                "    FunctionRoleArn: arn:aws:iam::123456789012:role/invoker\n"
            ),
            CallFailed("NoIdentity", "not asked"),
            "arn:aws:iam::123456789012:role/invoker",
        ),
    ],
)
@virtual
async def test_an_event_names_who_invokes(fields: str, identity: str | CallFailed | None, named: str) -> None:
    world = clicks(fields)
    world.connections.identity = identity
    world.connections.stream.put(FIRST, "a")
    async with world.running():
        await asyncio.sleep(1)

    assert [event["invokeIdentityArn"] for event in invoked(world)] == [named]


@virtual
async def test_a_failing_stream_holds_up_no_queue() -> None:
    world = World(ORDERS + CLICKS.partition("\n")[2])
    world.connections.stream.answers["DescribeStreamSummary"] = [THROTTLED] * 99
    queue = world.connections.queue("eu-west-1")
    queue.send(*[f"m-{number}" for number in range(20)])
    async with world.running() as outboard:
        await asyncio.sleep(5)
        assert states(outboard) == {"orders": "Enabled", "clicks": "blocked"}
        assert len(queue.deleted) == 20


@virtual
async def test_a_disk_that_is_full_at_the_end_holds_up_the_exit_for_seconds_only() -> None:
    world = clicks()
    world.connections.stream.put(FIRST, "a")
    async with world.running():
        await asyncio.sleep(1)
        world.checkpoints.failing = True
    assert asyncio.get_running_loop().time() <= 1000 + 1 + 5 + 1

    assert world.outcome == {}
    assert world.connections.closed


@virtual
async def test_a_disabled_mapping_is_shown_and_does_nothing() -> None:
    world = World(ORDERS + "    Enabled: false\n")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Disabled"}
        assert [shown["stateReason"] for shown in outboard.mappings()] == ["Enabled is false"]

    assert world.connections.queues == {}


@virtual
async def test_a_mapping_with_a_problem_is_shown_as_failed_beside_one_that_runs() -> None:
    world = World(ORDERS + REFUNDS.replace("InvokeTimeoutSeconds: 60", "BatchSize: 0"))
    world.connections.queue("eu-west-1").send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Enabled", "refunds": "Failed"}
        (reason,) = [str(shown["stateReason"]) for shown in outboard.mappings() if shown["name"] == "refunds"]
        assert "BatchSize" in reason
        assert [shape["UUID"] for shape in outboard.listing()] == [
            shown["uuid"] for shown in outboard.mappings() if shown["name"] == "orders"
        ]

    assert world.connections.queue("eu-west-1").deleted == ["m-1"]


@virtual
async def test_a_function_that_cannot_be_reached_at_all_fails_its_mapping_alone() -> None:
    world = World(ORDERS + REFUNDS)
    world.connections.refused["us-east-1"] = CallFailed("UnknownEndpoint", "there is no Lambda in us-east-1")
    world.connections.queue("eu-west-1").send("m-1")
    async with world.running() as outboard:
        await asyncio.sleep(1)
        assert states(outboard) == {"orders": "Enabled", "refunds": "Failed"}
        assert "there is no Lambda in us-east-1" in [shown["stateReason"] for shown in outboard.mappings()]

    assert world.connections.queue("eu-west-1").deleted == ["m-1"]


@virtual
async def test_a_queue_that_is_refused_holds_up_no_other_mapping() -> None:
    world = World(ORDERS + REFUNDS)
    world.connections.queue("eu-central-1").answers["GetQueueAttributes"] = [DENIED] * 99
    queue = world.connections.queue("eu-west-1")
    queue.send(*[f"m-{number}" for number in range(20)])
    async with world.running() as outboard:
        await asyncio.sleep(5)
        assert states(outboard) == {"orders": "Enabled", "refunds": "blocked"}
        assert len(queue.deleted) == 20


@virtual
async def test_the_listing_is_awss_and_follows_the_state() -> None:
    world = World(ORDERS)
    async with world.running() as outboard:
        await asyncio.sleep(1)
        (shape,) = outboard.listing()

    assert shape["EventSourceArn"] == "arn:aws:sqs:eu-west-1:123456789012:orders"
    assert shape["State"] == "Enabled"
    assert shape["LastModified"] == START
    assert shape["BatchSize"] == 5


@virtual
async def test_it_is_ready_between_listening_and_draining() -> None:
    world = World(ORDERS)
    async with world.running() as outboard:
        assert outboard.ready() == (False, ["the status port is not open yet"])
        outboard.listening()
        assert outboard.ready() == (True, [])
        outboard.stop("SIGTERM")
        assert outboard.ready() == (False, ["the service is draining"])


@virtual
async def test_a_stop_finishes_invokes_closes_the_connections_and_says_what_went_back() -> None:
    world = World(ORDERS + "    MaximumConcurrency: 1\n    MaximumBatchingWindowInSeconds: 60\n")
    queue = world.connections.queue("eu-west-1")
    world.connections.functions.seconds = 5.0
    queue.send(*[f"m-{number}" for number in range(5)])
    async with world.running():
        await asyncio.sleep(1)
        assert not world.connections.closed

    assert world.outcome == {}
    assert world.connections.closed
    assert len(queue.deleted) == 5
    assert [line["why"] for line in world.logged("draining")] == ["SIGTERM"]
    assert len(world.logged("drained")) == 1


@virtual
async def test_a_drain_that_takes_too_long_is_ended_and_reported() -> None:
    world = World(ORDERS + "Shutdown: {DrainTimeoutSeconds: 10}\n")
    world.connections.queue("eu-west-1").send("m-1")
    world.connections.functions.seconds = 600.0
    async with world.running():
        await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() == pytest.approx(1011)

    assert world.outcome == {"orders": 1}
    assert world.connections.closed
    assert [line["unfinished"] for line in world.logged("drain timed out")] == [1]
    assert list(world.connections.queue("eu-west-1").messages) == ["m-1"]


@virtual
async def test_the_byte_budget_is_the_configurations() -> None:
    world = World(ORDERS + "Limits: {MaximumBufferedBytes: 33554432}\n")
    async with world.running():
        await asyncio.sleep(1)

    assert world.metrics.registry.get_sample_value("outboard_buffer_limit_bytes") == 33554432
