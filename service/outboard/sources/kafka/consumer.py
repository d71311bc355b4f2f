"""Knows the shape through which a Kafka source reads: a member of one consumer group, reading one topic."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from outboard.events.kafka import Message


@dataclass(frozen=True, slots=True)
class Earliest:
    """The oldest offset that the broker still has."""


@dataclass(frozen=True, slots=True)
class Latest:
    """Behind the newest record."""


@dataclass(frozen=True, slots=True)
class Since:
    """The first record that is not older than `moment`, epoch seconds; behind the newest where there is none."""

    moment: float


Start = Earliest | Latest | Since


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How many bytes a broker may answer a fetch with, of one partition and of all: what is held beside the budget's
    records, as it came off the wire.
    """

    partition: int
    broker: int


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """What a consumer needs to know.

    Attributes:
        mapping: the mapping's name, which the brokers see as part of the client's.
        brokers: HOST:PORT, several joined by commas; empty: MSK is asked for those of `arn`.
        arn: the cluster's, None for a self-managed one.
        ca: where the certificates of the CAs are that signed the brokers' (`file:///PATH`, `env:NAME`, a Secrets
            Manager ARN); None: those of the system.
        role: under which AWS is asked for the two; None: the process's own identity.
    """

    mapping: str
    uuid: str
    topic: str
    group: str
    brokers: str
    tls: bool
    arn: str | None = None
    ca: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """How a cluster is reached: `brokers` as HOST:PORT joined by commas; without `tls` in the clear. `ca`: the
    certificates, as PEM, of those whom `tls` trusts, if not the system's.
    """

    brokers: str
    tls: ssl.SSLContext | None = None
    ca: str | None = None


class Group(Protocol):
    """Who is told when the group is divided anew."""

    async def revoked(self) -> None:
        """All partitions are about to be given away, for now; the group waits for this to return. What was settled may
        still be committed meanwhile. From its return to `assigned` nothing may be sent or committed.
        """

    def assigned(self, partitions: frozenset[int]) -> None:
        """These are ours from now on, in a new generation. They are paused: each is read once `seek` says where."""


class Consumer(Protocol):
    """A member of a group. What fails raises `ConsumerError`. Before `join`: `start`, `partitions`, `stop` alone."""

    async def start(self) -> None:
        """Connect to the cluster."""

    @property
    def brokers(self) -> str:
        """The addresses that it was started with, as events name them: HOST:PORT, joined by commas."""

    async def partitions(self) -> frozenset[int]:
        """The topic's partitions; empty: there is no such topic. Creates none."""

    def join(self, group: Group) -> None:
        """Become a member; `group.assigned` says what came of it."""

    async def stop(self) -> None:
        """Leave the group and close all connections. Raises nothing."""

    async def committed(self, partitions: frozenset[int]) -> Mapping[int, int]:
        """The group's offsets, without those that it has none for. Of any partition of the topic."""

    async def offsets(self, partitions: frozenset[int], start: Start) -> Mapping[int, int]:
        """Where `start` is now, for each."""

    def seek(self, partition: int, offset: int) -> None:
        """Read on from there, and read at all: this ends a pause."""

    def pause(self, partition: int) -> None:
        """Fetch no more of it until the next `seek`, and forget what was fetched and not taken; what is on its way may
        still be kept.
        """

    async def take(self, partition: int, limit: int, seconds: float) -> Sequence[Message]:
        """Up to `limit` records, waiting for so long; empty: none came. While the group is divided anew it waits.
        Raises `OffsetOutOfRange`. After any error `seek` must say anew where to read on.
        """

    async def position(self, partition: int) -> int:
        """The offset behind all that was taken, and behind what will never be: aborted and control records."""

    def end(self, partition: int) -> int | None:
        """The offset behind the newest record, as of the last fetch; None: not known yet."""

    def fetched(self, partition: int) -> float:
        """When the broker last answered a fetch of it, epoch seconds; 0: never yet."""

    def trouble(self) -> "ConsumerError | None":
        """What is wrong with the way to the cluster, if anything has been since a fetch was last answered."""

    async def renew(self) -> None:
        """Find out anew whom to trust: certificates are rotated while we run."""

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Make these the group's offsets: where to read on in partitions that are ours. Raises `NotOurs` once the group
        has moved on.
        """

    async def give_start(self, offsets: Mapping[int, int]) -> None:
        """Make these the group's offsets, of any partition of the topic, in this generation or not at all. Raises
        `NotOurs`.
        """


class ConsumerError(Exception):
    """The cluster refused or could not be reached. `fatal`: this consumer is of no more use. The message is for an
    operator.
    """

    def __init__(self, error_type: str, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.fatal = fatal


class OffsetOutOfRange(ConsumerError):
    """The broker has no such offset (any more)."""

    def __init__(self, partition: int, offset: int) -> None:
        super().__init__("OffsetOutOfRange", f"partition {partition} has no offset {offset} any more")
        self.offset = offset


class NotOurs(ConsumerError):
    """The group has been divided anew without us: what was to be committed may be somebody else's by now."""

    def __init__(self) -> None:
        super().__init__("RebalanceInProgress", "the group was divided anew before the commit")
