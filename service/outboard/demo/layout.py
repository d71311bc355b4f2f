"""Knows the configuration that the demo runs, and the environment that keeps it from any real account."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from outboard.demo.world import REGION, Workload

ACCESS_KEY = "demo"
SECRET = "demo"  # noqa: S105 - the embedded server takes any

HEADER = """\
# What `outboard demo` runs: outboard run THIS-FILE
# Every field of a mapping is AWS's own, but for Name, and for the endpoints below, which stand in for AWS.
"""


def configuration(workloads: Iterable[Workload], *, source_url: str, function_url: str, port: int, state: Path) -> str:
    """The YAML of a service that carries these workloads, listens on `port` and keeps its positions in `state`."""
    document = {
        "Installation": "demo",
        "Aws": {"Region": REGION},
        "State": {"Type": "sqlite", "Path": str(state)},
        "Server": {"Host": "127.0.0.1", "Port": port},
        "Logging": {"Level": "info", "Format": "json"},
        "Shutdown": {"DrainTimeoutSeconds": 20},
        "Defaults": {"SourceEndpointUrl": source_url, "FunctionEndpointUrl": function_url},
        "EventSourceMappings": [{"Name": workload.name, **workload.mapping} for workload in workloads],
    }
    return HEADER + yaml.safe_dump(document, sort_keys=False)


def environment(inherited: Mapping[str, str], endpoint: str) -> dict[str, str]:
    """The service's environment: none of the user's AWS settings, every AWS call to `endpoint`, no proxy."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(("AWS_", "OUTBOARD_"))}
    return kept | {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_ENDPOINT_URL": endpoint,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
