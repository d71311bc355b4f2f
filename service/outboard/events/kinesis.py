"""Knows AWS's event JSON for a Kinesis record: its keys, their order and types."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from outboard.core.records import Record


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What every event of one mapping has in common.

    Attributes:
        arn: the stream's ARN.
        region: the stream's region.
        invoke_identity_arn: the identity that reads the stream and invokes the function.
    """

    arn: str
    region: str
    invoke_identity_arn: str


def renderer(stream: StreamFacts, shard: str) -> Callable[[Mapping[str, Any]], Record]:
    """What makes a `Record` of an entry of GetRecords' `Records`; its identifier is the sequence number, its token a
    running number, since AWS promises that a sequence number comes once only for each partition key.

    What all records of the shard share is rendered here, once. The data stays the base64 text that Kinesis sent. Raises
    KeyError, TypeError or ValueError for what is no such entry.
    """
    before_key = b'{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":'
    before_number, before_data, before_arrival = b',"sequenceNumber":', b',"data":', b',"approximateArrivalTimestamp":'
    source = b'},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":' + orjson.dumps(f"{shard}:")[:-1]
    constant = {
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": stream.invoke_identity_arn,
        "awsRegion": stream.region,
        "eventSourceARN": stream.arn,
    }
    rest = b"," + orjson.dumps(constant)[1:]
    dumps, count = orjson.dumps, itertools.count()

    def render(entry: Mapping[str, Any]) -> Record:
        sequence_number, key, data = entry["SequenceNumber"], entry["PartitionKey"], entry["Data"]
        if not (isinstance(sequence_number, str) and isinstance(key, str) and isinstance(data, str)):
            raise TypeError("what Kinesis documents as text is none")
        quoted = dumps(sequence_number)
        arrived = float(entry["ApproximateArrivalTimestamp"])
        parts = (
            *(before_key, dumps(key), before_number, quoted, before_data, dumps(data)),
            *(before_arrival, dumps(arrived), source, quoted[1:], rest),
        )
        return Record(sequence_number, b"".join(parts), arrived, token=next(count))

    return render
