"""Knows the demo's Kafka: a topic, the mapping that reads it, and what became of the records in it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from outboard.demo import ledger
from outboard.demo.parts import PartError
from outboard.demo.world import Message, Workload

PARTITIONS = 4
#: How often a record is sent alone before it is given up.
TRIES = 3
GROUP = "mail-invoices"
#: Milliseconds that a call may take.
PATIENCE = 5_000
#: Seconds for the producer to say goodbye, to a broker that may be gone.
GOODBYE = 2.0

INVOICES = Workload(
    "invoices",
    share=0.2,
    poison_every=40,
    flaky_every=12,
    keys=19,  # shares no factor with the two above, and has some for every partition
    tries=TRIES,
    mapping={
        "Topics": ["invoices"],
        "FunctionName": "mail-invoices",
        "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": GROUP},
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 20,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": TRIES - 1,
    },
)

#: Function name -> the handler that it runs.
FUNCTIONS = {"mail-invoices": "outboard.demo.handlers.mail_invoices"}


class Topics:
    """The demo's topic, behind a producer and the address of its broker. A `Source`.

    A topic keeps what was read, so it cannot say what became of it. `notes` is the functions' ledger, which can, and
    where the service would go on is in the offsets of its group.
    """

    def __init__(self, producer: AIOKafkaProducer, brokers: str, notes: Path) -> None:
        self._producer = producer
        self._brokers = brokers
        self._notes = notes
        self._places: dict[str, tuple[int, int]] = {}

    @property
    def workloads(self) -> Sequence[Workload]:
        cluster = {"SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [self._brokers]}}}
        return (replace(INVOICES, mapping={**cluster, **INVOICES.mapping}),)

    async def create(self) -> None:
        with _failures("create"):
            async with _admin(self._brokers) as admin:
                answer = await admin.create_topics([NewTopic(INVOICES.name, PARTITIONS, 1)])
            for _, code, *_ in answer.topic_errors:
                if code:
                    raise for_code(code)

    async def send(self, workload: Workload, messages: Sequence[Message]) -> None:  # noqa: ARG002 - there is one
        with _failures("send to"):
            sending = [
                await self._producer.send(INVOICES.name, message.body.encode(), key=message.key.encode())
                for message in messages
            ]
            await asyncio.wait(sending)
            for failure in [each.exception() for each in sending]:
                if failure is not None:
                    raise failure
        for message, accepted in zip(messages, sending, strict=True):
            self._places[message.identifier] = (accepted.result().partition, accepted.result().offset)

    async def backlog(self, workload: Workload) -> int:
        notes = ledger.notes(self._notes)
        return len(self._places.keys() - set(notes.finished) - notes.out_of_tries(workload.tries))

    async def given_up(self, workload: Workload) -> list[str]:
        """By the functions' notes: a record that was dropped before its last try is not among them."""
        return sorted(ledger.notes(self._notes).out_of_tries(workload.tries) & self._places.keys())

    async def left(self, workload: Workload) -> list[str]:  # noqa: ARG002 - there is one
        partitions = [TopicPartition(INVOICES.name, number) for number in range(PARTITIONS)]
        with _failures("ask for the offsets of"):
            async with _admin(self._brokers) as admin:
                answer = await admin.list_consumer_group_offsets(GROUP, partitions=partitions)
        committed = {place.partition: known.offset for place, known in answer.items()}
        return [each for each, (partition, offset) in self._places.items() if offset >= committed.get(partition, -1)]


@contextlib.contextmanager
def _failures(verb: str) -> Iterator[None]:
    """Turns whatever the client raises into `PartError`."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise PartError(f"The demo could not {verb} the topic {INVOICES.name}: {error!r}") from error


@contextlib.asynccontextmanager
async def _admin(brokers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers, request_timeout_ms=PATIENCE)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


@contextlib.asynccontextmanager
async def connected(brokers: str, notes: Path) -> AsyncIterator[Topics]:
    """The topic on the broker at `brokers`, HOST:PORT, not yet created."""
    # What goes wrong reaches the demo as an error; the client would write it across the table as well.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    producer = AIOKafkaProducer(bootstrap_servers=brokers, acks="all", request_timeout_ms=PATIENCE)
    try:
        with _failures("reach the broker of"):
            await producer.start()
        yield Topics(producer, brokers, notes)
    finally:
        with contextlib.suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(GOODBYE):
                await producer.stop()
