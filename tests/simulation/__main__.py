"""Runs seeds: `python -m tests.simulation --seeds 1000 --from 0`, one of them in full with `--verbose`."""

import argparse
import os
import sys

from tests.simulation.running import run_seeds, show


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="how many (default 1000)")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="K", help="the first one (default 0)")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes (default: one per core)")
    parser.add_argument("--verbose", action="store_true", help="print all that happens, seed by seed")
    arguments = parser.parse_args()
    if arguments.verbose:
        return max(show(seed) for seed in range(arguments.first, arguments.first + arguments.seeds))
    return int(run_seeds(arguments.first, arguments.seeds, arguments.workers) > 0)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets of strings is part of a run; the same seed must be the same run everywhere.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    sys.exit(main())
