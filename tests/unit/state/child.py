"""A process with a state file, for tests that kill it, fill its disk or take its permissions away.

`python -m tests.unit.state.child WHAT PATH`, WHAT being the name of one of the functions below.
"""

import asyncio
import json
import os
import resource
import sys
from pathlib import Path

from outboard.state.sqlite import StateUnavailable, open_checkpoints
from tests.unit.state.stage import Heard, after

NOBODY = 65534


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)


def _size(path: str) -> int:
    return Path(path).stat().st_size


async def hold(path: str) -> None:
    """Keep the file open until killed."""
    async with open_checkpoints(path, Heard()):
        _say("open")
        await asyncio.sleep(60)


async def count(path: str) -> None:
    """Save one shard's number after the other for ever; say how many saves are known to be durable."""
    async with open_checkpoints(path, Heard()) as checkpoints:
        found = await checkpoints.load("mapping", "stream")
        number = max(map(int, found.values()), default=-1) + 1
        while True:
            checkpoints.save("mapping", "stream", {f"shard-{number % 7}": str(number)})
            number += 1
            await asyncio.sleep(0)
            if number % 1000 == 0:
                await checkpoints.saved()
                _say(number)
            elif number % 100 == 0:
                await asyncio.sleep(0.02)


async def fill(path: str) -> None:
    """Run into a limit of the files' size, go on until that is lifted, and close; say what was seen on the way."""
    heard = Heard()
    async with open_checkpoints(path, heard, jitter=lambda: 0.0) as checkpoints:
        checkpoints.save("mapping", "stream", after(7))
        await checkpoints.saved()
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (_size(f"{path}-wal") + 1000, most))
        checkpoints.save("mapping", "stream", {f"more-{number}": "9" * 50 for number in range(1000)})
        checkpoints.save("mapping", "stream", after(14))
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(checkpoints.saved(), name="waiting")
            await heard.until("SQLITE_IOERR_WRITE")
            loaded = await checkpoints.load("mapping", "stream")
            _say({"loaded": len(loaded), "last": loaded["shard-6"], "waiting": not waiting.done()})
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            await heard.until("saved")
    _say({"news": sorted(set(heard.news))})


async def end_full(path: str) -> None:
    """Close with a position that cannot be written; say what was heard and how long that took."""
    heard, now = Heard(), asyncio.get_running_loop().time
    async with open_checkpoints(path, heard) as checkpoints:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
        checkpoints.save("mapping", "stream", after(3))
        started = now()
    _say({"news": heard.news, "message": heard.messages[-1], "quick": now() - started < 4})


async def open_as_nobody(path: str) -> None:
    """Open as a user with no rights; say how that is refused."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        async with open_checkpoints(path, Heard()):
            _say("open")
    except StateUnavailable as error:
        _say(str(error))


if __name__ == "__main__":
    what, where = sys.argv[1:]
    asyncio.run({f.__name__: f for f in (hold, count, fill, end_full, open_as_nobody)}[what](where))
