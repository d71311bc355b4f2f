"""How each figure is measured."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.servers.processes import Child

from bench import sampling
from bench.queues import Queue, Queues, Service, Subject
from bench.results import Drain, Idle, Latency, percentile
from bench.stage import Stage, Stuck, finish
from bench.streams import Stream, StreamSubject
from bench.topics import Topic, TopicSubject

_SAMPLE_SECONDS = 0.05

#: A server keeps a few messages back now and then: so much of them is enough, the rest is nobody's speed.
_ENOUGH = 0.999

_STALLED_SECONDS = 25.0
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    records: int
    invokes: int
    cpu: float


def drain(queues: Queues, subject: Subject, delay: int, count: int) -> Drain:
    """Work off a queue of `count` messages with a function that takes `delay` milliseconds."""
    with queues.made() as made:
        queues.fill(made[0], count)
        return _drain(queues.stage, subject.name, subject.command(queues, made, f"sleep-{delay}"), count)


def stream_drain(stage: Stage, subject: StreamSubject, delay: int, stream: Stream) -> Drain:
    """Work off the whole stream with a function that takes `delay` milliseconds."""
    stage.counter.reset()
    return _drain(stage, subject.name, subject.command(stage, stream, f"sleep-{delay}"), stream.records)


def topic_drain(stage: Stage, subject: TopicSubject, delay: int, batch: int, topic: Topic) -> Drain:
    """Work off the whole topic in batches of `batch` with a function that takes `delay` milliseconds."""
    stage.counter.reset()
    return _drain(stage, subject.name, subject.command(stage, topic, batch, f"sleep-{delay}"), topic.records)


def topic_shares(stage: Stage, subject: TopicSubject, delay: int, batch: int, topic: Topic) -> Mapping[str, float]:
    """How the CPU time of such a drain divides into the parts of its work; empty where py-spy may not watch it."""
    stage.counter.reset()
    samples = stage.folder / f"samples-{batch}"
    command = sampling.watched(subject.command(stage, topic, batch, f"sleep-{delay}"), samples)
    with stage.program("sampled", command) as child:
        try:
            _watch(stage, child, int(topic.records * _ENOUGH))
        except Stuck:
            if child.exit_code is None:
                raise
            return {}
        sampling.end(child.pid)
        finish(child, _STALLED_SECONDS)
    return sampling.shares(samples.read_text())


def _drain(stage: Stage, name: str, arguments: Sequence[str], count: int) -> Drain:
    with stage.child(name, arguments) as child:
        samples, peak = _watch(stage, child, int(count * _ENOUGH))
    first, last = samples[0], samples[-1]
    half = next(each for each in samples if each.records >= count // 2)
    return Drain(
        rate=_rate(first, last),
        late_rate=_rate(half, last),
        cpu=_cpu(first, last),
        late_cpu=_cpu(half, last),
        whole_cpu=last.cpu * 10_000 / last.records,
        peak_mb=peak / _MB,
        batch=last.records / last.invokes,
    )


def _watch(stage: Stage, child: Child, enough: int) -> tuple[list[_Sample], int]:
    """Samples from the first invoke until `enough` records were seen, and the peak of resident bytes."""
    process, samples, peak = psutil.Process(child.pid), list[_Sample](), 0
    progressed = time.monotonic()
    while not samples or samples[-1].records < enough:
        if child.exit_code is not None:
            raise Stuck(f"the measured process ended with {child.exit_code}:\n{child.tail()}")
        counts = stage.counter.counts()
        times = process.cpu_times()
        peak = max(peak, _peak(process))
        if counts["records"] > (samples[-1].records if samples else 0):
            progressed = time.monotonic()
            samples.append(_Sample(counts["now"], counts["records"], counts["invokes"], times.user + times.system))
        elif time.monotonic() - progressed > _STALLED_SECONDS:
            raise Stuck(f"no message came for {_STALLED_SECONDS:g} s; it was at {counts}:\n{child.tail()}")
        time.sleep(_SAMPLE_SECONDS)
    return samples, peak


def _peak(process: psutil.Process) -> int:
    """The most bytes that were ever resident, where the kernel keeps that; elsewhere what is resident now."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)


def _rate(first: _Sample, last: _Sample) -> float:
    return (last.records - first.records) / max(last.at - first.at, 1e-3)


def _cpu(first: _Sample, last: _Sample) -> float:
    return (last.cpu - first.cpu) * 10_000 / max(1, last.records - first.records)


def latency(queues: Queues, subject: Subject, rate: float, seconds: float) -> Latency:
    """Send `rate` messages a second, one a call, to a subject that has been working at that pace for a while."""
    stage = queues.stage
    with queues.made() as made, stage.child(subject.name, subject.command(queues, made, "timed-0")) as child:
        _send(queues, made[0], child, rate, 3.0)
        stage.counter.reset()
        _send(queues, made[0], child, rate, seconds)
        seen = stage.counter.counts()["latencies"]
    return Latency(len(seen), percentile(seen, 0.5), percentile(seen, 0.99))


def _send(queues: Queues, queue: Queue, child: Child, rate: float, seconds: float) -> None:
    count = int(rate * seconds)
    with queues.sending(queue, count, rate):
        end = time.monotonic() + seconds + _STALLED_SECONDS
        while (seen := queues.stage.counter.counts()["records"]) < count:
            if child.exit_code is not None or time.monotonic() > end:
                raise Stuck(f"{seen} of {count} messages came:\n{child.tail()}")
            time.sleep(0.2)


def idle(queues: Queues, mappings: int, settle: float, seconds: float) -> Idle:
    """Run `mappings` on as many empty queues."""
    with (
        queues.made(mappings) as made,
        queues.stage.child("idle", Service().command(queues, made, "sleep-0")) as child,
    ):
        time.sleep(settle)
        process, begun = psutil.Process(child.pid), time.monotonic()
        before = process.cpu_times()
        time.sleep(seconds)
        after, elapsed = process.cpu_times(), time.monotonic() - begun
        rss = process.memory_info().rss
    used = after.user + after.system - before.user - before.system
    return Idle(mappings, elapsed, 100 * used / elapsed, rss / _MB)


def start(queues: Queues, subject: Subject) -> float:
    """Seconds from starting the process to the first invoke, a message being there already."""
    stage = queues.stage
    with queues.made() as made:
        queues.fill(made[0], 1)
        command, begun = subject.command(queues, made, "sleep-0"), time.time()
        with stage.child(subject.name, command) as child:
            while not (first := stage.counter.counts()["first"]):
                if child.exit_code is not None or time.time() - begun > _STALLED_SECONDS:
                    raise Stuck(f"no invoke came:\n{child.tail()}")
                time.sleep(_SAMPLE_SECONDS)
    return float(first - begun)
