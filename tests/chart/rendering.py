"""Knows how Helm itself renders the chart, for any cluster that one describes, and how it refuses values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import helm_python
import yaml
from helm_python import _native

from tests.servers.tools import REPOSITORY

CHART = REPOSITORY / "helm"
#: In front of each sentence of a refusal by the schema, and of one by the chart's own checks.
_BY_SCHEMA = "- at "
_BY_CHECK = "execution error at (outboard/templates/checks.yaml:1:4): "

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What Helm is told of the cluster and the release."""

    version: str = "1.37"
    apis: tuple[str, ...] = ()
    release: str = "shop"
    namespace: str = "pollers"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What would be installed, and what would be said."""

    objects: tuple[dict[str, Any], ...]
    notes: str

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [it for it in self.objects if it["kind"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        found = self.all(kind)
        assert len(found) == 1, f"{len(found)} objects of kind {kind}"
        return found[0]

    @property
    def workload(self) -> dict[str, Any]:
        (found,) = self.all("Deployment") + self.all("StatefulSet")
        return found

    @property
    def pod(self) -> dict[str, Any]:
        """The spec of the release's pods."""
        return self.workload["spec"]["template"]["spec"]

    @property
    def container(self) -> dict[str, Any]:
        return next(it for it in self.pod["containers"] if it["name"] == "outboard")

    @property
    def configuration(self) -> str:
        return self.one("ConfigMap")["data"]["outboard.yaml"]


class Refused(Exception):
    """Helm would not install these values; `sentences` are what it says."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        lines = [it.strip() for it in text.partition(_BY_CHECK)[2].splitlines() if it.strip()]
        by_schema = [
            it.strip().removeprefix(_BY_SCHEMA) for it in text.splitlines() if it.strip().startswith(_BY_SCHEMA)
        ]
        self.sentences = lines or by_schema or [text]


def render(values: Mapping[str, Any], cluster: Cluster | None = None) -> Rendered:
    """Raises Refused."""
    cluster = cluster or Cluster()
    texts = _texts(json.dumps(values), cluster)
    objects = [
        it
        for path, text in sorted(texts.items())
        if path.endswith(".yaml")
        for it in yaml.load_all(text, Loader=_LOADER)
        if it is not None
    ]
    return Rendered(tuple(objects), texts["outboard/templates/NOTES.txt"])


def refusal(values: Mapping[str, Any], cluster: Cluster | None = None) -> list[str]:
    """The sentences with which these values are refused; none if they are not."""
    try:
        render(values, cluster)
    except Refused as refused:
        return refused.sentences
    return []


def lint(values: Mapping[str, Any], version: str = "1.37") -> list[str]:
    """What `helm lint --strict` would fail for. That an icon is recommended is no more than information."""
    report = helm_python.lint(CHART, values, strict=True, kube_version=f"v{version}.0")
    return [it["error"] for it in report["messages"] if it["severity"] > 1]


@cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


def _texts(values: str, cluster: Cluster) -> dict[str, str]:
    """Path -> text. The public `render` of the SDK cannot be told of the cluster; what it calls can."""
    options = {
        "name": cluster.release,
        "namespace": cluster.namespace,
        "kube_version": f"v{cluster.version}.0",
        "api_versions": list(cluster.apis),
    }
    try:
        return json.loads(_native.call_string("helm_render", _chart()._raw(), values, json.dumps(options)))
    except helm_python.HelmError as error:
        raise Refused(str(error)) from None
