"""Lints the chart with each shape, as `helm lint --strict` does."""

import sys

from tests.chart.rendering import lint
from tests.chart.shapes import SHAPES, shape


def main() -> int:
    problems = [f"helm lint: ci/{name}-values.yaml: {it}" for name in SHAPES for it in lint(shape(name))]
    sys.stderr.writelines(f"{it}\n" for it in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
