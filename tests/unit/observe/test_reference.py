"""The page about the metrics is made from the table, and is current."""

import re
import subprocess
import sys
from pathlib import Path

from outboard.observe.catalogue import METRICS
from outboard.observe.reference import render

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_the_committed_page_is_current() -> None:
    """If this fails: python -m outboard.observe.catalogue > docs/metrics.md."""
    assert PAGE.read_text() == render()


def test_the_command_prints_the_page() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "outboard.observe.catalogue"], capture_output=True, check=True, text=True
    )

    assert (printed.stdout, printed.stderr) == (render(), "")


def test_every_query_of_the_migration_table_asks_for_metrics_that_exist() -> None:
    _, table = render().split("## From CloudWatch to PromQL")
    asked = set(re.findall(r"outboard_\w+", table))
    exposed = {metric.full_name for metric in METRICS} | {
        f"{metric.full_name}_bucket" for metric in METRICS if metric.buckets
    }

    assert len(asked) > 10
    assert asked - exposed == set()


def test_every_cloudwatch_name_has_one_row() -> None:
    _, table = render().split("## From CloudWatch to PromQL")
    rows = re.findall(r"^\| (\w+) \| `", table, re.MULTILINE)

    assert rows == sorted(set(rows))
    assert {metric.cloudwatch for metric in METRICS if metric.cloudwatch} <= set(rows)
