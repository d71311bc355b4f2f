"""The command line of the bench: runs everything in turn, shows what it does, writes the page."""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil
from tests.servers.processes import ServerFailed
from tests.servers.tools import REPOSITORY, ToolMissing

from bench import measures
from bench.queues import Queues, Script, Service, Subject, queue_server
from bench.report import page
from bench.results import (
    DELAYS,
    LEAST_TOPIC_RATIO,
    PAGE_DELAY,
    PAGE_SIZE,
    STREAM_DELAYS,
    STREAM_SIZE,
    TOPIC_DELAY,
    TOPIC_SIZE,
    Drain,
    Drains,
    Latency,
    Results,
)
from bench.stage import Stage, Stuck, stage
from bench.streams import Stream, StreamScript, StreamService, StreamSubject, preloaded
from bench.topics import Topic, TopicScript, TopicService, TopicSubject
from bench.topics import preloaded as preloaded_topic

_PAGE = REPOSITORY / "docs" / "performance.md"
_SUBJECTS: tuple[Subject, Subject] = (Service(), Script())
_STREAM_SUBJECTS: tuple[StreamSubject, StreamSubject] = (StreamService(), StreamScript())
_TOPIC_SUBJECTS: tuple[TopicSubject, TopicSubject] = (TopicService(), TopicScript())
_SOURCES = ("sqs", "kinesis", "kafka")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: records a drain, rounds of the pair, seconds."""

    records: int
    rounds: int
    warm_up: int
    latency_seconds: float
    idle_settle: float
    idle_seconds: float
    starts: int
    stream_records: int
    page_records: int
    topic_records: int
    rate: float = 200.0
    idle_mappings: int = 200


# The queue server compiles itself on the cores that are measured: until some 80,000 messages went through it, whoever
# asks it for more a second loses more to that.
FULL = Plan(20_000, 3, 80_000, 15.0, 15.0, 40.0, 5, 60_000, 8_000, 400_000)
QUICK = Plan(4_000, 1, 8_000, 5.0, 6.0, 20.0, 2, 20_000, 8_000, 60_000)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes; prints the page instead of writing it")
    parser.add_argument("--only", choices=_SOURCES, help="one kind of source; prints the page instead of writing it")
    parser.add_argument("--output", type=Path, help="where the page goes; default docs/performance.md")
    options = parser.parse_args()
    output: Path | None = options.output or (None if options.quick or options.only else _PAGE)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="outboard-bench-") as folder:
            results = _run(QUICK if options.quick else FULL, Path(folder), options.only or _SOURCES)
    except (ToolMissing, ServerFailed, Stuck) as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    text = page(results)
    print(f"\n{text}" if output is None else f"written to {output}")
    if output is not None:
        output.write_text(text)
    print(f"took {time.monotonic() - began:.0f} s")
    return 0


def _run(plan: Plan, folder: Path, sources: Sequence[str]) -> Results:
    results = Results(_machine(), plan.records, plan.rate)
    _say("starting the endpoint")
    with stage(folder) as made:
        if "sqs" in sources:
            results = _run_queues(made, plan, results)
        if "kinesis" in sources:
            results = _run_stream(made, plan, results)
        if "kafka" in sources:
            results = _run_topic(made, plan, results)
    return results


def _run_queues(made: Stage, plan: Plan, results: Results) -> Results:
    _say("starting the queue server")
    with queue_server(made) as queues:
        for subject in _SUBJECTS:
            _say(f"warming up with {subject.name}")
            measures.drain(queues, subject, 0, plan.warm_up // 2)
        drains = []
        for delay in DELAYS:
            runs = {each.name: partial(measures.drain, queues, each, delay, plan.records) for each in _SUBJECTS}
            drains.append(_in_turn(f"backlog of {plan.records:,}", delay, plan.rounds, runs))
        service, script = [_latency(queues, plan, subject) for subject in _SUBJECTS]
        service_starts, script_starts = [_starts(queues, plan, subject) for subject in _SUBJECTS]
        _say(f"{plan.idle_mappings} idle mappings")
        idle = measures.idle(queues, plan.idle_mappings, plan.idle_settle, plan.idle_seconds)
        _say(f"  {idle.cpu_percent:.2f} % of a core, {idle.rss_mb:.0f} MB")
    return replace(
        results,
        drains=drains,
        service_latency=service,
        script_latency=script,
        idle=idle,
        service_starts=service_starts,
        script_starts=script_starts,
    )


def _run_stream(made: Stage, plan: Plan, results: Results) -> Results:
    with _stream(made, plan.stream_records, STREAM_SIZE) as stream:
        drains = [_stream_drains(made, plan, delay, stream) for delay in STREAM_DELAYS]
    with _stream(made, plan.page_records, PAGE_SIZE) as stream:
        pages = _stream_drains(made, plan, PAGE_DELAY, stream)
    return replace(
        results,
        stream_records=plan.stream_records,
        stream_drains=drains,
        page_records=plan.page_records,
        page_drains=pages,
    )


def _stream(made: Stage, records: int, size: int) -> AbstractContextManager[Stream]:
    _say(f"filling a stream with {records:,} records of {size:,} bytes")
    return preloaded(made, records, size)


def _stream_drains(made: Stage, plan: Plan, delay: int, stream: Stream) -> Drains:
    runs = {each.name: partial(measures.stream_drain, made, each, delay, stream) for each in _STREAM_SUBJECTS}
    return _in_turn(f"stream of {stream.records:,}", delay, plan.rounds, runs)


def _run_topic(made: Stage, plan: Plan, results: Results) -> Results:
    _say(f"filling a topic with {plan.topic_records:,} records of {TOPIC_SIZE:,} bytes")
    drains = {}
    with preloaded_topic(made, plan.topic_records, TOPIC_SIZE) as topic:
        for subject in _TOPIC_SUBJECTS:
            _say(f"warming up with {subject.name}")
            measures.topic_drain(made, subject, 0, max(LEAST_TOPIC_RATIO), topic)
        for batch in LEAST_TOPIC_RATIO:
            runs = {
                each.name: partial(measures.topic_drain, made, each, TOPIC_DELAY, batch, topic)
                for each in _TOPIC_SUBJECTS
            }
            what = f"topic of {topic.records:,}, batches of {batch}"
            drains[batch] = _in_turn(what, TOPIC_DELAY, plan.rounds, runs)
        shares = {batch: _topic_shares(made, batch, topic) for batch in drains}
    return replace(results, topic_records=plan.topic_records, topic_drains=drains, topic_shares=shares)


def _topic_shares(made: Stage, batch: int, topic: Topic) -> Mapping[str, float]:
    _say(f"topic of {topic.records:,}, batches of {batch}: where the time goes")
    seen = measures.topic_shares(made, _TOPIC_SUBJECTS[0], TOPIC_DELAY, batch, topic)
    _say("  " + (", ".join(f"{share:.0%} {part}" for part, share in seen.items()) or "py-spy may not watch it here"))
    return seen


def _in_turn(what: str, delay: int, rounds: int, runs: Mapping[str, Callable[[], Drain]]) -> Drains:
    """The service and the script, one after the other, `rounds` times."""
    done: dict[str, list[Drain]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            _say(f"{what}, {delay} ms, round {number + 1} of {rounds}: {name}")
            seen = run()
            done[name].append(seen)
            _say(
                f"  {seen.rate:,.0f}/s, {seen.cpu:.2f} CPU-s per 10,000 ({seen.whole_cpu:.2f} with its start), "
                f"{seen.peak_mb:.0f} MB"
            )
    service, script = done.values()
    return Drains(delay, service, script)


def _latency(queues: Queues, plan: Plan, subject: Subject) -> Latency:
    _say(f"latency at {plan.rate:g}/s: {subject.name}")
    seen = measures.latency(queues, subject, plan.rate, plan.latency_seconds)
    _say(f"  p50 {seen.p50:.1f} ms, p99 {seen.p99:.1f} ms")
    return seen


def _starts(queues: Queues, plan: Plan, subject: Subject) -> Sequence[float]:
    _say(f"start to first invoke: {subject.name}")
    seen = [measures.start(queues, subject) for _ in range(plan.starts)]
    _say("  " + ", ".join(f"{each:.2f} s" for each in seen))
    return seen


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{platform.system()}, {psutil.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}; "
        f"load average {os.getloadavg()[0]:.1f} before the run, from other work on the same cores"
    )


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
