"""Knows what a log line looks like, and sees to it that whatever anything writes becomes one."""

import contextlib
import json
import logging
import sys
import threading
from types import TracebackType
from typing import Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["json", "console"]
Level = Literal["debug", "info", "warning", "error"]


def configure(level: Level, form: Format, stream: TextIO | None = None) -> None:
    """Log to `stream`, by default stderr, from now on: ours from `level` up, libraries from warning up.

    Python's warnings and exceptions that nobody caught, in threads and tasks too, become log lines as well.
    """
    out = sys.stderr if stream is None else stream
    render = _json if form == "json" else _console(out)
    out = cast("TextIO", _Unbreakable(out))
    _configure_ours(level, form, render, out)
    _configure_libraries(level, form, render, out)
    _catch_the_rest()


class _Unbreakable:
    """A stream that forgets what it cannot write: a full disk or a reader that went away must not stop the service."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._out.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._out.flush()


def _common(form: Format) -> list[Processor]:
    described: list[Processor] = [structlog.processors.format_exc_info] if form == "json" else []
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *described,
    ]


def _configure_ours(level: Level, form: Format, render: Processor, out: TextIO) -> None:
    structlog.configure(
        processors=[*_common(form), render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


def _configure_libraries(level: Level, form: Format, render: Processor, out: TextIO) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_common(form),
            processors=[_name_the_logger, structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.ERROR if level == "error" else logging.WARNING)
    logging.captureWarnings(capture=True)


def _name_the_logger(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["logger"] = event["_record"].name
    return event


def _catch_the_rest() -> None:
    log = structlog.get_logger()

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.critical("uncaught exception", exc_info=(kind, error, trace))

    def in_thread(failed: threading.ExceptHookArgs) -> None:
        log.critical("uncaught exception in a thread", exc_info=failed.exc_value)

    def unraisable(failed: "sys.UnraisableHookArgs") -> None:
        log.error("exception ignored", where=repr(failed.object), exc_info=failed.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable


def _console(out: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """One JSON object on one line, what one looks for first in it."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    line = {**first, **event}
    try:
        return orjson.dumps(line, default=_text, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # Half a surrogate pair, or an integer beyond 64 bits: rare, and no reason to lose the line.
        return json.dumps(line, default=_text, skipkeys=True, ensure_ascii=False).encode("utf-8", "replace").decode()


def _text(value: object) -> str:
    return str(value)
