"""Creates Kinesis streams, fills them, reshards them and lists them, through the SDK and off the event loop."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.servers.elasticmq import ACCOUNT, REGION

_PUT_AT_ONCE = 500  #: what AWS takes in one PutRecords
_CREATED_AT_ONCE = 5  #: what AWS allows an account


def kinesis_client(endpoint: str) -> Any:
    """A synchronous Kinesis client with dummy credentials; close it."""
    return boto3.client(
        "kinesis",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="example-secret",
        config=Config(max_pool_connections=32, retries={"total_max_attempts": 1}, proxies={}),
    )


@dataclass(frozen=True, slots=True)
class Put:
    """One record that the stream has taken; within a shard the order of the sequence numbers is the order."""

    data: bytes
    key: str
    shard: str
    sequence: int


@dataclass(frozen=True, slots=True)
class ListedShard:
    """One shard as the stream lists it. `hashes`: the first and the last that it takes; `open`: it takes new records."""

    identifier: str
    parents: tuple[str, ...]
    hashes: tuple[int, int]
    open: bool

    @property
    def middle(self) -> int:
        """A hash that is surely this shard's, and a good place to split it."""
        return sum(self.hashes) // 2


class Stream:
    """One stream on a test server."""

    def __init__(self, client: Any, endpoint: str, name: str) -> None:
        self.endpoint = endpoint
        self.name = name
        self.arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"
        self.puts: list[Put] = []  #: all that was put into it, of earlier streams of this name too
        self._client = client

    async def _call(self, operation: str, **parameters: Any) -> Any:
        return await asyncio.to_thread(getattr(self._client, operation), StreamName=self.name, **parameters)

    async def put(self, data: Sequence[bytes | str], *, key: str = "k", shard: ListedShard | None = None) -> list[Put]:
        """Put records of one partition key, in order; `shard` takes them whatever their key."""
        return await self.put_keyed([(key, each) for each in data], shard=shard)

    async def put_keyed(
        self, records: Sequence[tuple[str, bytes | str]], *, shard: ListedShard | None = None
    ) -> list[Put]:
        """Put (partition key, data), in order; of the same key, and so of the same shard, the order is kept."""
        extra = {} if shard is None else {"ExplicitHashKey": str(shard.middle)}
        entries = [{"PartitionKey": key, "Data": _encoded(data), **extra} for key, data in records]
        taken: list[Put] = []
        for start in range(0, len(entries), _PUT_AT_ONCE):
            part = entries[start : start + _PUT_AT_ONCE]
            answer = await self._call("put_records", Records=part)
            if answer["FailedRecordCount"]:
                raise RuntimeError(f"{self.name} refused records: {answer['Records']}")
            taken += [_put(entry, made) for entry, made in zip(part, answer["Records"], strict=True)]
        self.puts += taken
        return taken

    async def shards(self) -> list[ListedShard]:
        """Every shard, closed ones too, in the order of their identifiers."""
        answer = await self._call("list_shards")
        return sorted(map(_shard, answer["Shards"]), key=lambda shard: shard.identifier)

    async def open_shards(self) -> list[ListedShard]:
        return [shard for shard in await self.shards() if shard.open]

    async def split(self, shard: ListedShard) -> None:
        """Halve it; returns when the children take records."""
        await self._call("split_shard", ShardToSplit=shard.identifier, NewStartingHashKey=str(shard.middle))
        await self.until_active()

    async def merge(self, left: ListedShard, right: ListedShard) -> None:
        """Make one of two neighbours; returns when it takes records."""
        await self._call("merge_shards", ShardToMerge=left.identifier, AdjacentShardToMerge=right.identifier)
        await self.until_active()

    async def create(self, shards: int = 1) -> None:
        """Create it, for the first time or anew; returns when it takes records."""
        await self._call("create_stream", ShardCount=shards)
        await self.until_active()

    async def delete(self) -> None:
        """Delete it; returns when it is gone. One that does not exist is gone already."""
        try:
            await self._call("delete_stream")
            while True:
                await self._status()
                await asyncio.sleep(0.02)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    async def until_active(self, *, seconds: float = 20.0) -> None:
        """Wait until a change is carried out. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while await self._status() != "ACTIVE":  # noqa: ASYNC110 - a stream tells nobody that it is ready
                await asyncio.sleep(0.02)

    async def _status(self) -> str:
        answer = await self._call("describe_stream_summary")
        return str(answer["StreamDescriptionSummary"]["StreamStatus"])

    async def read(self, shard: str, **start: Any) -> list[dict[str, Any]]:
        """All records of a shard, as GetRecords gives them, from TRIM_HORIZON or the iterator type in `start`."""
        where = {"ShardIteratorType": "TRIM_HORIZON", **start}
        iterator = (await self._call("get_shard_iterator", ShardId=shard, **where))["ShardIterator"]
        records: list[dict[str, Any]] = []
        while iterator:
            page = await asyncio.to_thread(self._client.get_records, ShardIterator=iterator)
            records += page["Records"]
            iterator = page.get("NextShardIterator") if page["Records"] or page["MillisBehindLatest"] else None
        return records


class Streams:
    """Makes streams with names that nobody else has, and deletes them again."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._client = kinesis_client(endpoint)
        self._made: list[Stream] = []

    def planned(self, name: str | None = None) -> Stream:
        """A stream that does not exist yet."""
        stream = Stream(self._client, self.endpoint, name or f"s-{uuid.uuid4().hex[:12]}")
        self._made.append(stream)
        return stream

    async def create(self, shards: int = 1, *, name: str | None = None) -> Stream:
        """A new stream."""
        stream = self.planned(name)
        await stream.create(shards)
        return stream

    async def several(self, count: int) -> list[Stream]:
        """New streams of one shard each."""
        made = [self.planned() for _ in range(count)]
        for start in range(0, count, _CREATED_AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for stream in made[start : start + _CREATED_AT_ONCE]:
                    group.create_task(stream.create(), name=stream.name)
        return made

    async def close(self) -> None:
        async with asyncio.TaskGroup() as group:
            for stream in self._made:
                group.create_task(stream.delete(), name=stream.name)
        self._client.close()


def _encoded(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _put(entry: Mapping[str, Any], made: Mapping[str, Any]) -> Put:
    return Put(entry["Data"], entry["PartitionKey"], made["ShardId"], int(made["SequenceNumber"]))


def _shard(listed: Mapping[str, Any]) -> ListedShard:
    parents = (listed.get("ParentShardId"), listed.get("AdjacentParentShardId"))
    hashes = listed["HashKeyRange"]
    return ListedShard(
        listed["ShardId"],
        tuple(parent for parent in parents if parent),
        (int(hashes["StartingHashKey"]), int(hashes["EndingHashKey"])),
        "EndingSequenceNumber" not in listed["SequenceNumberRange"],
    )
