"""Every shape in `helm/ci`, on every kind of cluster: it renders, Kubernetes takes it, and the service reads it."""

import copy

import kubernetes_validate
import pytest

from outboard.config.loading import parse
from tests.chart.custom_resources import KINDS, refusals
from tests.chart.kubernetes_schemas import wrong
from tests.chart.pod_security import violations
from tests.chart.rendering import Cluster, Rendered, lint, render
from tests.chart.shapes import CLUSTERS, EVERY_VERSION, KEDA, MONITORING, SHAPES, rendered, shape
from tests.servers.availability import needed


def refused_by_kubernetes(rendered: Rendered, version: str) -> list[str]:
    standard = [it for it in rendered.objects if it["kind"] not in KINDS]
    return [f"{it['kind']}: {problem}" for it in standard for problem in wrong(it, version)]


def pods(rendered: Rendered) -> list[dict]:
    return [rendered.pod, *(it["spec"] for it in rendered.all("Pod"))]


@pytest.mark.parametrize("name", SHAPES)
def test_kubernetes_takes_every_object_of_every_shape(name):
    assert [it for at in CLUSTERS for it in refused_by_kubernetes(rendered(name, at), at.version)] == []


@pytest.mark.parametrize("name", ["sqs", "kinesis", "extras", "everything"])
@pytest.mark.parametrize("version", EVERY_VERSION)
def test_kubernetes_of_every_minor_version_takes_the_broadest_shapes(name, version):
    assert refused_by_kubernetes(rendered(name, Cluster(version)), version) == []


def test_the_check_against_kubernetes_schemas_is_that_of_their_package():
    deployment = render(shape("sqs")).workload
    unknown = copy.deepcopy(deployment)
    unknown["spec"]["template"]["spec"]["terminationGracePeriod"] = 1
    mistyped = copy.deepcopy(deployment)
    mistyped["spec"]["replicas"] = "1"

    assert wrong(deployment, "1.27") == []
    kubernetes_validate.validate(deployment, "1.27", strict=True)
    for broken, problem in ((unknown, "'terminationGracePeriod' was unexpected"), (mistyped, "'1' is not of type")):
        assert [problem in it for it in wrong(broken, "1.27")] == [True]
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, "1.27", strict=True)


@pytest.mark.parametrize("name", SHAPES)
def test_a_restricted_namespace_takes_every_pod_of_every_shape(name):
    assert [it for at in CLUSTERS for pod in pods(rendered(name, at)) for it in violations(pod)] == []


def test_the_operators_take_every_object_of_theirs():
    at = Cluster(apis=(MONITORING, KEDA))
    theirs = {name: [it for it in rendered(name, at).objects if it["kind"] in KINDS] for name in SHAPES}
    manifests = [it for found in theirs.values() for it in found]

    assert {it["kind"] for it in manifests} == KINDS
    with needed():
        assert refusals(manifests) == [None] * len(manifests)


def test_the_operators_schemas_refuse_what_is_wrong():
    at = Cluster(apis=(MONITORING, KEDA))
    monitor = render(shape("podmonitor"), at).one("PodMonitor")
    monitor["spec"]["podMetricsEndpoints"][0]["interval"] = "soon"
    scaled = render(shape("keda"), at).one("ScaledObject")
    del scaled["spec"]["triggers"][0]["type"]

    with needed():
        first, second = refusals([monitor, scaled])
    assert first is not None
    assert "podMetricsEndpoints/0/interval must match pattern" in first
    assert second is not None
    assert "must have required property type" in second


@pytest.mark.parametrize("name", SHAPES)
def test_the_service_finds_nothing_wrong_with_the_configuration_of_any_shape(name):
    (found,) = [it for it in rendered(name).all("ConfigMap") if "AWS_MAX_ATTEMPTS" not in it["data"]]

    loaded = parse(found["data"])

    assert [str(it) for it in loaded.problems] == []
    assert loaded.configuration is not None
    assert loaded.configuration.event_source_mappings


@pytest.mark.parametrize("name", SHAPES)
def test_helm_lints_every_shape(name):
    assert lint(shape(name)) == []


def test_helm_lints_the_defaults():
    assert lint({}) == []
