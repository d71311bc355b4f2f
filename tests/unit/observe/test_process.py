"""Each fact about the process reaches its metric and its log line."""

import asyncio
import platform

import pytest
from structlog.typing import EventDict

from outboard.observe.metrics import Metrics
from outboard.observe.process import ProcessObserver
from tests.unit.observe.stage import START, Clock, recording_log


class Process:
    """A process observer, and everything that it tells."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.clock = Clock()
        log, self.lines = recording_log()
        self.observer = ProcessObserver(self.metrics, log, self.clock)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"outboard_{name}", labels)

    @property
    def last_line(self) -> EventDict:
        return self.lines[-1]


@pytest.fixture
def process() -> Process:
    return Process()


def test_a_start_says_what_runs_with_which_configuration(process: Process) -> None:
    process.observer.started("1.2.3", "outboard.yaml", "abc", 4)

    assert process.value("build_info", version="1.2.3", python=platform.python_version()) == 1
    assert process.value("config_info", hash="abc") == 1
    assert process.value("config_last_reload_success_timestamp_seconds") == START
    assert process.value("config_last_reload_successful") == 1
    assert process.lines == [
        {
            "event": "started",
            "log_level": "info",
            "version": "1.2.3",
            "config": "outboard.yaml",
            "config_hash": "abc",
            "mappings": 4,
        }
    ]


def test_a_reload_replaces_the_hash(process: Process) -> None:
    process.observer.started("1.2.3", "outboard.yaml", "abc", 4)
    process.clock.now += 60.0
    process.observer.config_reloaded("def", added=1, removed=0, changed=2)

    assert [process.value("config_info", hash=each) for each in ("abc", "def")] == [None, 1]
    assert process.value("config_reloads_total", result="applied") == 1
    assert process.value("config_last_reload_success_timestamp_seconds") == START + 60.0


def test_a_refused_reload_leaves_the_hash_and_says_so(process: Process) -> None:
    process.observer.started("1.2.3", "outboard.yaml", "abc", 4)
    process.observer.config_refused(["outboard.yaml:3: BatchSize: too big."])

    assert process.value("config_info", hash="abc") == 1
    assert process.value("config_last_reload_successful") == 0
    assert process.value("config_reloads_total", result="refused") == 1
    assert process.last_line["problems"] == ["outboard.yaml:3: BatchSize: too big."]


def test_a_restart_is_required_until_it_is_not(process: Process) -> None:
    values = []
    for fields in (["Server"], []):
        process.observer.restart_required(fields)
        values.append(process.value("config_restart_required"))

    assert values == [1, 0]
    assert [line["fields"] for line in process.lines] == [["Server"]]


def test_a_drain_is_visible_and_logged_from_beginning_to_end(process: Process) -> None:
    process.observer.draining("SIGTERM")
    process.observer.drained(1.23456, 7)
    process.observer.drain_timed_out(120.0, 2)
    process.observer.second_signal("SIGINT")

    assert process.value("draining") == 1
    assert process.lines == [
        {"event": "draining", "log_level": "info", "why": "SIGTERM"},
        {"event": "drained", "log_level": "info", "seconds": 1.235, "handed_back": 7},
        {"event": "drain timed out", "log_level": "warning", "seconds": 120.0, "unfinished": 2},
        {"event": "second signal, ending at once", "log_level": "warning", "signal": "SIGINT"},
    ]


def test_problems_and_the_port_are_logged(process: Process) -> None:
    process.observer.config_problem("orders: BatchSize: too big.")
    process.observer.listening("http://127.0.0.1:8080")

    assert process.lines == [
        {"event": "configuration problem", "log_level": "error", "problem": "orders: BatchSize: too big."},
        {"event": "listening", "log_level": "info", "url": "http://127.0.0.1:8080"},
    ]


def test_requests_are_counted_by_what_came_of_them(process: Process) -> None:
    for code in ("OK", "OK", "AccessDenied"):
        process.observer.aws_request("sqs", "ReceiveMessage", code)

    counts = [
        process.value("aws_requests_total", service="sqs", operation="ReceiveMessage", code=code)
        for code in ("OK", "AccessDenied")
    ]
    assert counts == [2, 1]


def test_the_buffers_limit_is_shown(process: Process) -> None:
    process.observer.buffer_limit(268_435_456)

    assert process.value("buffer_limit_bytes") == 268_435_456


class SlowClockLoop(asyncio.SelectorEventLoop):
    """A loop whose sleeps take no time, and end as late as the test wants."""

    def __init__(self, lateness: float) -> None:
        super().__init__()
        self._moment = 0.0
        self._lateness = lateness

    def time(self) -> float:
        return self._moment

    def call_later(self, delay, callback, *args, context=None):
        def late() -> None:
            self._moment += delay + self._lateness
            callback(*args)

        return self.call_soon(late, context=context)


@pytest.mark.parametrize(("lateness", "lines"), [(0.0, 0), (0.5, 0), (2.0, 1)])
def test_the_loops_lag_is_measured_and_shown_and_only_long_blocks_are_logged(lateness: float, lines: int) -> None:
    process = Process()

    async def watch() -> None:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(process.observer.watch_loop(interval=0.25), name="watch")
            for _ in range(44):  # less than a minute of the loop's time
                await asyncio.sleep(0)
            watching.cancel()

    with asyncio.Runner(loop_factory=lambda: SlowClockLoop(lateness)) as runner:
        runner.run(watch())

    assert process.observer.lag == pytest.approx(lateness, rel=0.05)
    assert process.value("event_loop_lag_seconds") == process.observer.lag
    assert [line["event"] for line in process.lines] == ["event loop was blocked"] * lines


def test_positions_that_no_mapping_is_left_to_tell_of_are_told_of_by_the_process(process: Process) -> None:
    process.observer.checkpoint_failed("SQLITE_FULL", "database or disk is full")

    assert process.last_line["event"] == "checkpoint failed"
    assert process.last_line["error_message"] == "database or disk is full"
