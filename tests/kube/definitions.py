"""The operators' own resource definitions, KEDA's and the Prometheus operator's, from their Go modules."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kube.cluster import Cluster
from tests.servers.tools import ToolMissing, find_tool

_KEDA = "github.com/kedacore/keda/v2@v2.21.0"
_PROMETHEUS = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
_FILES = {
    "scaledobjects.keda.sh": (_KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml"),
    "triggerauthentications.keda.sh": (_KEDA, "config/crd/bases/keda.sh_triggerauthentications.yaml"),
    "podmonitors.monitoring.coreos.com": (
        _PROMETHEUS,
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
    ),
    "servicemonitors.monitoring.coreos.com": (
        _PROMETHEUS,
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
}


@contextmanager
def definitions(cluster: Cluster, folder: Path) -> Iterator[None]:
    """Have the cluster know them; those that it did not know before are removed. Raises ToolMissing."""
    known = {each["metadata"]["name"] for each in cluster.objects("customresourcedefinitions")}
    missing = {name: where for name, where in _FILES.items() if name not in known}
    archives = {module: _fetched(module, folder) for module, _ in missing.values()}
    for module, file in missing.values():
        # The annotation of a client-side apply has no room for these.
        cluster.kubectl("apply", "--server-side", f"--filename={archives[module] / file}")
    try:
        for name in missing:
            cluster.kubectl("wait", "--for=condition=Established", f"customresourcedefinition/{name}", "--timeout=30s")
        yield
    finally:
        for name in missing:
            cluster.kubectl("delete", "customresourcedefinition", name, "--wait=false", check=False)


def _fetched(module: str, folder: Path) -> Path:
    """The folder of a Go module, fetched through Go's own cache; `folder` is in no module of its own."""
    command = [find_tool("go"), "mod", "download", "-json", module]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolMissing(f"Go could not fetch {module}: {(done.stdout + done.stderr)[-500:]}")
    return Path(json.loads(done.stdout)["Dir"])
