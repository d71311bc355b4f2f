"""Knows what there is to say about a metric, whichever it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

PREFIX = "outboard_"

#: What `sourceType` can be: the values of `config.arns.SourceType`.
SOURCE_TYPES = ("sqs", "kinesis", "dynamodb", "kafka", "rabbitmq", "activemq", "documentdb")


class Kind(StrEnum):
    """A metric's type, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: without the prefix.
        help: a sentence.
        labels: beside `mapping`; each with the values it starts with at 0, none where the values are open.
        buckets: upper bounds of a histogram, ascending.
        sources: the source types whose mappings have it; empty for a metric of the whole process.
        cloudwatch: the name under which CloudWatch has it.
        promql: the query that shows what CloudWatch would, where it is not the type's usual one.
    """

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    buckets: Sequence[float] = ()
    sources: Sequence[str] = SOURCE_TYPES
    cloudwatch: str = ""
    promql: str = ""

    @property
    def full_name(self) -> str:
        return PREFIX + self.name

    @property
    def label_names(self) -> tuple[str, ...]:
        return (*(("mapping",) if self.sources else ()), *self.labels)
