"""Every shape of `helm/ci/` is installed and becomes ready, in a namespace that enforces the restricted profile."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.kube.cluster import Cluster, CommandFailed
from tests.kube.release import CHART, CREDENTIALS, Release

SHAPES = sorted((CHART / "ci").glob("*-values.yaml"))
_AT_ONCE = 4

#: Nobody in these shapes has an account, and nothing outside the cluster is asked.
_NOWHERE = {**CREDENTIALS, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}


@pytest.mark.usefixtures("operators")
def test_every_shape_is_installed(
    release: Callable[[], Release], cluster: Cluster, persistence: Mapping[str, object]
) -> None:
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nowhere"}, "data": _NOWHERE}
    cluster.kubectl("apply", "--filename=-", given=data)
    releases = [release() for _ in SHAPES]

    def ready(shape: Path, installed: Release) -> str:
        try:
            installed.install(_values(shape, persistence))
            pods = installed.pods()
            installed.uninstall()
        except CommandFailed as failure:
            return f"{failure}\n{installed.report()}"
        return "" if pods and all(pod.ready for pod in pods) else f"not ready: {pods}"

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        said = dict(zip((shape.stem for shape in SHAPES), pool.map(ready, SHAPES, releases), strict=True))

    assert said
    assert {shape: trouble for shape, trouble in said.items() if trouble} == {}


def _values(shape: Path, persistence: Mapping[str, object]) -> dict[str, object]:
    """The shape, with this cluster's disks, and sources that nobody can reach."""
    given = yaml.safe_load(shape.read_text())
    given["envFrom"] = [*given.get("envFrom", []), {"configMapRef": {"name": "nowhere"}}]
    given["persistence"] = {**given.get("persistence", {}), **persistence}
    return given
