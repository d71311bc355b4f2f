"""Knows whether the Prometheus operator and KEDA take an object, by their own schemas."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.servers.node_packages import node_package
from tests.servers.tools import find_tool

KINDS = frozenset({"PodMonitor", "ServiceMonitor", "ScaledObject"})
_FOLDER = Path(__file__).with_name("node")


def refusals(manifests: Sequence[dict[str, Any]]) -> list[str | None]:
    """For each object what its schema refuses, None for nothing. Raises ToolMissing.

    These schemas know types, not which fields there are: the tests of what the chart makes compare whole values.
    """
    packages = node_package("@kubernetes-models", _FOLDER)
    command = [find_tool("node"), str(_FOLDER / "validate.mjs"), str(packages)]
    done = subprocess.run(command, input=json.dumps(manifests), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
