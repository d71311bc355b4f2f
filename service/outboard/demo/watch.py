"""Knows how to read what the service says of itself, over HTTP: `/readyz`, `/mappings` and `/metrics`."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Reading:
    """One mapping at one instant; the last six are counts since the service started.

    `failed` counts events whose invoke failed, `came_back` those of them that come again, `retries` invokes of a batch
    that had been sent before. `removed` are events that are done with: deleted from their queue or, as a stream deletes
    nothing, delivered. `dropped` were given up by the service.
    """

    name: str
    state: str
    reason: str = ""
    in_flight: int = 0
    lag_seconds: float | None = None
    delivered: int = 0
    failed: int = 0
    came_back: int = 0
    retries: int = 0
    removed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All mappings at one instant; `at` is in seconds of any steady clock."""

    at: float
    readings: tuple[Reading, ...]


DELIVERED = "outboard_delivered_events_total"
FAILED = "outboard_failed_invoke_events_total"
DROPPED = "outboard_dropped_events_total"
RETRIES = "outboard_batch_retries_total"
#: Those that only a queue's mapping has.
RETURNED = "outboard_returned_events_total"
DELETED = "outboard_deleted_events_total"
COUNTERS = (DELIVERED, FAILED, DROPPED, RETRIES, RETURNED, DELETED)


def snapshot(mappings: Mapping[str, Any], metrics: str, at: float) -> Snapshot:
    """Join the answers of `/mappings` (parsed) and `/metrics` (text)."""
    counts = counters(metrics, COUNTERS)
    return Snapshot(at, tuple(_reading(mapping, counts) for mapping in mappings["mappings"]))


def _reading(mapping: Mapping[str, Any], counts: Mapping[tuple[str, str], int]) -> Reading:
    name = mapping["name"]
    error = mapping.get("lastError") or {}
    delivered, failed, dropped = (counts.get((counter, name), 0) for counter in (DELIVERED, FAILED, DROPPED))
    return Reading(
        name,
        state=mapping["state"],
        reason=next(iter((mapping.get("stateReason") or error.get("message") or "").splitlines()), ""),
        in_flight=mapping["inFlight"],
        lag_seconds=mapping["lagSeconds"],
        delivered=delivered,
        failed=failed,
        came_back=counts.get((RETURNED, name), max(0, failed - dropped)),
        retries=counts.get((RETRIES, name), 0),
        removed=counts.get((DELETED, name), delivered),
        dropped=dropped,
    )


def counters(metrics: str, names: Iterable[str]) -> dict[tuple[str, str], int]:
    """(name, mapping) -> the sum of its series, for the counters of these names."""
    wanted = set(names)
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name in wanted:
                sums[sample.name, sample.labels["mapping"]] += int(sample.value)
    return dict(sums)


class Watch:
    """Reads one service's HTTP port."""

    def __init__(self, session: aiohttp.ClientSession, url: str, clock: Callable[[], float]) -> None:
        self._session = session
        self._url = url
        self._clock = clock

    async def ready(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/readyz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def look(self) -> Snapshot | None:
        """What the service says now; None while it does not answer."""
        try:
            async with self._session.get(f"{self._url}/mappings") as answer:
                answer.raise_for_status()
                mappings = await answer.json()
            async with self._session.get(f"{self._url}/metrics") as answer:
                answer.raise_for_status()
                metrics = await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return None
        return snapshot(mappings, metrics, self._clock())
