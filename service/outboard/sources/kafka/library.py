"""Knows the parts of aiokafka that it shows to nobody and that a member of a group cannot do without."""
# ruff: noqa: SLF001 - that is what this module is for; pyproject.toml names the versions that were looked at

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    IllegalStateError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import OffsetAndMetadata

#: Seconds for each part of a consumer to close.
_CLOSING = 1.0


def see_refusals(consumer: AIOKafkaConsumer) -> None:
    """From now on a coordinator that is still loading, or is none any more, is an error, after which the library asks
    again. It would take it for a group without offsets, whose start is to be looked up and committed.
    """
    coordinator = consumer._coordinator
    send = coordinator._send_req

    async def checked(request: object) -> object:
        answer = await send(request)
        code = getattr(answer, "error_code", 0) if isinstance(request, OffsetFetchRequest) else 0
        if code:
            refusal = for_code(code)
            if refusal in (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
                coordinator.coordinator_dead()
            raise refusal()
        return answer

    coordinator._send_req = checked


def is_fetching(consumer: AIOKafkaConsumer) -> bool:
    """Whether the task that fetches is alive; nobody starts it again."""
    return not consumer._fetcher.error_future.done()


def raise_what_waits(consumer: AIOKafkaConsumer) -> None:
    """Errors of the group wait until a read asks for them, and nothing goes on before; a lane whose batch is held may
    never read. Raises `KafkaError`.
    """
    consumer._coordinator.check_errors()


def forget(consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
    """Let go what was fetched of a partition and not taken: it would be kept until somebody takes it. The fetcher is
    told, or it would not hear of the partition going on.
    """
    fetcher = consumer._fetcher
    if fetcher._records.pop(tp, None) is not None:
        fetcher._notify(fetcher._wait_consume_future)


def is_member(consumer: AIOKafkaConsumer) -> bool:
    """Whether the coordinator knows us. What one who is no member commits, a group without members takes."""
    return bool(consumer._coordinator.generation >= 0)


async def commit_once(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    """Commit in the present generation or not at all, also for partitions that are others'. Raises `KafkaError`."""
    subscription, coordinator = consumer._subscription.subscription, consumer._coordinator
    if subscription is None or subscription.assignment is None or not is_member(consumer):
        raise IllegalStateError("we are no member of the group")
    # The request is made before anything is awaited: of this generation, whatever comes.
    metadata = {tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
    await coordinator._do_commit_offsets(subscription.assignment, metadata)


async def close(consumer: AIOKafkaConsumer, seconds: float) -> None:
    """Leave the group and close all connections. A consumer that is joining does not stop until it has joined: then its
    parts are closed one by one. Whatever interrupts it: no heartbeat keeps our place in the group any longer.
    """
    stopped, ending = False, set[asyncio.Task[None]]()
    try:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(seconds):
                await consumer.stop()
                stopped = True
    finally:
        if not stopped:
            ending = _silence(consumer)
    if not stopped:
        if ending:
            await asyncio.wait(ending, timeout=_CLOSING)
        await _close_parts(consumer)


def _silence(consumer: AIOKafkaConsumer) -> set[asyncio.Task[None]]:
    """End what speaks to the group and what fetches, at once; the connections are left to be closed. Returns the tasks
    that end now.
    """
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    parts = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
    found = [*(getattr(coordinator, name, None) for name in parts), getattr(fetcher, "_fetch_task", None)]
    tasks = {task for task in found if task is not None and not task.done()}
    for task in tasks:
        task.cancel()
    return tasks


async def _close_parts(consumer: AIOKafkaConsumer) -> None:
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    if coordinator is not None:
        await _close(coordinator._stop_heartbeat_task())
        await _close(coordinator._stop_commit_offsets_refresh_task())
        await _close(coordinator._maybe_leave_group())
    if fetcher is not None:
        await _close(fetcher.close())
    await _close(consumer._client.close())


async def _close(part: Awaitable[None]) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_CLOSING):
            await part
