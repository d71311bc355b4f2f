"""Knows how to start a part of the demo as a process of its own, what it wrote, and how to end it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: What the demo shows of a log when its part fails.
LAST_LINES = 12


class PartError(Exception):
    """A part of the demo did not start, ended by itself, or ended badly; the message says what it wrote last."""


@dataclass(frozen=True, slots=True)
class Part:
    """A running child process; `log` is the file that both its outputs go to."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def ensure_running(self) -> None:
        """Raises `PartError` if the process has ended."""
        if self.process.returncode is not None:
            raise PartError(f"{self.name} ended with exit code {self.process.returncode}.\n{self.last_words()}")

    async def finish(self, seconds: float) -> None:
        """Ask the process to end (SIGTERM) and wait for it. Raises `PartError` unless it ends in time, and well."""
        self.ensure_running()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(self.process.wait(), seconds)
        except TimeoutError:
            raise PartError(f"{self.name} had not ended {seconds:.0f} s after SIGTERM.\n{self.last_words()}") from None
        if code != 0:
            raise PartError(f"{self.name} ended with exit code {code}.\n{self.last_words()}")

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        return "\n".join(["It wrote last:", *[f"  {line}" for line in lines]]) if lines else "It wrote nothing."


@contextlib.asynccontextmanager
async def running(
    name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str], pass_fds: Sequence[int] = ()
) -> AsyncIterator[Part]:
    """Run `python -m COMMAND` until the block ends; then it is killed if it still runs, with whatever it started.

    It is kept apart from the terminal, whose Ctrl-C is for the demo alone, and ends when the demo does.
    """
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *["-m", "outboard.demo.tether", *command],
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=dict(env),
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    try:
        yield Part(name, process, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@contextlib.asynccontextmanager
async def aws_server(folder: Path) -> AsyncIterator[tuple[Part, str]]:
    """SQS and Kinesis on a port of their own; gives the part and its URL.

    The socket listens before the process runs: call at once.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = ["outboard.demo.aws_server", str(listener.fileno())]
        log = folder / "aws.log"
        async with running(
            "The server for SQS and Kinesis", command, log=log, env=os.environ, pass_fds=[listener.fileno()]
        ) as part:
            listener.close()
            yield part, url


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
