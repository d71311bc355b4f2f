"""Knows how a child process ends with its parent, however the parent ended: `kill -9` leaves nothing behind."""

import os
import runpy
import signal
import sys
import threading


def tie_to_pipe() -> None:
    """End this process at once, and with it its group if it leads one, when standard input closes: a pipe that the
    parent holds and never writes to.
    """
    threading.Thread(target=_end_with_pipe, name="tether", daemon=True).start()


def _end_with_pipe() -> None:
    while os.read(0, 1024):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":  # python -m outboard.demo.tether MODULE [ARGUMENT ...]
    tie_to_pipe()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
