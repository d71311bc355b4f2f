"""The stream that is worked off from its beginning, again and again, and what works it off."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from tests.servers import streams
from tests.servers.kinesalite import kinesalite

from bench.stage import Stage, Stuck

SHARDS = 4

#: What Kinesis takes in one PutRecords, less the partition keys.
_LARGEST_PUT, _LARGEST_PUT_BYTES = 500, 4_500_000


@dataclass(frozen=True, slots=True)
class Stream:
    """One preloaded stream, the URL of its server, and a folder for what its readers remember."""

    name: str
    arn: str
    source: str
    records: int
    folder: Path


class StreamSubject(Protocol):
    """What is measured."""

    name: str

    def command(self, stage: Stage, stream: Stream, function: str) -> list[str]:
        """The arguments of Python that work off `stream` from its beginning with `function`."""


class StreamService:
    """`outboard run`, with nothing tuned; its positions are in a file."""

    name = "Outboard"

    def command(self, stage: Stage, stream: Stream, function: str) -> list[str]:
        mapping = {
            "Name": stream.name,
            "EventSourceArn": stream.arn,
            "FunctionName": function,
            "StartingPosition": "TRIM_HORIZON",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "SourceEndpointUrl": stream.source,
        }
        state = {"Type": "sqlite", "Path": str(_fresh(stream.folder) / "outboard.db")}
        return stage.service(stream.name, [mapping], State=state)


class StreamScript:
    """The plain script; its positions are in files."""

    name = "script"

    def command(self, stage: Stage, stream: Stream, function: str) -> list[str]:
        folder = str(_fresh(stream.folder))
        return ["-m", "bench.stream_script", stream.arn, stream.source, function, stage.invoke, folder]


def _fresh(folder: Path) -> Path:
    """A new folder, in which nobody has left anything."""
    made = folder / uuid4().hex[:12]
    made.mkdir()
    return made


@contextmanager
def preloaded(stage: Stage, records: int, size: int) -> Iterator[Stream]:
    """A stream with `records` records of `size` bytes, evenly over its shards; its server ends with the block."""
    folder = _fresh(stage.folder)
    with kinesalite(folder) as server, ExitStack() as stack:
        client = streams.kinesis_client(server.url)
        stack.callback(client.close)
        made = streams.Stream(client, server.url, f"bench-{uuid4().hex[:12]}")
        asyncio.run(made.create(SHARDS))
        _fill(client, made.name, records, size)
        yield Stream(made.name, made.arn, server.url, records, folder)


def _fill(client: Any, stream: str, count: int, size: int) -> None:
    step = min(_LARGEST_PUT, _LARGEST_PUT_BYTES // size)
    for start in range(0, count, step):
        entries = [_entry(number, size) for number in range(start, min(start + step, count))]
        refused = client.put_records(StreamName=stream, Records=entries)["FailedRecordCount"]
        if refused:
            raise Stuck(f"the stream's server refused {refused} records")


def _entry(number: int, size: int) -> dict[str, object]:
    """One record; its hash key puts it on the next shard in turn."""
    bare = json.dumps({"n": number, "filler": ""})
    data = bare[:-2] + "x" * (size - len(bare)) + bare[-2:]
    hash_key = (number % SHARDS) * (2**128 // SHARDS) + 1
    return {"Data": data.encode(), "PartitionKey": f"device-{number % 1000}", "ExplicitHashKey": str(hash_key)}
