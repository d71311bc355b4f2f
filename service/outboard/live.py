"""Knows how `check --live` asks: each queue for its attributes, each function by a dry run. Advice only."""

import asyncio
from collections.abc import Sequence

from outboard.aws.calls import CallFailed
from outboard.aws.services import Services
from outboard.config.models import Configuration, EventSourceMapping
from outboard.invoke.function import function_of
from outboard.sources.sqs.queue import SqsQueue, url_of


async def advise(configuration: Configuration) -> Sequence[str]:
    """One line for each thing that is not as the mappings need it; or that all is well."""
    services = Services(lambda *_: None)
    try:
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(_ask(services, mapping), name=f"check {mapping.name}")
                for mapping in configuration.event_source_mappings
            ]
    finally:
        await services.close()
    lines = [line for task in asked for line in task.result()]
    return lines or [f"all {len(asked)} sources and functions answered"]


async def _ask(services: Services, mapping: EventSourceMapping) -> list[str]:
    lines = []
    try:
        region = mapping.source.region
        endpoint = services.sqs_endpoint(region, mapping.source_endpoint_url)
        service = services.sqs(region, mapping.source_endpoint_url, mapping.source_role_arn)
        attributes = await SqsQueue(service, url_of(endpoint, mapping.source)).attributes()
        if attributes.visibility_timeout < 1:
            lines.append(
                f"mapping {mapping.name}: the queue's VisibilityTimeout is 0: failed messages come back at once"
            )
    except CallFailed as failure:
        lines.append(f"mapping {mapping.name}: EventSourceArn: {failure.code}: {failure.message}")
    try:
        wrong = await function_of(services, mapping).dry_run()
    except CallFailed as failure:
        wrong = f"{failure.code}: {failure.message}"
    if wrong is not None:
        lines.append(f"mapping {mapping.name}: FunctionName: {wrong}")
    return lines
