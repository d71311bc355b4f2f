"""Knows every series that is exposed now: the process's own, by prometheus_client, and those of each open mapping."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import assert_never

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client import Counter as ProcessCounter
from prometheus_client import Gauge as ProcessGauge
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family

from outboard.observe import catalogue
from outboard.observe.catalogue import Kind, Metric
from outboard.observe.facts import MappingFacts
from outboard.observe.series import Counter, Gauge, Histogram, Series

_OPENMETRICS = "application/openmetrics-text"
_EOF = b"# EOF\n"
_BY_NAME = {metric.name: metric for metric in catalogue.METRICS}


def _series(metric: Metric, labels: dict[str, str]) -> Series:
    match metric.kind:
        case Kind.COUNTER:
            return Counter(metric.full_name, labels)
        case Kind.GAUGE:
            return Gauge(metric.full_name, labels)
        case Kind.HISTOGRAM:
            return Histogram(metric.full_name, labels, metric.buckets)
    assert_never(metric.kind)


class MappingSeries:
    """The series of one mapping, all of them from the start.

    What is asked for by name is without prefix, and `value` is that of the metric's own label. A metric that the
    mapping's source does not have can be counted too, and is not exposed.
    """

    def __init__(self, facts: MappingFacts) -> None:
        self.name = facts.name
        self.families: Mapping[str, dict[str, Series]] = {
            metric.name: _start(metric, facts) for metric in catalogue.of_mapping(facts.source_type)
        }

    def __len__(self) -> int:
        """How many series are exposed, each bucket of a histogram being one."""
        return sum(len(list(series.samples())) for family in self.families.values() for series in family.values())

    def counter(self, name: str, value: str = "") -> Counter:
        series = self._find(name, value)
        assert isinstance(series, Counter), name
        return series

    def counters(self, name: str) -> Mapping[str, Counter]:
        """A labelled counter's series by the label's value."""
        [values] = _BY_NAME[name].labels.values()
        return {value: self.counter(name, value) for value in values}

    def total(self, name: str) -> int:
        """A counter's sum over its labels; 0 where the source does not have it."""
        return int(sum(each.value for each in self.families.get(name, {}).values() if isinstance(each, Counter)))

    def gauge(self, name: str, value: str = "") -> Gauge:
        series = self._find(name, value)
        assert isinstance(series, Gauge), name
        return series

    def set_of_lane(self, name: str, lane: str, value: float) -> None:
        """Set a gauge of a shard or a partition, which is exposed from the first time on until `forget_lane`."""
        metric = _BY_NAME[name]
        family = self.families.get(name)
        if family is None:
            return
        gauge = family.get(lane)
        if gauge is None:
            [label] = metric.labels
            gauge = family[lane] = _series(metric, {"mapping": self.name, label: lane})
        assert isinstance(gauge, Gauge), name
        gauge.set(value)

    def forget_lane(self, lane: str) -> None:
        """The gauges of the shard or partition are no longer exposed."""
        for metric in catalogue.OF_LANES:
            self.families.get(metric.name, {}).pop(lane, None)

    def of_lanes(self, name: str) -> Sequence[float]:
        """What a gauge of shards or partitions stands at, of those that have one; none where the source has no such."""
        return [each.value for each in self.families.get(name, {}).values() if isinstance(each, Gauge)]

    def histogram(self, name: str) -> Histogram:
        series = self._find(name, "")
        assert isinstance(series, Histogram), name
        return series

    def _find(self, name: str, value: str) -> Series:
        family = self.families.get(name)
        return family[value] if family is not None else _series(_BY_NAME[name], {})


def _start(metric: Metric, facts: MappingFacts) -> dict[str, Series]:
    if metric.name == "mapping_info":
        info = Gauge(metric.full_name, _info(facts))
        info.set(1)
        return {"": info}
    family: dict[str, Series] = {}
    for values in product(*metric.labels.values()):
        labels = {"mapping": facts.name, **dict(zip(metric.labels, values, strict=True))}
        family["".join(values)] = _series(metric, labels)
    return family


def _info(facts: MappingFacts) -> dict[str, str]:
    return {
        "mapping": facts.name,
        "uuid": facts.uuid,
        "source_type": facts.source_type,
        "function_arn": facts.function_arn,
        "event_source_arn": facts.source_arn,
        "batch_size": str(facts.batch_size),
    }


class _OpenMappings:
    """The series of all open mappings, as prometheus_client collects them and, faster, as text."""

    def __init__(self) -> None:
        self.by_name: dict[str, MappingSeries] = {}

    def _families(self) -> Iterator[tuple[Metric, list[Series]]]:
        for metric in catalogue.METRICS:
            opened = [mapping.families.get(metric.name, {}) for mapping in self.by_name.values()]
            if series := [each for family in opened for each in family.values()]:
                yield metric, series

    def collect(self) -> Iterator[Family]:
        for metric, children in self._families():
            family = Family(metric.full_name.removesuffix("_total"), metric.help, metric.kind)
            suffix = "_total" if metric.kind is Kind.COUNTER else ""
            for series in children:
                for part, labels, value in series.samples():
                    family.add_sample(f"{family.name}{part or suffix}", labels, value)
            yield family

    def write(self, *, openmetrics: bool) -> bytes:
        lines: list[str] = []
        for metric, children in self._families():
            name = metric.full_name.removesuffix("_total") if openmetrics else metric.full_name
            lines.append(f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n")
            for series in children:
                series.write(lines)
        return "".join(lines).encode()


class Metrics:
    """Everything that `/metrics` shows. One per process; nothing of it is global.

    `registry` holds the same as `expose` writes, for whoever wants to ask prometheus_client about it.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._process = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._process)
        self._own: dict[str, ProcessCounter | ProcessGauge] = {}
        for metric in catalogue.of_process():
            self._own[metric.name] = self._register(metric)
        self._mappings = _OpenMappings()
        self.registry = CollectorRegistry()
        self.registry.register(self._process)
        self.registry.register(self._mappings)

    def _register(self, metric: Metric) -> ProcessCounter | ProcessGauge:
        kind = ProcessCounter if metric.kind is Kind.COUNTER else ProcessGauge
        registered = kind(metric.full_name, metric.help, metric.label_names, registry=self._process)
        if metric.labels and all(metric.labels.values()):
            for values in product(*metric.labels.values()):
                registered.labels(*values)
        return registered

    def counter(self, name: str) -> ProcessCounter:
        """A counter of the process, by its name without prefix."""
        metric = self._own[name]
        assert isinstance(metric, ProcessCounter), name
        return metric

    def gauge(self, name: str) -> ProcessGauge:
        """A gauge of the process, by its name without prefix."""
        metric = self._own[name]
        assert isinstance(metric, ProcessGauge), name
        return metric

    def open(self, facts: MappingFacts) -> MappingSeries:
        """Expose a mapping's series. Where a mapping of this name is still open, the new one takes its place."""
        series = MappingSeries(facts)
        self._mappings.by_name[facts.name] = series
        return series

    def close(self, series: MappingSeries) -> None:
        """Remove a mapping's series, unless a newer mapping of its name has taken their place."""
        if self._mappings.by_name.get(series.name) is series:
            del self._mappings.by_name[series.name]

    def expose(self, accept: str = "") -> tuple[bytes, str]:
        """The text of every series, and its content type, in the format that an Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        openmetrics = content_type.startswith(_OPENMETRICS)
        process = encode(self._process)
        mappings = self._mappings.write(openmetrics=openmetrics)
        if openmetrics:
            return process.removesuffix(_EOF) + mappings + _EOF, content_type
        return process + mappings, content_type
