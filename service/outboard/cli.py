"""Knows the command line: what each command is for, and what its end means to a shell."""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from outboard import __version__

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

EPILOG = """exit codes: 0 fine, 1 the configuration, the check, the port, the state file or the demo's audit failed,
2 usage, 70 internal error, 128+n second signal"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        code = command(options)
        sys.stdout.flush()  # here, where a reader that went away is expected
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("OUTBOARD_DEBUG"):
            raise
        print(f"outboard: internal error: {type(error).__name__}: {error}; this is a defect of Outboard, please report "
              "it with the output of the same command under OUTBOARD_DEBUG=1", file=sys.stderr)  # fmt: skip
        return 70
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="outboard",
        description="AWS Lambda event source mappings as a service of your own.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"outboard {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    path_help = "a YAML or JSON file, or a folder of them; default $OUTBOARD_CONFIG, then configs/outboard.yaml"

    run = commands.add_parser("run", help="run the service", description="Run the service until SIGTERM or Ctrl-C.")
    run.add_argument("path", metavar="PATH", nargs="?", help=path_help)
    run.add_argument(
        "--strict", action="store_true", help="exit 1 if any mapping has a problem, instead of running the others"
    )
    run.set_defaults(command=_run)

    check = commands.add_parser(
        "check",
        help="validate a configuration",
        description="Print every problem as FILE:LINE: mapping NAME: FIELD: what is wrong; the remedy. "
        "Exit 0 if there is none.",
    )
    check.add_argument("path", metavar="PATH", nargs="?", help=path_help)
    check.add_argument("--live", action="store_true", help="also ask each source, and each function by a dry run")
    check.set_defaults(command=_check)

    _add_demo(commands)
    return parser


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    demo = commands.add_parser(
        "demo",
        help="watch it work on this machine, without an account",
        description="Start queues, a stream, a topic, functions and load on this machine, run the service on them, "
        "and audit what became of every message.",
    )
    demo.add_argument("--seconds", type=_positive, default=30.0, help="how long load is made for (default %(default)g)")
    demo.add_argument("--rate", type=_positive, default=None, help="messages a second")
    demo.add_argument("--port", type=_port, default=None, help="the status port; default: any free one")
    demo.add_argument("--keep", action="store_true", help="keep the folder with the configuration and the logs")
    demo.set_defaults(command=_demo)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number below 1,000,000")
    return value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"{text} is not a port; give a number from 0 to 65535")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    # Until the service heeds signals itself there is nothing to drain. Without a handler, a container's first process
    # would not even hear of it.
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    gc.disable()  # nothing of what is imported now is ever garbage
    try:
        return _serve(options)
    finally:
        gc.enable()
        signal.signal(signal.SIGTERM, before)


def _serve(options: argparse.Namespace) -> int:
    from outboard.config import loading

    path = loading.find(options.path, os.environ)
    texts = loading.read(path)
    loaded = texts.loaded()
    if loaded.configuration is None or loaded.fatal or (options.strict and loaded.problems):
        return _show_problems(loaded.problems)
    import asyncio

    from outboard.observe import logs
    from outboard.observe.http import PortUnavailable
    from outboard.runtime import heap
    from outboard.service import run_service
    from outboard.state.unavailable import StateUnavailable

    logs.configure(loaded.configuration.logging.level, loaded.configuration.logging.format)
    heap.give_freed_payloads_back()
    heap.start_collecting()
    try:
        with asyncio.Runner(loop_factory=_event_loop()) as runner:
            return runner.run(run_service(texts, loaded, path))
    except* (PortUnavailable, StateUnavailable) as group:
        print(f"outboard: {_first(group)}", file=sys.stderr)
    return 1


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _event_loop() -> Callable[[], "AbstractEventLoop"] | None:
    """uvloop, on the platforms that have it."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop


def _show_problems(problems: Sequence[object]) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1


def _check(options: argparse.Namespace) -> int:
    from outboard.config import loading

    path = loading.find(options.path, os.environ)
    loaded = loading.load(path)
    for problem in loaded.problems:
        print(problem)
    if loaded.problems:
        count = len(loaded.problems)
        print(f"{path}: {count} problem{'s' if count > 1 else ''}", file=sys.stderr)
    else:
        assert loaded.configuration is not None
        count = len(loaded.configuration.event_source_mappings)
        print(f"{path}: {count} mapping{'s' if count != 1 else ''}, no problems", file=sys.stderr)
    if options.live and loaded.configuration is not None:
        import asyncio

        from outboard.live import advise

        for line in asyncio.run(advise(loaded.configuration)):
            print(line)
    return 1 if loaded.problems else 0


def _demo(options: argparse.Namespace) -> int:
    from outboard.demo.command import main as demo

    return demo(seconds=options.seconds, rate=options.rate, port=options.port, keep=options.keep)
