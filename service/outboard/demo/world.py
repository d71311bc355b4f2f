"""Knows what the demo is made of: messages, the workloads that carry them, and what a kind of source must do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

REGION = "eu-west-1"
ACCOUNT = "123456789012"


class Nature(StrEnum):
    """What becomes of a message in the function that gets it."""

    SOUND = "sound"
    FLAKY = "flaky"  # fails the first time
    POISON = "poison"  # fails every time


@dataclass(frozen=True, slots=True)
class Message:
    """One message; those that share a non-empty `key` must be processed in the order of `number`."""

    identifier: str
    number: int
    key: str
    nature: Nature
    body: str


@dataclass(frozen=True, slots=True)
class Workload:
    """One mapping and what is sent to its source.

    Attributes:
        name: the mapping's Name, and the source's.
        share: its part of the whole rate, as large as it is beside the shares of the others.
        poison_every, flaky_every: each so-many-eth message is one; 0 means none.
        keys: how many ordering keys the messages are spread over; 0 means that order does not matter.
        tries: how often the service sends a message alone before it gives it up; 0 means that the source gives it up.
        mapping: the fields of its EventSourceMapping.
    """

    name: str
    share: float
    poison_every: int = 0
    flaky_every: int = 0
    keys: int = 0
    tries: int = 0
    mapping: Mapping[str, object] = field(default_factory=dict)


class Source(Protocol):
    """One kind of event source, with the workloads that it carries."""

    @property
    def workloads(self) -> Sequence[Workload]: ...

    async def create(self) -> None:
        """Make what the mappings name: queues, streams, topics."""

    async def send(self, workload: Workload, messages: Sequence[Message]) -> None:
        """Returns once the source has accepted them all. Raises `PartError`."""

    async def backlog(self, workload: Workload) -> int:
        """How many messages are still to go: neither processed nor given up."""

    async def given_up(self, workload: Workload) -> list[str]:
        """The identifiers of the messages that were put aside after too many failures. For after the service has ended;
        empties the place where they are.
        """

    async def left(self, workload: Workload) -> list[str]:
        """The identifiers of the messages that a service started now would still bring. For after the service has
        ended; empties the source.
        """
