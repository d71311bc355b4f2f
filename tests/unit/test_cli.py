"""What each command says, where, and what it ends with."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from outboard import __version__
from outboard.cli import main

GOOD = """EventSourceMappings:
  - Name: orders
    EventSourceArn: arn:aws:sqs:eu-west-1:123456789012:orders
    FunctionName: process-orders
"""
ANOTHER = GOOD.partition("\n")[2].replace("orders", "refunds")
BAD = """EventSourceMappings:
  - Name: orders
    EventSourceArn: arn:aws:sqs:eu-west-1:123456789012:orders
    FunctionName: process-orders
    BatchSiez: 10
    MaximumBatchingWindowInSeconds: 999
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder, without a configuration from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OUTBOARD_CONFIG", raising=False)
    monkeypatch.delenv("OUTBOARD_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def ended(arguments: Sequence[str]) -> int:
    """The exit code of a command that ends before it begins."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def outboard(*arguments: str, **environ: str) -> "subprocess.Popen[str]":
    """The command as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "outboard", *arguments],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# Help and usage


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--help"]) == 0

    printed = capsys.readouterr().out
    assert "AWS Lambda event source mappings as a service of your own." in printed
    for command, does in [
        ("run", "run the service"),
        ("check", "validate a configuration"),
        ("demo", "watch it work on this machine, without an account"),
    ]:
        assert re.search(rf"^\s+{command}\s+{does}$", printed, re.MULTILINE)
    assert "70 internal error" in printed
    assert "128+n second signal" in printed


@pytest.mark.parametrize(
    ("command", "texts"),
    [
        ("run", ["PATH", "$OUTBOARD_CONFIG, then configs/outboard.yaml", "--strict", "until SIGTERM or Ctrl-C"]),
        (
            "check",
            ["PATH", "$OUTBOARD_CONFIG, then configs/outboard.yaml", "--live", "FILE:LINE: mapping NAME: FIELD:"],
        ),
        ("demo", ["--seconds", "default 30", "--rate", "--port", "--keep"]),
    ],
)
def test_a_commands_help_says_what_it_takes(command: str, texts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended([command, "--help"]) == 0

    printed = " ".join(capsys.readouterr().out.split())
    assert [text for text in texts if text not in printed] == []


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--version"]) == 0
    assert capsys.readouterr().out == f"outboard {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["rnu"], "invalid choice: 'rnu'"),
        (["run", "a.yaml", "b.yaml"], "unrecognized arguments: b.yaml"),
        (["check", "--strict"], "unrecognized arguments: --strict"),
        (["demo", "--seconds", "0"], "argument --seconds: 0 is not a positive number"),
        (["demo", "--rate", "many"], "argument --rate: many is not a positive number"),
        (["demo", "--rate", "nan"], "argument --rate: nan is not a positive number"),
        (["demo", "--port", "http"], "argument --port: http is not a port; give a number from 0 to 65535"),
        (["demo", "--port", "65536"], "argument --port: 65536 is not a port; give a number from 0 to 65535"),
    ],
)
def test_wrong_usage_is_said_on_stderr(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(arguments) == 2

    printed = capsys.readouterr()
    assert printed.out == ""
    assert complaint in printed.err


# check


def test_check_finds_nothing_wrong(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "good.yaml").write_text(GOOD + ANOTHER)

    assert main(["check", "good.yaml"]) == 0

    assert capsys.readouterr() == ("", "good.yaml: 2 mappings, no problems\n")


def test_check_prints_every_problem_as_a_result(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "bad.yaml").write_text(BAD)

    assert main(["check", "bad.yaml"]) == 1

    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first.startswith("bad.yaml:5: mapping orders: BatchSiez: ")
    assert "BatchSize" in first
    assert second.startswith("bad.yaml:6: mapping orders: MaximumBatchingWindowInSeconds: ")
    assert err == "bad.yaml: 2 problems\n"


def test_check_counts_a_single_problem_and_a_single_mapping(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "one.yaml").write_text(GOOD + "    BatchSize: 0\n")
    (elsewhere / "good.yaml").write_text(GOOD)

    assert [main(["check", "one.yaml"]), main(["check", "good.yaml"])] == [1, 0]

    assert capsys.readouterr().err == "one.yaml: 1 problem\ngood.yaml: 1 mapping, no problems\n"


def test_check_reads_a_folder(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = elsewhere / "folder"
    folder.mkdir()
    (folder / "a.yaml").write_text(GOOD)
    (folder / "b.yaml").write_text("EventSourceMappings:\n" + ANOTHER)

    assert main(["check", "folder"]) == 0
    assert capsys.readouterr().err == "folder: 2 mappings, no problems\n"


def test_check_takes_the_path_from_the_environment(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "named.yaml").write_text(GOOD)
    (elsewhere / "given.yaml").write_text(GOOD)
    monkeypatch.setenv("OUTBOARD_CONFIG", "named.yaml")

    assert [main(["check"]), main(["check", "given.yaml"])] == [0, 0]

    assert capsys.readouterr().err == "named.yaml: 1 mapping, no problems\ngiven.yaml: 1 mapping, no problems\n"


def test_check_looks_in_configs_at_last(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 1
    assert capsys.readouterr().out == (
        "configs/outboard.yaml: does not exist; name the file or folder, or set OUTBOARD_CONFIG\n"
    )
    (elsewhere / "configs").mkdir()
    (elsewhere / "configs" / "outboard.yaml").write_text(GOOD)

    assert main(["check"]) == 0


def test_live_advice_is_printed_and_changes_no_exit_code(elsewhere: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        (elsewhere / "good.yaml").write_text(GOOD + f"    SourceEndpointUrl: {url}\n    FunctionEndpointUrl: {url}\n")
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
        process = outboard("check", "--live", "good.yaml", **keys)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 0
    assert err == "good.yaml: 1 mapping, no problems\n"
    assert [line.split(": ")[:2] for line in out.splitlines()] == [
        ["mapping orders", "EventSourceArn"],
        ["mapping orders", "FunctionName"],
    ]


# run


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("EventSourceMappings: [", [], "bad.yaml:2: is not valid YAML"),
        (BAD, [], "bad.yaml:5: mapping orders: BatchSiez: "),
        (BAD + ANOTHER, ["--strict"], "bad.yaml:5: mapping orders: BatchSiez: "),
    ],
)
def test_run_refuses_what_it_cannot_run_on_stderr(
    text: str, options: list[str], complaint: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "bad.yaml").write_text(text)

    assert main(["run", "bad.yaml", *options]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(complaint)
    assert "Traceback" not in err


def test_run_without_a_configuration_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 1
    assert capsys.readouterr() == (
        "",
        "configs/outboard.yaml: does not exist; name the file or folder, or set OUTBOARD_CONFIG\n",
    )


def test_run_with_a_port_that_is_taken_says_so(elsewhere: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (elsewhere / "good.yaml").write_text(GOOD + f"Server: {{Host: 127.0.0.1, Port: {port}}}\n")
        process = outboard("run", "good.yaml")
        out, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert out == ""
    assert err.startswith("outboard: ")
    assert str(port) in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_with_a_signal(number: signal.Signals, elsewhere: Path) -> None:
    text = GOOD + "    Enabled: false\nServer: {Host: 127.0.0.1, Port: 0}\n"
    (elsewhere / "good.yaml").write_text(text)
    process = outboard("run", "good.yaml")
    try:
        assert process.stderr is not None
        assert any('"listening"' in line for line in process.stderr)
        process.send_signal(number)
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == 0
    assert "Traceback" not in rest


def test_a_run_that_is_stopped_before_it_has_begun_ends_at_once(elsewhere: Path) -> None:
    os.mkfifo(elsewhere / "slow.yaml")
    process = outboard("run", "slow.yaml")
    try:
        with (elsewhere / "slow.yaml").open("w"):  # opens once it is read from
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.communicate()


# Ends that nobody wishes for


def test_a_defect_is_a_sentence_and_exit_code_70(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "a\0b"]) == 70  # no shell can pass such a path

    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(
        r"outboard: internal error: ValueError: .*; this is a defect of Outboard, please report it with the output "
        r"of the same command under OUTBOARD_DEBUG=1\n",
        err,
    )


def test_a_defect_shows_its_traceback_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOARD_DEBUG", "1")

    with pytest.raises(ValueError, match="null"):
        main(["check", "a\0b"])


@pytest.mark.parametrize("buffering", [{}, {"PYTHONUNBUFFERED": "1"}])
def test_a_reader_that_went_away_is_no_defect(elsewhere: Path, buffering: dict[str, str]) -> None:
    (elsewhere / "bad.yaml").write_text(BAD)
    process = outboard("check", "bad.yaml", **buffering)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        err = process.stderr.read()

    assert process.wait(timeout=60) == 0
    assert err in ("", "bad.yaml: 2 problems\n")
