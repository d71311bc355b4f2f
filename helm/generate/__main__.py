"""Writes the chart's generated files; with --check it writes nothing and fails if they are not what is committed."""

import argparse
import json
import sys
from pathlib import Path

from helm.generate import readme, schema, values

CHART = Path(__file__).resolve().parents[1]
_CONFIGURATION = CHART.parent / "configs" / "outboard.schema.json"
_INTRODUCTION = Path(__file__).with_name("introduction.md")


def generated() -> dict[Path, str]:
    """Each generated file with its text. Raises CommentError."""
    read = values.read((CHART / "values.yaml").read_text())
    return {
        CHART / "values.schema.json": schema.printed(read, json.loads(_CONFIGURATION.read_text())),
        CHART / "README.md": readme.printed(_INTRODUCTION.read_text(), read),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m helm.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = parser.parse_args().check
    try:
        made = generated()
    except values.CommentError as error:
        sys.stderr.write(f"helm/values.yaml: {error}\n")
        return 1
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if check:
            sys.stderr.write(f"{path.relative_to(CHART.parent)} is not what values.yaml says; run `make generate`\n")
        else:
            path.write_text(made[path])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
