"""Knows how the demo calls its AWS, and how what goes wrong there reads."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from outboard.demo.parts import PartError
from outboard.demo.world import REGION


@contextlib.asynccontextmanager
async def client(service: str, url: str, access_key: str, secret: str) -> AsyncIterator[Any]:
    """An SDK client of one service. No retries: nothing must be sent twice unknown to the audit."""
    session = aioboto3.Session(access_key, secret, region_name=REGION)
    config = AioConfig(retries={"total_max_attempts": 1}, proxies={}, connect_timeout=5, read_timeout=15)
    async with session.client(service, endpoint_url=url, config=config) as made:
        yield made


@contextlib.contextmanager
def failures(verb: str, what: str) -> Iterator[None]:
    """Turns whatever the SDK raises into `PartError`: "The demo could not VERB the WHAT"."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise PartError(f"The demo could not {verb} the {what}: {error}") from error
