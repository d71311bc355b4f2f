"""Knows the metrics that the process has once; part of the table in `catalogue`."""

from collections.abc import Sequence

from outboard.observe.definition import Kind, Metric

_C, _G = Kind.COUNTER, Kind.GAUGE
_PROCESS: Sequence[str] = ()

OF_THE_PROCESS = (
    Metric(
        "build_info", _G, "Always 1; its labels name what is running.", {"version": (), "python": ()}, sources=_PROCESS
    ),
    Metric(
        "config_info",
        _G,
        "Always 1; its label is the hash of the configuration in force.",
        {"hash": ()},
        sources=_PROCESS,
    ),
    Metric(
        "config_reloads_total",
        _C,
        "Changed configurations that were looked at, by what became of them.",
        {"result": ("applied", "refused")},
        sources=_PROCESS,
    ),
    Metric(
        "config_last_reload_success_timestamp_seconds",
        _G,
        "When the configuration in force was loaded.",
        sources=_PROCESS,
    ),
    Metric(
        "config_last_reload_successful",
        _G,
        "1 if the newest configuration is the one in force, 0 if it was refused.",
        sources=_PROCESS,
    ),
    Metric(
        "config_restart_required",
        _G,
        "1 if the configuration has changes that only a restart brings into force.",
        sources=_PROCESS,
    ),
    Metric(
        "buffer_limit_bytes", _G, "Bytes that all mappings together may hold: MaximumBufferedBytes.", sources=_PROCESS
    ),
    Metric(
        "event_loop_lag_seconds", _G, "How late the event loop runs what is due, as a moving average.", sources=_PROCESS
    ),
    Metric("draining", _G, "1 while the process finishes its invokes before it ends, else 0.", sources=_PROCESS),
    Metric(
        "aws_requests_total",
        _C,
        "Requests to AWS or to what speaks its protocols, by the answer's error code, or OK.",
        {"service": (), "operation": (), "code": ()},
        sources=_PROCESS,
    ),
)
