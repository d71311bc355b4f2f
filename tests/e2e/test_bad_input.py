"""Configurations that are wrong, through the real command: sentences on standard error, exit codes, never a traceback."""

import json
import socket
from pathlib import Path

import pytest

from tests.e2e.harness import Launcher, finish, mapping
from tests.servers.queues import Queues, numbered
from tests.servers.scripted_invoke import ScriptedInvoke

_GOOD = """
  - Name: orders
    EventSourceArn: arn:aws:sqs:eu-west-1:123456789012:orders
    FunctionName: process-orders
"""

#: A whole document, and what must be said about it.
BROKEN = {
    "not YAML": ("EventSourceMappings: [", "is not valid YAML"),
    "a tab": ("EventSourceMappings:\n\t- Name: a\n", "outboard.yaml:2"),
    "binary": ("\x00\x01", "outboard.yaml"),
    "empty": ("", "EventSourceMappings"),
    "a list": ("- 1\n- 2\n", "outboard.yaml"),
    "a string": ("hello\n", "outboard.yaml"),
    "no mappings": ("Server: {Port: 8080}\n", "EventSourceMappings"),
    "mappings not a list": ("EventSourceMappings: 5\n", "EventSourceMappings"),
    "a mapping that is a number": ("EventSourceMappings: [5]\n", "mapping #1"),
    "an unknown top-level key": (f"EventSourceMappings:{_GOOD}Limit: {{}}\n", "Limits"),
    "a key given twice": (f"Server: {{Port: 1, Port: 2}}\nEventSourceMappings:{_GOOD}", "Port"),
    "duplicate names": (f"EventSourceMappings:{_GOOD}{_GOOD}", "orders"),
    "a port out of range": (f"Server: {{Port: 70000}}\nEventSourceMappings:{_GOOD}", "Port"),
    "an unknown field": (f"EventSourceMappings:{_GOOD}    BatchSizes: 5\n", "BatchSize"),
    "a batch too large": (f"EventSourceMappings:{_GOOD}    BatchSize: 10001\n", "BatchSize"),
    "an ARN that is none": (
        "EventSourceMappings:\n  - {Name: orders, EventSourceArn: orders, FunctionName: f}\n",
        "EventSourceArn",
    ),
}


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_configuration_is_refused_with_a_sentence(tmp_path: Path, name: str, command: str) -> None:
    text, said = BROKEN[name]
    (tmp_path / "outboard.yaml").write_text(text)

    ended = await finish(command, "outboard.yaml", folder=tmp_path)

    problems = ended.stderr if command == "run" else ended.stdout
    assert ended.code == 1, ended
    assert said in problems
    assert {line.partition(":")[0] for line in problems.splitlines()} == {"outboard.yaml"}
    assert "Traceback" not in ended.stderr + ended.stdout


@pytest.mark.parametrize("command", ["run", "check"])
async def test_a_file_that_is_not_there_is_named(tmp_path: Path, command: str) -> None:
    ended = await finish(command, "nowhere.yaml", folder=tmp_path)

    assert ended.code == 1
    assert "nowhere.yaml" in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [(), ("fly",), ("run", "--fast"), ("demo", "--seconds", "soon")])
async def test_wrong_usage_ends_with_two(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = await finish(*arguments, folder=tmp_path)

    assert (ended.code, ended.stdout) == (2, "")
    assert "usage: outboard" in ended.stderr


async def test_strict_refuses_what_run_would_have_worked_around(tmp_path: Path) -> None:
    bad = "  - {Name: bad, EventSourceArn: nothing, FunctionName: f}\n"
    (tmp_path / "outboard.yaml").write_text(f"EventSourceMappings:{_GOOD}{bad}")

    ended = await finish("run", "--strict", "outboard.yaml", folder=tmp_path)

    assert ended.code == 1
    assert "mapping bad: EventSourceArn" in ended.stderr


async def test_a_port_in_use_is_named_with_a_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = f"Server: {{Host: 127.0.0.1, Port: {port}}}\n"
        (tmp_path / "outboard.yaml").write_text(f"{server}EventSourceMappings:{_GOOD}")

        ended = await finish("run", "outboard.yaml", folder=tmp_path)

    errors = [line for line in ended.stderr.splitlines() if line.startswith("outboard: ")]
    assert ended.code == 1
    assert len(errors) == 1
    assert str(port) in errors[0]
    assert "Traceback" not in ended.stderr + ended.stdout


@pytest.mark.server
async def test_a_bad_mapping_beside_a_good_one_is_shown_and_the_good_one_works(
    outboard: Launcher, queues: Queues, functions: ScriptedInvoke
) -> None:
    queue = await queues.create()
    await queue.send(numbered(range(20)))
    bad = mapping(queue, functions.url, name="bad", BatchSize=500)

    running = await outboard.run([mapping(queue, functions.url), bad])
    await queue.until_empty()
    shown, metrics = await running.mappings(), await running.metrics()

    assert len(functions.of("orders")) > 0
    assert functions.of("bad") == []
    assert (shown["orders"]["state"], shown["bad"]["state"]) == ("Enabled", "Failed")
    assert "MaximumBatchingWindowInSeconds" in str(shown["bad"]["stateReason"])
    assert metrics.value("outboard_mapping_state", mapping="bad", state="Failed") == 1
    assert [line for line in _lines(running.log) if "bad" in json.dumps(line) and line["level"] in {"warning", "error"}]


def _lines(log: str) -> list[dict[str, object]]:
    """With `Format: json`, every line of the log is one object."""
    return [json.loads(line) for line in log.splitlines()]
