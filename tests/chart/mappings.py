"""Knows the least that a mapping of each kind says, and the least values that hold some."""

from typing import Any


def queue(name: str = "orders", **more: Any) -> dict[str, Any]:
    arn = f"arn:aws:sqs:eu-west-1:123456789012:{name}"
    return {"Name": name, "EventSourceArn": arn, "FunctionName": "work"} | more


def stream(name: str = "clicks", service: str = "kinesis", **more: Any) -> dict[str, Any]:
    arn = f"arn:aws:{service}:eu-west-1:123456789012:stream/{name}"
    return {"Name": name, "EventSourceArn": arn, "FunctionName": "work", "StartingPosition": "LATEST"} | more


def topic(name: str = "views", **more: Any) -> dict[str, Any]:
    source = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka-1:9092", "kafka-2:9093"]}}
    of_kafka = {"SelfManagedEventSource": source, "Topics": [name], "StartingPosition": "TRIM_HORIZON"}
    return {"Name": name, "FunctionName": "work"} | of_kafka | more


def msk(name: str = "views", **more: Any) -> dict[str, Any]:
    arn = "arn:aws:kafka:eu-west-1:123456789012:cluster/shop/0a1b2c3d-1111"
    of_kafka = {"EventSourceArn": arn, "Topics": [name], "StartingPosition": "LATEST"}
    return {"Name": name, "FunctionName": "work"} | of_kafka | more


def config(*mappings: dict[str, Any], **blocks: Any) -> dict[str, Any]:
    """Outboard's configuration."""
    return {"EventSourceMappings": list(mappings), **blocks}


def values(*mappings: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Values of the chart, with `more` beside the configuration."""
    return {"config": config(*mappings), **more}
