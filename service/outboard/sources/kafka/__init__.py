"""Apache Kafka, Amazon's and one's own: a lane for each partition."""

from outboard.sources.kafka.source import KafkaSource

__all__ = ["KafkaSource"]
