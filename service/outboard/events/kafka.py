"""Knows AWS's event JSON for Kafka records, Amazon's and self-managed: their keys, their order and types."""

from binascii import b2a_base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from outboard.core.records import Envelope, Record

#: What Kafka itself says where there is no timestamp.
_UNKNOWN = -1


class Message(Protocol):
    """What is rendered: a record as it comes off the wire."""

    @property
    def offset(self) -> int: ...

    @property
    def timestamp(self) -> int | None:
        """Epoch milliseconds; 0 or less: unknown. None: the record's format, older than Kafka 0.10, has none."""

    @property
    def timestamp_type(self) -> int | None:
        """0: set by whoever wrote the record; 1: by the broker when it came."""

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None:
        """None: a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What every event of one mapping has in common.

    Attributes:
        arn: the cluster's ARN; None for a self-managed one.
        bootstrap_servers: the brokers, HOST:PORT joined by commas.
    """

    arn: str | None
    bootstrap_servers: str


def envelope(cluster: ClusterFacts, topic: str, partition: int) -> Envelope:
    """What a batch of one partition is wrapped in: `records` is a map by partition, of which it has one key."""
    if cluster.arn is None:
        head: dict[str, object] = {"eventSource": "SelfManagedKafka"}
    else:
        head = {"eventSource": "aws:kafka", "eventSourceArn": cluster.arn}
    head["bootstrapServers"] = cluster.bootstrap_servers
    name = orjson.dumps(f"{topic}-{partition}")
    return Envelope(prefix=orjson.dumps(head)[:-1] + b',"records":{' + name + b":[", suffix=b"]}}")


def renderer(topic: str, partition: int) -> Callable[[Message], Record]:
    """What makes a `Record` of a message of one partition; its identifier is what functions name: ("topic-0", offset).

    A record without a key has none in its event: AWS's own types mark it as left out when empty, and Powertools reads
    it with a default. A tombstone's value is null, not left out, since Powertools looks it up without one.
    """
    place = f"{topic}-{partition}"
    head = b'{"topic":' + orjson.dumps(topic) + b',"partition":%d,"offset":' % partition
    created, appended = _shapes(head, b"CREATE_TIME"), _shapes(head, b"LOG_APPEND_TIME")

    def render(message: Message) -> Record:
        offset, timestamp, key, value = message.offset, message.timestamp, message.key, message.value
        if timestamp is None:
            timestamp = _UNKNOWN
        whole, keyless, tombstone = appended if message.timestamp_type == 1 else created
        headers = b",".join([_header(*each) for each in message.headers]) if message.headers else b""
        if value is None:
            name = b"" if key is None else b',"key":"%b"' % b2a_base64(key, newline=False)
            event = tombstone % (offset, timestamp, name, headers)
        elif key is None:
            event = keyless % (offset, timestamp, b2a_base64(value, newline=False), headers)
        else:
            name = b2a_base64(key, newline=False)
            event = whole % (offset, timestamp, name, b2a_base64(value, newline=False), headers)
        return Record((place, offset), event, timestamp / 1000 if timestamp > 0 else 0.0)

    return render


def _shapes(head: bytes, kind: bytes) -> tuple[bytes, bytes, bytes]:
    """What % makes an event of: of a record with key and value, of one without a key, and of one without a value."""
    # What % must not take for a format of its own.
    begin = head.replace(b"%", b"%%") + b'%d,"timestamp":%d,"timestampType":"' + kind + b'"'
    end = b',"headers":[%b]}'
    return begin + b',"key":"%b","value":"%b"' + end, begin + b',"value":"%b"' + end, begin + b'%b,"value":null' + end


def _header(name: str, content: bytes | None) -> bytes:
    """One object a header, since a name may come twice; its bytes as Java counts them, from -128 to 127. What AWS makes
    of a header without a value is not documented: here it has no bytes, which every reader of headers can decode.
    """
    signed = list(memoryview(content).cast("b")) if content else []
    return orjson.dumps({name: signed})
