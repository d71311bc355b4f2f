"""Knows the shapes of installation in `helm/ci`, and the clusters that each must render for."""

from functools import cache
from typing import Any

import yaml

from tests.chart.rendering import CHART, Cluster, Rendered, render

_SUFFIX = "-values.yaml"
SHAPES = tuple(sorted(it.name.removesuffix(_SUFFIX) for it in (CHART / "ci").glob(f"*{_SUFFIX}")))

MONITORING = "monitoring.coreos.com/v1"
KEDA = "keda.sh/v1alpha1"
OPENSHIFT = "security.openshift.io/v1"
API_SETS = ((), (MONITORING,), (KEDA,), (OPENSHIFT,), (MONITORING, KEDA, OPENSHIFT))

EVERY_VERSION = tuple(f"1.{minor}" for minor in range(27, 38))
#: The oldest and the newest, and between them the versions whose schemas differ in what the chart uses.
SOME_VERSIONS = ("1.27", "1.30", "1.33", "1.37")
CLUSTERS = tuple(Cluster(version, apis) for apis in API_SETS for version in SOME_VERSIONS)


def shape(name: str) -> dict[str, Any]:
    """The values of a shape."""
    return yaml.safe_load((CHART / "ci" / f"{name}{_SUFFIX}").read_text())


@cache
def rendered(name: str, cluster: Cluster | None = None) -> Rendered:
    """A shape, rendered once; change nothing in it."""
    return render(shape(name), cluster)
