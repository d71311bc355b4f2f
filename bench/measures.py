"""How each figure is measured."""

import time
from dataclasses import dataclass

import psutil
from tests.servers.processes import Child

from bench.results import Drain, Idle, Latency, percentile
from bench.stage import Queue, Service, Stage, Stuck, Subject

_SAMPLE_SECONDS = 0.05

#: A server keeps a few messages back now and then: so much of the queue is enough, the rest is nobody's speed.
_ENOUGH = 0.999

_STALLED_SECONDS = 25.0
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    records: int
    invokes: int
    cpu: float


def drain(stage: Stage, subject: Subject, delay: int, count: int) -> Drain:
    """Work off `count` messages with a function that takes `delay` milliseconds."""
    with stage.queues() as queues:
        stage.fill(queues[0], count)
        with stage.child(subject.name, subject.command(stage, queues, f"sleep-{delay}")) as child:
            samples, peak = _watch(stage, child, int(count * _ENOUGH))
    first, last = samples[0], samples[-1]
    half = next(each for each in samples if each.records >= count // 2)
    return Drain(
        rate=_rate(first, last),
        late_rate=_rate(half, last),
        cpu=_cpu(first, last),
        late_cpu=_cpu(half, last),
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
        peak = max(peak, process.memory_info().rss)
        if counts["records"] > (samples[-1].records if samples else 0):
            progressed = time.monotonic()
            samples.append(_Sample(counts["now"], counts["records"], counts["invokes"], times.user + times.system))
        elif time.monotonic() - progressed > _STALLED_SECONDS:
            raise Stuck(f"no message came for {_STALLED_SECONDS:g} s; it was at {counts}:\n{child.tail()}")
        time.sleep(_SAMPLE_SECONDS)
    return samples, peak


def _rate(first: _Sample, last: _Sample) -> float:
    return (last.records - first.records) / max(last.at - first.at, 1e-3)


def _cpu(first: _Sample, last: _Sample) -> float:
    return (last.cpu - first.cpu) * 10_000 / max(1, last.records - first.records)


def latency(stage: Stage, subject: Subject, rate: float, seconds: float) -> Latency:
    """Send `rate` messages a second, one a call, to a subject that has been working at that pace for a while."""
    with stage.queues() as queues, stage.child(subject.name, subject.command(stage, queues, "timed-0")) as child:
        _send(stage, queues[0], child, rate, 3.0)
        stage.counter.reset()
        _send(stage, queues[0], child, rate, seconds)
        seen = stage.counter.counts()["latencies"]
    return Latency(len(seen), percentile(seen, 0.5), percentile(seen, 0.99))


def _send(stage: Stage, queue: Queue, child: Child, rate: float, seconds: float) -> None:
    count = int(rate * seconds)
    with stage.sending(queue, count, rate):
        end = time.monotonic() + seconds + _STALLED_SECONDS
        while (seen := stage.counter.counts()["records"]) < count:
            if child.exit_code is not None or time.monotonic() > end:
                raise Stuck(f"{seen} of {count} messages came:\n{child.tail()}")
            time.sleep(0.2)


def idle(stage: Stage, mappings: int, settle: float, seconds: float) -> Idle:
    """Run `mappings` on as many empty queues."""
    with (
        stage.queues(mappings) as queues,
        stage.child("idle", Service().command(stage, queues, "sleep-0")) as child,
    ):
        time.sleep(settle)
        process, begun = psutil.Process(child.pid), time.monotonic()
        before = process.cpu_times()
        time.sleep(seconds)
        after, elapsed = process.cpu_times(), time.monotonic() - begun
        rss = process.memory_info().rss
    used = after.user + after.system - before.user - before.system
    return Idle(mappings, elapsed, 100 * used / elapsed, rss / _MB)


def start(stage: Stage, subject: Subject) -> float:
    """Seconds from starting the process to the first invoke, a message being there already."""
    with stage.queues() as queues:
        stage.fill(queues[0], 1)
        command, begun = subject.command(stage, queues, "sleep-0"), time.time()
        with stage.child(subject.name, command) as child:
            while not (first := stage.counter.counts()["first"]):
                if child.exit_code is not None or time.time() - begun > _STALLED_SECONDS:
                    raise Stuck(f"no invoke came:\n{child.tail()}")
                time.sleep(_SAMPLE_SECONDS)
    return float(first - begun)
