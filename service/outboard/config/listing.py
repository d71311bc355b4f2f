"""Knows how AWS prints a mapping: the `EventSourceMappingConfiguration` of its API, source by source."""

from typing import Any

from outboard.config.arns import Arn, SourceType
from outboard.config.mapping import EventSourceMapping
from outboard.config.support import SOURCES_OF, STREAMS

#: Printed for every source; the rest only where the source has the field.
_ALWAYS = ("UUID", "BatchSize", "MaximumBatchingWindowInSeconds", "EventSourceArn", "MetricsConfig", "LoggingConfig")
_REASONS = dict.fromkeys(STREAMS, "User action")
_REASON = "USER_INITIATED"
_NOT_YET = "No records processed"


def describe(
    mapping: EventSourceMapping, state: str, reason: str | None, last_modified: float, last_result: str | None = None
) -> dict[str, Any]:
    """AWS's JSON for one mapping. `state` is AWS's word, `last_modified` in epoch seconds; None is AWS's own default.

    `last_result` is `LastProcessingResult`, which SQS mappings do not have.
    """
    source = mapping.source_type
    printed = {key: value for key, value in _fields(mapping).items() if key in _ALWAYS or key in SOURCES_OF}
    printed["FunctionArn"] = mapping.function.arn
    printed["EventSourceMappingArn"] = str(_own_arn(mapping))
    printed["LastModified"] = last_modified
    printed["State"] = state
    printed["StateTransitionReason"] = reason or _REASONS.get(source, _REASON)
    if source is not SourceType.SQS:
        printed["LastProcessingResult"] = last_result or _NOT_YET
    return printed


def _fields(mapping: EventSourceMapping) -> dict[str, Any]:
    """The mapping's fields that its source has; AWS prints a destination even if there is none."""
    source = mapping.source_type
    given = mapping.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"tls"})
    had = {key: value for key, value in given.items() if source in SOURCES_OF.get(key, {source})}
    if "DestinationConfig" in had or source in STREAMS:
        failure = {key: value for key, value in had.get("DestinationConfig", {}).get("OnFailure", {}).items() if value}
        had["DestinationConfig"] = {"OnFailure": failure}
    return {key: value for key, value in had.items() if value not in ((), []) or key == "FunctionResponseTypes"}


def _own_arn(mapping: EventSourceMapping) -> Arn:
    function = Arn.parse(mapping.function.arn)
    return Arn(function.partition, "lambda", function.region, function.account, f"event-source-mapping:{mapping.uuid}")
