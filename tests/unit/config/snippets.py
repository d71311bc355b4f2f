"""Mappings to start from."""

from typing import Any

from outboard.config.mapping import EventSourceMapping
from outboard.config.resolving import resolve

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:orders"
FIFO = "arn:aws:sqs:eu-west-1:123456789012:orders.fifo"
STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks"
TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2025-01-31T12:00:00.000"
MSK = "arn:aws:kafka:eu-west-1:123456789012:cluster/events/0a1b2c3d-1"
BROKER = "arn:aws:mq:eu-west-1:123456789012:broker:shop:b-1"
CLUSTER = "arn:aws:rds:eu-west-1:123456789012:cluster:shop"
SELF_MANAGED = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:9092"]}}


def written(**fields: Any) -> dict[str, Any]:
    """An SQS mapping, with other fields than it usually has."""
    return {"Name": "orders", "EventSourceArn": QUEUE, "FunctionName": "process", **fields}


def mapping(*, aws_region: str | None = None, **fields: Any) -> EventSourceMapping:
    """One that can run."""
    resolved = resolve(written(**fields), aws_region=aws_region)
    assert resolved.broken == ()
    assert resolved.mapping is not None
    return resolved.mapping


def complaints(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """The field at fault and the sentence, of each problem."""
    return [(str(it.path[0]), it.message) for it in resolve(fields).broken]
