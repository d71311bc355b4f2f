"""Knows the entry of `outboard demo`: its options, and what to say where the extra is not installed."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

#: What the extra `demo` installs everywhere, by the names that are imported.
EXTRA = ("moto", "flask", "flask_cors", "aws_lambda_powertools", "rich")

DEFAULT_SECONDS = 30.0
DEFAULT_RATE = 72.0


def main(
    *,
    seconds: float = DEFAULT_SECONDS,
    rate: float | None = None,
    port: int | None = None,
    keep: bool = False,
    svg: Path | None = None,
) -> int:
    """Run the demo; returns its exit code: 0, 1 if a message was lost or a part failed, 128+n after a second signal.

    Messages are produced for `seconds`, `rate` a second in all (None: `DEFAULT_RATE`). `port` is the service's status
    port (None: any that is free). `keep` leaves the configuration, the logs and the ledger behind. `svg` names a file
    that gets a picture of the run.
    """
    if extra_is_missing():
        sys.stderr.write(
            "the demo needs its extra: 'make demo' in a checkout installs it, and so does pip install '.[demo]' there\n"
        )
        return 1
    from outboard.demo import run  # noqa: PLC0415 - imports the extra

    return run.main(run.Options(seconds, rate or DEFAULT_RATE, port, keep, svg))


def extra_is_missing(find: Callable[[str], object] = find_spec) -> bool:
    """Whether any part of the extra cannot be imported."""
    return any(find(name) is None for name in EXTRA)
