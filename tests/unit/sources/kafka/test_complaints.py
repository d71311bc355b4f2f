"""What the library says only in its log reaches the consumer that it concerns, and nobody's screen."""

import asyncio
import logging

import pytest

from outboard.sources.kafka import complaints
from tests.unit.virtual import virtual

LOG = logging.getLogger("aiokafka.conn")


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def __call__(self, error_type: str, text: str) -> None:
        self.heard.append((error_type, text))


@pytest.mark.parametrize(
    ("text", "error_type"),
    [
        (
            "Unable connect to node with id 1: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: SSLError",
            "CERTIFICATE_VERIFY_FAILED",
        ),
        ("Topic trades: TopicAuthorizationFailedError", "TopicAuthorizationFailedError"),
        ("[Error 29] GroupAuthorizationFailed for group", "GroupAuthorizationFailed"),
        ("[Error 58] SaslAuthenticationFailed: bad password", "SaslAuthenticationFailed"),
        ("Unable connect to node: ssl.SSLZeroReturnError", "SSLZeroReturnError"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "WRONG_VERSION_NUMBER"),
        ("Unable connect to b1:9092: gaierror(-2, 'Name or service not known')", "gaierror"),
        ("Error sending JoinGroupRequest: NodeNotReadyError: 1", "NodeNotReadyError"),
        ("ConnectionRefusedError: [Errno 111] Connect call failed", "ConnectionRefusedError"),
        ("GroupCoordinatorNotAvailable for group", "GroupCoordinatorNotAvailable"),
        ("Something is wrong", "KafkaError"),
        ("", "KafkaError"),
    ],
)
def test_an_error_is_named_by_its_most_telling_word(text: str, error_type: str) -> None:
    assert complaints.error_type(text) == error_type


@virtual
async def test_each_consumer_hears_of_its_own() -> None:
    complaints.listen()
    one, other = Listener(), Listener()

    async def library(node: str) -> None:
        await asyncio.sleep(1)
        LOG.error("Unable connect to node %s: NodeNotReadyError", node)

    async with asyncio.TaskGroup() as group:
        for listener, node in ((one, "one"), (other, "other")):
            told = complaints.listener.set(listener)
            group.create_task(library(node), name=node)
            complaints.listener.reset(told)
        LOG.error("heard by nobody: NodeNotReadyError")

    assert one.heard == [("NodeNotReadyError", "Unable connect to node one: NodeNotReadyError")]
    assert other.heard == [("NodeNotReadyError", "Unable connect to node other: NodeNotReadyError")]


def test_the_exception_of_a_line_is_part_of_what_is_told() -> None:
    complaints.listen()
    heard = Listener()
    told = complaints.listener.set(heard)
    LOG.error("Unexpected", exc_info=ConnectionResetError("by peer"))
    complaints.listener.reset(told)

    assert heard.heard == [("ConnectionResetError", "Unexpected: ConnectionResetError: by peer")]


def test_warnings_are_no_complaints_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    complaints.listen()
    heard = Listener()
    told = complaints.listener.set(heard)
    LOG.warning("Heartbeat failed: NodeNotReadyError")
    complaints.listener.reset(told)
    LOG.error("NodeNotReadyError")

    assert heard.heard == []
    assert capfd.readouterr() == ("", "")


def test_listening_twice_tells_once() -> None:
    complaints.listen()
    complaints.listen()
    heard = Listener()
    told = complaints.listener.set(heard)
    LOG.error("NodeNotReadyError")
    complaints.listener.reset(told)

    assert len(heard.heard) == 1
