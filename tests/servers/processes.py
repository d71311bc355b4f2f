"""Knows how a child process is started, waited for and ended, whatever becomes of the process that started it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_GUARD = Path(__file__).with_name("guard.py")


class ServerFailed(Exception):
    """A server did not start; the text carries the end of its log."""


class Child:
    """A process in a group of its own, which the kernel ends when this process dies; its output goes to `log`."""

    def __init__(
        self, command: Sequence[str], *, log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self._command = command[0]
        guarded = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *command]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                guarded,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.poll()

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Poll `ready` until it is true. Raises ServerFailed when the process ends or the time is over."""
        end = time.monotonic() + seconds
        while not ready():
            if self.exit_code is not None:
                raise ServerFailed(f"{self._command} ended with {self.exit_code} while starting:\n{self.tail()}")
            if time.monotonic() > end:
                raise ServerFailed(f"{self._command} was not ready after {seconds:g} s:\n{self.tail()}")
            time.sleep(0.05)

    def tail(self, size: int = 4000) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-size:]

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        return self._process.wait(seconds)

    def stop(self, *, grace: float = 5.0) -> None:
        """End it and whatever it started: SIGTERM, and SIGKILL for the group after `grace` seconds."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self.kill()

    def kill(self) -> None:
        """End it and whatever it started at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def answers_ok(url: str) -> bool:
    """Whether a GET of a loopback `url` is answered with 200."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
