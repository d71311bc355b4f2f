"""Knows what Ctrl-C means when: the first one ends the load and drains, the second one ends the demo at once."""

import asyncio
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """`stop` is set by the first signal once there is something to drain; any other signal cancels the demo.

    `number` is the signal that cancelled it, 0 while none has.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.number = 0
        self._gentle = False

    def listen(self, task: asyncio.Task[object]) -> None:
        """Take the process's signals, on behalf of `task`."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.arrived, number, task)

    def become_gentle(self) -> None:
        """From now on the first signal drains."""
        self._gentle = True

    def arrived(self, number: int, task: asyncio.Task[object]) -> None:
        if self._gentle and not self.stop.is_set():
            self.stop.set()
        else:
            self.number = number
            task.cancel()
