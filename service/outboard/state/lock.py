"""Knows that a state file has one user at a time."""

import fcntl
import os
import re
from pathlib import Path

from outboard.state.unavailable import refused

_HOLDER = re.compile(rb"\d+ on \S+")


def take(path: Path) -> int:
    """Lock the state file at `path` for this process; closing the descriptor that this returns unlocks it.

    The lock is on a file beside it, which stays. SQLite has locks of its own on the state file, and they would be lost
    with any other descriptor of that file. The kernel drops the lock with the process, however that ends; programs that
    the process starts do not inherit it. Raises `StateUnavailable`.
    """
    try:
        descriptor = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise refused(path, "is in a folder that does not exist", "make that folder, or name another") from error
    except OSError as error:
        raise refused(
            path, f"cannot be locked ({error.strerror})", "put it into a folder in which this process may make files"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        who = _holder(descriptor)
        os.close(descriptor)
        raise refused(
            path, f"is in use by another process{who}", "give each process a State.Path of its own"
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise refused(path, f"cannot be locked ({error.strerror})", "put it on a disk of this machine") from error
    _sign(descriptor)
    return descriptor


def _sign(descriptor: int) -> None:
    """Say who holds the lock, for whoever is refused; on a full disk that stays unsaid."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} on {os.uname().nodename}\n".encode(), 0)
    except OSError:
        pass


def _holder(descriptor: int) -> str:
    signed = _HOLDER.match(os.pread(descriptor, 300, 0))
    return f" (pid {signed[0].decode(errors='replace')})" if signed else ""
