"""Knows the demo's Kinesis: a stream, the mapping that reads it, and what became of the records in it."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from outboard.core.shards import After, Beginning, End, Position, read
from outboard.demo import ledger
from outboard.demo.clients import client, failures
from outboard.demo.parts import PartError
from outboard.demo.world import ACCOUNT, REGION, Message, Workload

SHARDS = 4
#: How often a record is sent alone before it is given up.
TRIES = 3

PARCELS = Workload(
    "parcels",
    share=0.2,
    poison_every=40,
    flaky_every=12,
    keys=13,  # shares no factor with the two above: failures come to every shard
    tries=TRIES,
    mapping={
        "EventSourceArn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/parcels",
        "FunctionName": "track-parcels",
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 20,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": TRIES - 1,
    },
)

#: Function name -> the handler that it runs.
FUNCTIONS = {"track-parcels": "outboard.demo.handlers.track_parcels"}


class Streams:
    """The demo's stream, behind a Kinesis client. A `Source`.

    A stream keeps what was read, so it cannot say what became of it. `notes` is the functions' ledger, which can, and
    `state` the file in which the service keeps where it would go on.
    """

    def __init__(self, client: Any, notes: Path, state: Path) -> None:
        self._client = client
        self._notes = notes
        self._state = state
        self._places: dict[str, dict[str, tuple[str, int]]] = {}

    @property
    def workloads(self) -> Sequence[Workload]:
        return (PARCELS,)

    async def create(self) -> None:
        for workload in self.workloads:
            with failures("create", f"stream {workload.name}"):
                await self._client.create_stream(StreamName=workload.name, ShardCount=SHARDS)
                active = self._client.get_waiter("stream_exists")
                await active.wait(StreamName=workload.name, WaiterConfig={"Delay": 1})

    async def send(self, workload: Workload, messages: Sequence[Message]) -> None:
        entries = [{"Data": message.body.encode(), "PartitionKey": message.key} for message in messages]
        with failures("put into", f"stream {workload.name}"):
            answer = await self._client.put_records(StreamName=workload.name, Records=entries)
        if answer["FailedRecordCount"]:
            raise PartError(f"The server refused {answer['FailedRecordCount']} records for {workload.name}.")
        places = self._places.setdefault(workload.name, {})
        for message, put in zip(messages, answer["Records"], strict=True):
            places[message.identifier] = (put["ShardId"], int(put["SequenceNumber"]))

    async def backlog(self, workload: Workload) -> int:
        notes = ledger.notes(self._notes)
        return len(
            self._places.get(workload.name, {}).keys() - set(notes.finished) - notes.out_of_tries(workload.tries)
        )

    async def given_up(self, workload: Workload) -> list[str]:
        """By the functions' notes: a record that was dropped before its last try is not among them."""
        return sorted(
            ledger.notes(self._notes).out_of_tries(workload.tries) & self._places.get(workload.name, {}).keys()
        )

    async def left(self, workload: Workload) -> list[str]:
        positions = stored_positions(self._state, str(workload.mapping["EventSourceArn"]))
        return [
            identifier
            for identifier, (shard, number) in self._places.get(workload.name, {}).items()
            if _is_ahead(number, positions.get(shard, Beginning()))
        ]


def _is_ahead(number: int, position: Position) -> bool:
    match position:
        case After(sequence_number):
            return number > int(sequence_number)
        case End():
            return False
        case _:
            return True


def stored_positions(state: Path, stream: str) -> dict[str, Position]:
    """Shard -> where a service that starts now would go on; empty before the first one started."""
    if not state.exists():
        return {}
    query = "SELECT shard, position FROM checkpoints WHERE substr(stream, 1, ?) = ?"
    prefix = f"{stream}@"  # behind it stands when the stream was created
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(state))}?mode=ro", uri=True)) as connection:
        return {shard: read(position) for shard, position in connection.execute(query, (len(prefix), prefix))}


@contextlib.asynccontextmanager
async def connected(url: str, access_key: str, secret: str, notes: Path, state: Path) -> AsyncIterator[Streams]:
    """The stream behind `url`, not yet created."""
    async with client("kinesis", url, access_key, secret) as made:
        yield Streams(made, notes, state)
