"""Knows how the table of metrics reads as a page: `docs/metrics.md` is made here."""

import sys
from collections.abc import Iterator, Sequence

from outboard.observe.catalogue import METRICS, SOURCE_TYPES, Kind, Metric

_INTRODUCTION = """\
# Metrics

`/metrics` serves what this page lists, in Prometheus' text format, or as OpenMetrics where a scraper asks for it.
This page is made from the table in `service/outboard/observe/catalogue.py` by `python -m outboard.observe.catalogue`.

Every metric of a mapping has the label `mapping`, the mapping's Name. Its counters exist from the start, at 0, for each
value that a label can take, and its series go when the mapping goes. Facts that do not change are labels of
`outboard_mapping_info`; join them where a panel needs them:

```
outboard_oldest_unsettled_age_seconds * on (mapping, instance) group_left (function_arn) outboard_mapping_info
```

A gauge with the label `shard` or `partition` has a series for each one that is read, and none for one that is done or
no longer read here.

`outboard_oldest_unsettled_age_seconds` is worked out when it is asked for, and alerts should use it, since the others
stand still while nothing happens. It is the age of the oldest event that is at work or read ahead; of a stream also of
what a shard has yet to give, as Kinesis says; and while the source cannot be read, at least for how long that is so.
What waits unread in a queue is not in it: the queue's own `ApproximateAgeOfOldestMessage` is. A topic's unread records
are counted by `outboard_offset_lag`.

The metrics of the process and of the Python runtime (`process_*`, `python_*`) come with them.
"""

_MIGRATION = """\
## From CloudWatch to PromQL

AWS's counts are sums over a period; `rate` gives the same per second (`increase` gives the sum).

| CloudWatch | PromQL |
|---|---|"""


#: CloudWatch metrics that no metric here has as its own, and the query that answers the same question.
OTHER_CLOUDWATCH: Sequence[tuple[str, str]] = (
    ("Errors", 'sum by (mapping) (rate(outboard_invocations_total{outcome=~"function_error|timeout"}[5m]))'),
    ("MaxOffsetLag", "max by (mapping) (outboard_offset_lag)"),
    ("SumOffsetLag", "sum by (mapping) (outboard_offset_lag)"),
    ("Throttles", 'sum by (mapping) (rate(outboard_invocations_total{outcome="throttled"}[5m]))'),
)


def query(metric: Metric) -> str:
    """The PromQL that shows what CloudWatch shows under `metric.cloudwatch`."""
    if metric.promql:
        return metric.promql
    if metric.kind is Kind.COUNTER:
        return f"sum by (mapping) (rate({metric.full_name}[5m]))"
    return f"sum by (mapping) ({metric.full_name})"


def _labels(metric: Metric) -> str:
    return "<br>".join(
        f"`{name}`: {', '.join(f'`{value}`' for value in values)}" if values else f"`{name}`"
        for name, values in metric.labels.items()
    )


def _sources(metric: Metric) -> str:
    return "all" if tuple(metric.sources) == SOURCE_TYPES else ", ".join(metric.sources)


def _of_mappings() -> Iterator[str]:
    yield "## Of each mapping\n"
    yield "| metric | type | labels beside `mapping` | sources | CloudWatch | what it says |"
    yield "|---|---|---|---|---|---|"
    for metric in METRICS:
        if metric.sources:
            cells = (
                f"`{metric.full_name}`",
                metric.kind,
                _labels(metric),
                _sources(metric),
                metric.cloudwatch,
                metric.help,
            )
            yield f"| {' | '.join(cells)} |"
    yield ""


def _of_the_process() -> Iterator[str]:
    yield "## Of the process\n"
    yield "| metric | type | labels | what it says |"
    yield "|---|---|---|---|"
    for metric in METRICS:
        if not metric.sources:
            yield f"| `{metric.full_name}` | {metric.kind} | {_labels(metric)} | {metric.help} |"
    yield ""


def _buckets() -> Iterator[str]:
    yield "## Buckets\n"
    for metric in METRICS:
        if metric.kind is Kind.HISTOGRAM:
            yield f"- `{metric.full_name}`: {', '.join(f'{bound:.15g}' for bound in metric.buckets)}"
    yield ""


def _from_cloudwatch() -> Iterator[str]:
    yield _MIGRATION
    rows = [(metric.cloudwatch, query(metric)) for metric in METRICS if metric.cloudwatch]
    for name, promql in sorted([*rows, *OTHER_CLOUDWATCH]):
        escaped = promql.replace("|", "\\|")
        yield f"| {name} | `{escaped}` |"


def render() -> str:
    """The page, in Markdown."""
    return "\n".join((_INTRODUCTION, *_of_mappings(), *_of_the_process(), *_buckets(), *_from_cloudwatch())) + "\n"


def print_reference() -> None:
    """Print the page to stdout."""
    sys.stdout.write(render())
