"""Whatever writes, in a process of its own: every line on stderr is one JSON object, and stdout stays empty."""

import subprocess
import sys
import textwrap

import orjson
import pytest

PREAMBLE = """
import asyncio, logging, sys, threading, warnings
import structlog
from outboard.observe.logs import configure
configure({level!r}, {form!r})
log = structlog.get_logger().bind(mapping="orders")
"""


def run(program: str, level: str = "info", form: str = "json") -> str:
    """What a program that configured its log writes to stderr."""
    source = PREAMBLE.format(level=level, form=form) + textwrap.dedent(program)
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, check=False, text=True, timeout=60)

    assert ended.stdout == ""
    return ended.stderr


def lines(program: str, level: str = "info") -> list[dict[str, object]]:
    return [orjson.loads(line) for line in run(program, level).splitlines()]


def test_a_line_begins_with_when_how_grave_and_what() -> None:
    [line] = run("log.info('polled', events=3)").splitlines()

    assert list(orjson.loads(line)) == ["timestamp", "level", "event", "mapping", "events"]
    assert line.startswith('{"timestamp":"20')
    assert line.endswith('Z","level":"info","event":"polled","mapping":"orders","events":3}')


def test_lines_below_the_level_are_not_written() -> None:
    program = "log.debug('d'); log.info('i'); log.warning('w'); log.error('e')"

    assert [[line["event"] for line in lines(program, level)] for level in ("debug", "info", "warning", "error")] == [
        ["d", "i", "w", "e"],
        ["i", "w", "e"],
        ["w", "e"],
        ["e"],
    ]


@pytest.mark.parametrize("name", ["aiohttp.client", "aiobotocore", "asyncio", "aiokafka"])
def test_libraries_are_heard_from_warning_up(name: str) -> None:
    program = f"""
    library = logging.getLogger({name!r})
    library.info("chatter"); library.warning("trouble with %s", "it")
    """
    [line] = lines(program, "debug")

    assert (line["level"], line["event"], line["logger"]) == ("warning", "trouble with it", name)


def test_a_python_warning_is_a_line() -> None:
    [line] = lines("warnings.warn('careful')")

    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "UserWarning: careful" in str(line["event"])


def test_an_exception_that_a_task_or_a_callback_lost_is_a_line() -> None:
    program = """
    async def fail():
        raise RuntimeError("lost")
    async def main():
        task = asyncio.get_running_loop().create_task(fail())
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.001)
        del task
    asyncio.run(main())
    """
    found = lines(program)

    assert [line["level"] for line in found] == ["error", "error"]
    assert {str(line["exception"]).splitlines()[-1] for line in found} == {
        "RuntimeError: lost",
        "ZeroDivisionError: division by zero",
    }


def test_an_uncaught_exception_is_a_line_in_threads_finalizers_and_at_the_end() -> None:
    program = """
    class Broken:
        def __del__(self):
            raise KeyError("finalizer")
    Broken()
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start(); thread.join()
    raise SystemError("end")
    """
    found = lines(program)

    assert [str(line["exception"]).splitlines()[-1] for line in found] == [
        "KeyError: 'finalizer'",
        "ZeroDivisionError: division by zero",
        "SystemError: end",
    ]


def test_an_exception_is_logged_with_its_traceback_in_the_same_line() -> None:
    program = """
    try:
        1 / 0
    except ZeroDivisionError as error:
        log.error("oops", exc_info=error)
    """
    [line] = lines(program)

    assert str(line["exception"]).startswith("Traceback (most recent call last):")


def test_no_value_is_too_strange_for_a_line() -> None:
    program = r"""
    log.info("strange", half="\ud800", large=2**70, raw=b"x", error=ValueError("v"), nested={1: {2}}, newline="a\nb")
    """
    [line] = lines(program)

    assert line["large"] == pytest.approx(2**70)
    assert (line["half"], line["raw"], line["error"], line["newline"]) == ("?", "b'x'", "v", "a\nb")


def test_the_console_format_is_for_people() -> None:
    [line] = run("log.info('polled', events=3)", form="console").splitlines()

    assert "polled" in line
    assert "mapping=orders" in line
    assert not line.startswith("{")
