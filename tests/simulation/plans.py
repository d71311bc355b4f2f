"""Knows what a world consists of: sources, functions, load, faults, and when processes are stopped, killed and reconfigured."""

from dataclasses import dataclass, field

from tests.simulation.functions import Behaviour


@dataclass(slots=True)
class Load:
    """One message or record to be sent: seconds after the start, its message group or partition key, its body.

    A record of a stream may have been there before the start: then `at` is negative.
    """

    at: float
    group: str
    body: str


@dataclass(slots=True)
class QueuePlan:
    """A queue. `entry_faults`: the share of batch entries that fail alone; `redrive`: its maxReceiveCount, 0 for none."""

    fifo: bool = False
    visibility: int = 30
    redrive: int = 0
    entry_faults: float = 0.0
    duplicates: float = 0.0
    lenient: bool = True


@dataclass(slots=True)
class StreamPlan:
    """A stream, and what only its mapping has.

    Attributes:
        start_at: what AT_TIMESTAMP stands for, in seconds after the start.
        retries, record_age, bisect: the limits of the mapping; None is AWS's -1.
        reshards: when it is split or merged.
        trims: when its closed shards are older than its retention.
        deleted: when it is deleted, and when there is another one of its name.
        empty_pages, expiries: shares of the reads.
        tells_children: whether the end of a shard names its children.
        listed_at_once: shards on one page of a listing.
    """

    shards: int = 1
    start: str = "TRIM_HORIZON"
    start_at: float = 0.0
    retries: int | None = None
    record_age: int | None = None
    bisect: bool = False
    reshards: list[tuple[float, str]] = field(default_factory=list)
    trims: list[float] = field(default_factory=list)
    deleted: tuple[float, float] | None = None
    empty_pages: float = 0.0
    expiries: float = 0.0
    tells_children: bool = True
    listed_at_once: int = 1000


@dataclass(slots=True)
class TopicPlan:
    """A Kafka topic, and what only its mapping has. Moments are seconds after the start.

    Attributes:
        start_at: what AT_TIMESTAMP stands for.
        retries, record_age, bisect: the limits of the mapping; None is AWS's -1.
        gaps: the share of records beside which offsets hold nothing for a consumer.
        grows: when there is one partition more.
        expiries: when records are older than the retention.
        divisions: when the group is divided anew though nobody came or went.
        cuts: which process cannot reach the cluster, from when until when.
        outages: from when until when nobody can.
    """

    partitions: int = 1
    start: str = "TRIM_HORIZON"
    start_at: float = 0.0
    retries: int | None = None
    record_age: int | None = None
    bisect: bool = False
    gaps: float = 0.0
    grows: list[float] = field(default_factory=list)
    expiries: list[float] = field(default_factory=list)
    divisions: list[float] = field(default_factory=list)
    cuts: list[tuple[int, float, float]] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class MappingPlan:
    """One mapping with its source and its function. `source_faults` and `lambda_faults` are shares of the calls."""

    name: str
    source: QueuePlan | StreamPlan | TopicPlan = field(default_factory=QueuePlan)
    batch_size: int = 10
    window: int = 0
    concurrency: int | None = None
    invoke_timeout: int = 60
    behaviour: Behaviour = field(default_factory=Behaviour)
    source_faults: float = 0.0
    lambda_faults: float = 0.0
    load: list[Load] = field(default_factory=list)
    #: What is wrong with the source as a whole while there is trouble: "", "missing", "forbidden" or "refused".
    outage: str = ""
    source_latency: float = 0.004
    enabled: bool = True


@dataclass(slots=True)
class Interruption:
    """What happens to one process: it is stopped or killed `at` seconds after the start, or at its n-th step."""

    process: int
    kind: str
    at: float = 0.0
    step: int = 0
    #: Seconds until the next process takes its place.
    restart: float = 0.5


@dataclass(slots=True)
class Reload:
    """Another configuration, written `at` seconds after the start; a process takes it up, or a newer one, later.

    Attributes:
        mappings: as they are from then on; those left out are removed.
        noticed: by process, after how many seconds it looks.
        broken: what is wrong with it: "" nothing, "field" its first mapping, "text" the whole.
    """

    at: float
    mappings: list[MappingPlan]
    noticed: tuple[float, ...] = (0.0,)
    broken: str = ""


@dataclass(slots=True)
class Plan:
    """A world. Its streams are worked off by the first of its processes, which alone has the disk with the positions;
    its queues and topics by all of them.
    """

    seed: int
    mappings: list[MappingPlan]
    processes: int = 1
    #: When each process starts for the first time, in seconds after the start; those left out do at once.
    joins: dict[int, float] = field(default_factory=dict)
    interruptions: list[Interruption] = field(default_factory=list)
    #: In their order; the last one has all mappings, at work.
    reloads: list[Reload] = field(default_factory=list)
    trouble_ends: float = 30.0
    drain: int = 60
    buffered_bytes: int = 16_777_216
    #: From when until when nothing can be written to the disk.
    disk_full: tuple[float, float] | None = None
    #: Seconds by which the clock of the processes is ahead of AWS's.
    skew: float = 0.0
    #: Nothing goes wrong at all: then more is promised.
    calm: bool = False

    def disk_was_full(self, since: float, until: float) -> bool:
        """Whether it was at any moment between these, in seconds after the start."""
        return self.disk_full is not None and self.disk_full[0] <= until and since <= self.disk_full[1]
