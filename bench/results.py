"""What is measured, as values, and the bars it is held against."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

DELAYS = (0, 10, 100)

#: At least so many times the script's messages per CPU-second.
LEAST_RATIO = 2.5

#: Records a second, at least, by the function's milliseconds.
LEAST_RATE = {10: 4000.0, 100: 3000.0}

#: Added latency in milliseconds, at most.
MOST_P50, MOST_P99 = 10.0, 50.0

#: 200 idle mappings: per cent of a core and megabytes, at most.
MOST_IDLE_CPU, MOST_IDLE_MB = 1.5, 150.0

#: Seconds from the start of the process to its first invoke, at most.
MOST_START = 1.5

#: Of a stream, at least so many times the script's records per CPU-second, from start to end of the process.
LEAST_STREAM_RATIO = 1.0

#: Megabytes while a stream's backlog is worked off, with reads of 10 MB for each of four shards, at most.
MOST_STREAM_MB = 150.0

#: Milliseconds that the functions of a stream take, and bytes of its records.
STREAM_DELAYS, STREAM_SIZE = (0, 10), 1024

#: The same of the stream whose reads bring as much as Kinesis gives at once, 10 MB: a thousand of its records.
PAGE_DELAY, PAGE_SIZE = 10, 10 * 1024

#: Of a topic, at least so many times the script's records per CPU-second, by the size of a batch; start to end.
LEAST_TOPIC_RATIO = {100: 1.2, 500: 1.0}

#: Megabytes while a topic's backlog is worked off, at most.
MOST_TOPIC_MB = 150.0

#: Milliseconds that the function of a topic takes, and bytes of its records.
TOPIC_DELAY, TOPIC_SIZE = 10, 1024


@dataclass(frozen=True, slots=True)
class Drain:
    """One preloaded queue, stream or topic worked off.

    Attributes:
        rate: records a second, from the first invoke to 99.9 % of the records.
        late_rate: the same over the second half of the records, when the number of pollers has settled.
        cpu: CPU-seconds, user and system, of the measured process for 10,000 records.
        late_cpu: the same over the second half of the records.
        whole_cpu: the same from the start of the process, imports and what it reads before its first invoke included.
        peak_mb: the largest resident memory seen.
        batch: records an invoke, on average.
    """

    rate: float
    late_rate: float
    cpu: float
    late_cpu: float
    whole_cpu: float
    peak_mb: float
    batch: float


@dataclass(frozen=True, slots=True)
class Drains:
    """All drains with one delay, in the order they ran: the service's and the script's in turn."""

    delay: int
    service: Sequence[Drain]
    script: Sequence[Drain]

    @property
    def ratio(self) -> float:
        """How many times the script's messages the service works off in a CPU-second."""
        return typical([each.cpu for each in self.script]) / typical([each.cpu for each in self.service])

    @property
    def late_ratio(self) -> float:
        """The same over the second half of the records."""
        return typical([each.late_cpu for each in self.script]) / typical([each.late_cpu for each in self.service])

    @property
    def whole_ratio(self) -> float:
        """The same over the whole life of both processes."""
        return typical([each.whole_cpu for each in self.script]) / typical([each.whole_cpu for each in self.service])


@dataclass(frozen=True, slots=True)
class Latency:
    """From just before a message is sent to its arrival at the function, in milliseconds."""

    messages: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Idle:
    """What mappings without messages cost: per cent of one core, resident megabytes."""

    mappings: int
    seconds: float
    cpu_percent: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Results:
    """Everything one run measured; what did not run is None."""

    machine: str
    records: int
    rate: float
    drains: list[Drains] = field(default_factory=list)
    service_latency: Latency | None = None
    script_latency: Latency | None = None
    idle: Idle | None = None
    service_starts: Sequence[float] = ()
    script_starts: Sequence[float] = ()
    stream_records: int = 0
    stream_drains: Sequence[Drains] = ()
    page_records: int = 0
    page_drains: Drains | None = None
    topic_records: int = 0
    topic_drains: Mapping[int, Drains] = field(default_factory=dict)  #: by the size of a batch
    topic_shares: Mapping[int, Mapping[str, float]] = field(default_factory=dict)  #: of CPU time, 0 to 1, by part


def typical(values: Sequence[float]) -> float:
    """The median: a run that the machine's other work fell into does not move it."""
    return statistics.median(values)


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that `part` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
