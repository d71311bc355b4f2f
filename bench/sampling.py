"""Where a process's CPU time goes: py-spy's samples of it, and the part of the work that each belongs to."""

import os
import re
import signal
import sys
import sysconfig
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Samples a second: some thousand while a topic is worked off, at little cost to what is watched.
_RATE = 250

START = "starting: imports, configuration"
FETCH = "fetching and parsing (aiokafka)"
RENDER = "rendering records, their base64 in it"
JOIN = "joining payloads"
SEND = "sending them: HTTP client, event loop"
SIGN = "signing them: a hash over every byte"
PROMISES = "exact batches, budget, order, positions, metrics"
REST = "what no frame names"

#: What frames of the field's libraries and of this package's modules work for; the first that matches.
_FRAMES: Mapping[str, re.Pattern[str]] = {
    START: re.compile(r"importlib|<module>|outboard/(config/|cli\.py)"),
    FETCH: re.compile(r"aiokafka|asyncio/streams\.py"),
    RENDER: re.compile(r"outboard/events/"),
    JOIN: re.compile(r"outboard/core/records\.py"),
    SIGN: re.compile(r"outboard/aws/(signing|credentials)|botocore"),
    SEND: re.compile(r"aiohttp|multidict|yarl|outboard/(aws|invoke)/|asyncio/(runners|tasks|timeouts|events)"),
    PROMISES: re.compile(r"outboard/"),
}

#: The last frame of a thread that waits for work, which is sampled as if it ran.
_WAITING = re.compile(r"BlockingThread\._work \([^;]*$")

#: What any client must do, in turn; then what this one does besides.
PARTS = (FETCH, RENDER, JOIN, SEND, SIGN, PROMISES, START, REST)


def watched(arguments: Sequence[str], samples: Path) -> list[str]:
    """The command that runs Python with `arguments` under py-spy, which writes `samples` at `end`."""
    spy = Path(sysconfig.get_path("scripts")) / "py-spy"
    options = ["--rate", str(_RATE), "--format", "raw", "--output", str(samples)]
    return [str(spy), "record", *options, "--", sys.executable, *arguments]


def end(pid: int) -> None:
    """Have the py-spy with this process id write what it sampled; it ends, and what it watches with it."""
    os.kill(pid, signal.SIGINT)


def shares(samples: str) -> dict[str, float]:
    """How much of all samples each part has, 0 to 1; of py-spy's raw format: a stack, a blank and a count per line."""
    counted: Counter[str] = Counter()
    for line in samples.splitlines():
        stack, _, count = line.rpartition(" ")
        if not _WAITING.search(stack):
            counted[part(stack)] += int(count)
    return {name: counted[name] / max(1, counted.total()) for name in PARTS}


def part(stack: str) -> str:
    """What a sampled stack, its outermost frame first with `;` between, works for: its innermost frame that says it."""
    if "importlib" in stack:
        return START  # whatever a module's own lines do while it is imported
    for frame in reversed(stack.split(";")):
        for name, pattern in _FRAMES.items():
            if pattern.search(frame):
                return name
    return REST
