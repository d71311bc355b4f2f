"""Kinesis Data Streams: a lane for each shard."""

from outboard.sources.kinesis.source import KinesisSource

__all__ = ["KinesisSource"]
