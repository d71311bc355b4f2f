"""What the scenarios stand on: a namespace that enforces the restricted profile, the parts in it, releases beside.

The scenarios are `make e2e-kube`'s alone: no other run touches the cluster that KUBECONFIG happens to name.
"""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.kube.cluster import Cluster, connected
from tests.kube.definitions import definitions
from tests.kube.disks import disks
from tests.kube.images import PARTS, load_images
from tests.kube.load import Loads, start_parts
from tests.kube.release import Release
from tests.servers.availability import started
from tests.servers.tools import ToolMissing

collect_ignore = [] if os.environ.get("OUTBOARD_E2E_KUBE") else ["scenarios"]

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A namespace of this run's own. What is missing for that is said once, and no test runs."""
    try:
        load_images()
        with connected(f"outboard-e2e-{uuid.uuid4().hex[:6]}", tmp_path_factory.mktemp("kube")) as connection:
            yield from _namespace(connection)
    except ToolMissing as missing:
        pytest.exit(f"The tests on Kubernetes cannot run: {missing}", returncode=1)


def _namespace(cluster: Cluster) -> Iterator[Cluster]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    named = {"name": cluster.namespace, "labels": labels}
    cluster.kubectl("create", "--filename=-", given={"apiVersion": "v1", "kind": "Namespace", "metadata": named})
    try:
        yield cluster
    finally:
        cluster.kubectl("delete", "namespace", cluster.namespace, "--wait=false", check=False)


@pytest.fixture(scope="session")
def loads(cluster: Cluster) -> Loads:
    """The parts, running."""
    return start_parts(cluster, PARTS)


@pytest.fixture(scope="session")
def persistence(cluster: Cluster) -> Iterator[Mapping[str, object]]:
    """Values of the chart that give a pod a disk in this cluster."""
    with disks(cluster, PARTS) as found:
        yield found


@pytest.fixture(scope="session")
def operators(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The cluster knows the operators' resources."""
    with started(definitions(cluster, tmp_path_factory.mktemp("modules"))):
        yield


@pytest.fixture
def release(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Callable[[], Release]]:
    """Names a release that is not installed yet; after a failed test it is described before it goes."""
    made: list[Release] = []

    def named() -> Release:
        made.append(Release(cluster, f"r{uuid.uuid4().hex[:5]}"))
        return made[-1]

    yield named
    for each in made:
        if request.node.stash.get(_FAILED, False):
            print(each.report())
        each.uninstall()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent / "scenarios"
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(420))
