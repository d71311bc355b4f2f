"""Knows how the mappings of a plan are written as a configuration, now and after each of its reloads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from outboard.config.loading import Loaded, parse
from tests.simulation.loop import EPOCH
from tests.simulation.plans import MappingPlan, Plan, QueuePlan, Reload, StreamPlan, TopicPlan

ACCOUNT = "123456789012"

#: A configuration has a mapping at least: this one is there where all others may go, and never runs.
IDLE = MappingPlan("idle", enabled=False)


@dataclass(frozen=True, slots=True)
class Version:
    """A configuration for one process: what is written, the plans of what it is to do, and what the service reads.

    Attributes:
        entries: the fields of each mapping, by its name.
        broken: it has to be refused.
    """

    plans: Mapping[str, MappingPlan]
    entries: Mapping[str, Mapping[str, object]]
    loaded: Loaded
    broken: bool = False

    def same(self, name: str, other: "Version") -> bool:
        """Whether a mapping, which this one has, reads the same in the other one."""
        return self.entries[name] == other.entries.get(name)


def first_version(plan: Plan, process: int = 0) -> Version:
    """What a process begins with; refuses a plan that the service would."""
    made = _version(plan, plan.mappings, process)
    assert not made.loaded.problems, [str(problem) for problem in made.loaded.problems]
    return made


def version(plan: Plan, reload: Reload, process: int) -> Version:
    """What a process reads from a reload on; it has problems if, and only if, it is meant to."""
    made = _version(plan, reload.mappings, process, broken=reload.broken)
    assert bool(made.loaded.problems) == bool(reload.broken), [str(problem) for problem in made.loaded.problems]
    return made


def _version(plan: Plan, mappings: Sequence[MappingPlan], process: int, broken: str = "") -> Version:
    own = [mapping for mapping in mappings if process == 0 or not isinstance(mapping.source, StreamPlan)]
    own += [IDLE] if plan.reloads else []
    entries = {mapping.name: _mapping(mapping) for mapping in own}
    document = {
        "Installation": "simulation",
        "Limits": {"MaximumBufferedBytes": plan.buffered_bytes},
        "Shutdown": {"DrainTimeoutSeconds": plan.drain},
        "EventSourceMappings": list(entries.values()),
    }
    if broken == "field":
        next(iter(entries.values()))["BatchSize"] = 0
    text = json.dumps(document)
    loaded = parse({"simulation.json": text[: len(text) // 2] if broken == "text" else text})
    return Version({mapping.name: mapping for mapping in own}, entries, loaded, bool(broken))


def _mapping(plan: MappingPlan) -> dict[str, object]:
    fields: dict[str, object] = {
        "Name": plan.name,
        "FunctionName": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f-{plan.name}",
        "BatchSize": plan.batch_size,
        "InvokeTimeoutSeconds": plan.invoke_timeout,
        "FunctionEndpointUrl": f"http://{plan.name}",
        **_source(plan),
    }
    if not plan.enabled:
        fields["Enabled"] = False
    if plan.window or isinstance(plan.source, TopicPlan):
        fields["MaximumBatchingWindowInSeconds"] = plan.window
    if plan.concurrency is not None and isinstance(plan.source, TopicPlan):
        fields["ProvisionedPollerConfig"] = {"MaximumPollers": plan.concurrency}
    elif plan.concurrency is not None:
        fields["MaximumConcurrency"] = plan.concurrency
    if plan.behaviour.partial:
        fields["FunctionResponseTypes"] = ["ReportBatchItemFailures"]
    return fields


def _source(plan: MappingPlan) -> dict[str, object]:
    match plan.source:
        case QueuePlan(fifo):
            name = f"q-{plan.name}.fifo" if fifo else f"q-{plan.name}"
            arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{name}"
            return {"EventSourceArn": arn, "SourceEndpointUrl": f"http://{plan.name}"}
        case StreamPlan() as stream:
            arn = f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/stream-{plan.name}"
            return {"EventSourceArn": arn, "SourceEndpointUrl": f"http://{plan.name}", **_reading(stream)}
        case TopicPlan() as topic:
            brokers = {"KAFKA_BOOTSTRAP_SERVERS": [f"{plan.name}.example:9092"]}
            return {
                "SelfManagedEventSource": {"Endpoints": brokers},
                "Topics": [f"topic-{plan.name}"],
                **_reading(topic),
            }


def _reading(source: StreamPlan | TopicPlan) -> dict[str, object]:
    """Where it begins and what limits it."""
    fields: dict[str, object] = {
        "StartingPosition": source.start,
        "BisectBatchOnFunctionError": source.bisect,
    }
    if source.start == "AT_TIMESTAMP":
        fields["StartingPositionTimestamp"] = EPOCH + source.start_at
    if source.retries is not None:
        fields["MaximumRetryAttempts"] = source.retries
    if source.record_age is not None:
        fields["MaximumRecordAgeInSeconds"] = source.record_age
    return fields
