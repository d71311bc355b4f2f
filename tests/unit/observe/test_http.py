"""The status port, asked over loopback by an HTTP client and by AWS's own."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence

import aiohttp
import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from outboard.observe.facts import MappingFacts
from outboard.observe.http import PortUnavailable, serve
from outboard.observe.metrics import Metrics
from tests.unit.observe.stage import ORDERS, Stage

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:process-orders"
READ_ONLY = "This port is read-only: mappings are changed in the configuration that Outboard was started with."


def configuration(number: int) -> dict[str, object]:
    return {
        "UUID": f"0a1b2c3d-0000-5000-8000-{number:012}",
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "EventSourceArn": f"arn:aws:sqs:eu-west-1:123456789012:orders-{number}",
        "FunctionArn": FUNCTION,
        "LastModified": 1_700_000_000.5,
        "State": "Enabled",
        "StateTransitionReason": "USER_INITIATED",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }


class Board:
    """What a test puts on show."""

    def __init__(self) -> None:
        self.config_hash = "c0ffee"
        self.last_reload: Mapping[str, object] | None = None
        self.reasons: list[str] = []
        self.shown: list[Mapping[str, object]] = [Stage().observer.snapshot()]
        self.listed: list[Mapping[str, object]] = [configuration(number) for number in range(1, 6)]

    def ready(self) -> tuple[bool, Sequence[str]]:
        return not self.reasons, self.reasons

    def mappings(self) -> Sequence[Mapping[str, object]]:
        return self.shown

    def listing(self) -> Sequence[Mapping[str, object]]:
        return self.listed


class Port:
    """A status port that is up, and a client for it."""

    def __init__(self, url: str, board: Board, metrics: Metrics, client: aiohttp.ClientSession) -> None:
        self.url = url
        self.board = board
        self.metrics = metrics
        self.client = client

    async def get(self, path: str) -> tuple[int, object]:
        async with self.client.get(self.url + path) as answer:
            return answer.status, await answer.json()

    async def lambda_call(self, operation: str, **parameters: object) -> dict[str, object]:
        """Call an operation with AWS's own client."""

        def call() -> dict[str, object]:
            client = boto3.client(
                "lambda",
                region_name="eu-west-1",
                endpoint_url=self.url,
                aws_access_key_id="AKIDEXAMPLE",
                aws_secret_access_key="secret",
                config=Config(retries={"max_attempts": 0}, proxies={}),
            )
            try:
                answer: dict[str, object] = getattr(client, operation)(**parameters)
            finally:
                client.close()
            return answer

        return await asyncio.to_thread(call)


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    board, metrics = Board(), Metrics()
    metrics.open(ORDERS)
    async with serve("127.0.0.1", 0, board, metrics) as url, aiohttp.ClientSession() as client:
        yield Port(url, board, metrics, client)


async def test_alive_is_whoever_answers(port: Port) -> None:
    port.board.reasons = ["The process is draining."]

    assert await port.get("/livez") == (200, {"live": True})


async def test_ready_says_why_not(port: Port) -> None:
    ready = await port.get("/readyz")
    port.board.reasons = ["The process is draining."]

    assert ready == (200, {"ready": True, "reasons": []})
    assert await port.get("/readyz") == (503, {"ready": False, "reasons": ["The process is draining."]})


async def test_mappings_are_shown_as_the_board_has_them(port: Port) -> None:
    assert await port.get("/mappings") == (
        200,
        {"configHash": "c0ffee", "lastReload": None, "mappings": port.board.shown},
    )


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", ""),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1",
            "application/openmetrics-text; version=1.0.0",
            "# EOF\n",
        ),
    ],
)
async def test_metrics_come_in_the_format_that_is_asked_for(
    port: Port, accept: str, content_type: str, end: str
) -> None:
    async with port.client.get(f"{port.url}/metrics", headers={"Accept": accept}) as answer:
        text = await answer.text()

    assert answer.headers["Content-Type"].startswith(content_type)
    assert 'outboard_polled_events_total{mapping="orders"} 0.0\n' in text
    assert text.endswith(end)


async def test_scrapes_at_the_same_time_all_get_everything(port: Port) -> None:
    for number in range(50):
        port.metrics.open(MappingFacts(f"mapping-{number}", str(number), "sqs"))

    async def scrape() -> int:
        async with port.client.get(f"{port.url}/metrics") as answer:
            return (await answer.text()).count("outboard_polled_events_total{")

    async with asyncio.TaskGroup() as tasks:
        scrapes = [tasks.create_task(scrape(), name=f"scrape {number}") for number in range(20)]

    assert [each.result() for each in scrapes] == [51] * 20


async def test_the_page_needs_nothing_from_elsewhere(port: Port) -> None:
    async with port.client.get(f"{port.url}/") as answer:
        page = await answer.text()

    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert re.findall(r"https?://|\bsrc=|@import|url\(|innerHTML", page) == []


async def test_the_page_shows_what_mappings_has(port: Port) -> None:
    async with port.client.get(f"{port.url}/") as answer:
        page = await answer.text()
    shown = port.board.shown[0]
    counts = shown["counts"]
    assert isinstance(counts, dict)

    assert set(re.findall(r"\bmapping\.(\w+)", page)) <= shown.keys()
    assert set(re.findall(r"\bcounts\.(\w+)", page)) <= counts.keys()
    assert {"name", "state", "stateReason", "lastError", "inFlight", "lagSeconds"} <= set(
        re.findall(r"\bmapping\.(\w+)", page)
    )


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/livez",
        "/readyz",
        "/metrics",
        "/mappings",
        "/2015-03-31/event-source-mappings",
        "/2015-03-31/event-source-mappings/",
        "/2015-03-31/event-source-mappings/0a1b",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed(port: Port, method: str, path: str) -> None:
    async with port.client.request(method, port.url + path, data=b"{}") as answer:
        body = await answer.json()

    assert (answer.status, answer.headers["Allow"], body["Message"]) == (405, "GET, HEAD", READ_ONLY)


async def test_an_unknown_path_is_answered_with_a_sentence(port: Port) -> None:
    assert await port.get("/mapping") == (404, {"Type": "User", "Message": "There is nothing at /mapping."})


async def test_awss_client_lists_all_mappings(port: Port) -> None:
    answer = await port.lambda_call("list_event_source_mappings")

    found = answer["EventSourceMappings"]
    assert isinstance(found, list)
    assert [each["UUID"] for each in found] == [each["UUID"] for each in port.board.listed]
    assert found[0]["LastModified"].timestamp() == 1_700_000_000.5
    assert {**found[0], "LastModified": 1_700_000_000.5} == configuration(1)
    assert "NextMarker" not in answer


async def test_awss_client_pages_through_the_listing(port: Port) -> None:
    def pages() -> list[list[str]]:
        client = boto3.client(
            "lambda",
            region_name="eu-west-1",
            endpoint_url=port.url,
            aws_access_key_id="AKID",
            aws_secret_access_key="secret",
        )
        paginator = client.get_paginator("list_event_source_mappings")
        found = [
            [each["UUID"][-1] for each in answer["EventSourceMappings"]]
            for answer in paginator.paginate(PaginationConfig={"PageSize": 2})
        ]
        client.close()
        return found

    assert await asyncio.to_thread(pages) == [["1", "2"], ["3", "4"], ["5"]]


async def test_awss_client_filters(port: Port) -> None:
    one = await port.lambda_call(
        "list_event_source_mappings", EventSourceArn="arn:aws:sqs:eu-west-1:123456789012:orders-3"
    )
    all_of_it = await port.lambda_call("list_event_source_mappings", FunctionName="process-orders")
    none = await port.lambda_call("list_event_source_mappings", FunctionName="another")

    counts = [len(answer["EventSourceMappings"]) for answer in (one, all_of_it, none)]  # type: ignore[arg-type]
    assert counts == [1, 5, 0]


async def test_awss_client_gets_one_mapping(port: Port) -> None:
    answer = await port.lambda_call("get_event_source_mapping", UUID="0a1b2c3d-0000-5000-8000-000000000002")

    assert answer["EventSourceArn"] == "arn:aws:sqs:eu-west-1:123456789012:orders-2"


@pytest.mark.parametrize(
    ("operation", "parameters", "status", "code", "message"),
    [
        (
            "get_event_source_mapping",
            {"UUID": "none"},
            404,
            "ResourceNotFoundException",
            "The resource you requested does not exist.",
        ),
        (
            "list_event_source_mappings",
            {"Marker": "%"},
            400,
            "InvalidParameterValueException",
            "Marker is not one that this listing gave out.",
        ),
        (
            "list_event_source_mappings",
            {"MaxItems": 10001},
            400,
            "ValidationException",
            (
                "1 validation error detected: Value '10001' at 'maxItems' failed to satisfy constraint: "
                "Member must have value less than or equal to 10000"
            ),
        ),
        (
            "create_event_source_mapping",
            {"FunctionName": "f", "EventSourceArn": "arn:aws:sqs:eu-west-1:123456789012:q"},
            405,
            "MethodNotAllowedException",
            READ_ONLY,
        ),
        ("delete_event_source_mapping", {"UUID": "none"}, 405, "MethodNotAllowedException", READ_ONLY),
    ],
)
async def test_awss_client_understands_a_refusal(
    port: Port, operation: str, parameters: dict[str, object], status: int, code: str, message: str
) -> None:
    with pytest.raises(ClientError) as refused:
        await port.lambda_call(operation, **parameters)

    answer = refused.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (status, code)
    assert answer["Error"]["Message"] == message


async def test_a_port_that_is_taken_is_a_sentence(port: Port) -> None:
    number = int(port.url.rsplit(":", 1)[1])
    with pytest.raises(PortUnavailable) as refused:
        async with serve("127.0.0.1", number, port.board, Metrics()):
            pass

    assert str(refused.value) == (
        f"Server.Port: another program listens on port {number} already; set another port or end that program."
    )


async def test_an_address_of_another_machine_is_a_sentence() -> None:
    with pytest.raises(PortUnavailable) as refused:
        async with serve("192.0.2.1", 0, Board(), Metrics()):
            pass

    assert re.fullmatch(
        r"Server\.Host: cannot listen on 192\.0\.2\.1:0 \(.+\); set an address of this machine\.", str(refused.value)
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "localhost"])
async def test_the_url_that_is_given_can_be_asked(host: str) -> None:
    async with (
        serve(host, 0, Board(), Metrics()) as url,
        aiohttp.ClientSession() as client,
        client.get(f"{url}/livez") as answer,
    ):
        assert answer.status == 200


async def test_the_port_is_free_again_afterwards() -> None:
    async with serve("127.0.0.1", 0, Board(), Metrics()) as first:
        number = int(first.rsplit(":", 1)[1])
    async with serve("127.0.0.1", number, Board(), Metrics()) as second:
        assert second == first
