"""Runs a command that must not outlive the process which started it: `guard.py PARENT_PID COMMAND...`."""

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was told
        sys.exit(1)
    with contextlib.suppress(KeyboardInterrupt):
        os.execvp(command[0], command)


main()
