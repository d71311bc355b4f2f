"""What the tests of this folder share: a clock they move, a log they read, and an observer on both."""

import structlog
from structlog.testing import LogCapture
from structlog.typing import EventDict, FilteringBoundLogger

from outboard.observe.facts import MappingFacts
from outboard.observe.mapping import MappingObserver
from outboard.observe.metrics import Metrics

START = 1_700_000_000.0

ORDERS = MappingFacts(
    name="orders",
    uuid="0a1b2c3d-0000-5000-8000-000000000001",
    source_type="sqs",
    function_arn="arn:aws:lambda:eu-west-1:123456789012:function:process-orders",
    source_arn="arn:aws:sqs:eu-west-1:123456789012:orders",
    batch_size=10,
)

CLICKS = MappingFacts(
    name="clicks",
    uuid="0a1b2c3d-0000-5000-8000-000000000002",
    source_type="kinesis",
    function_arn="arn:aws:lambda:eu-west-1:123456789012:function:count-clicks",
    source_arn="arn:aws:kinesis:eu-west-1:123456789012:stream/clicks",
    batch_size=100,
)


TRADES = MappingFacts(
    name="trades",
    uuid="0a1b2c3d-0000-5000-8000-000000000003",
    source_type="kafka",
    function_arn="arn:aws:lambda:eu-west-1:123456789012:function:book-trades",
    batch_size=500,
)


class Clock:
    """Epoch seconds that stand still until a test moves them."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def recording_log(level: str = "debug") -> tuple[FilteringBoundLogger, list[EventDict]]:
    """A logger, and what was logged with it."""
    capture = LogCapture()
    wrapper = structlog.make_filtering_bound_logger(level)
    return structlog.wrap_logger(None, processors=[capture], wrapper_class=wrapper), capture.entries


class Stage:
    """One observer, and everything that it tells."""

    def __init__(self, facts: MappingFacts = ORDERS) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        log, self.lines = recording_log()
        self.observer = MappingObserver(facts, self.metrics, log, self.clock)
        self._mapping = facts.name

    def value(self, name: str, **labels: str) -> float | None:
        """A sample of the mapping, as Prometheus would see it; None if there is no such series."""
        return self.metrics.registry.get_sample_value(f"outboard_{name}", {"mapping": self._mapping, **labels})

    def shown(self) -> tuple[object, object]:
        """State and reason, as `/mappings` shows them."""
        snapshot = self.observer.snapshot()
        return snapshot["state"], snapshot["stateReason"]

    def events(self, level: str) -> list[str]:
        return [line["event"] for line in self.lines if line["log_level"] == level]
