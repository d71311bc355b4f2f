"""The API server, with the operators' own definitions, accepts what the chart makes of them, and refuses nonsense."""

from collections.abc import Callable

import pytest

from tests.kube.load import Loads
from tests.kube.release import CHART, Release, values

pytestmark = pytest.mark.usefixtures("operators")


def test_a_pod_monitor_and_a_scaled_object_are_accepted(release: Callable[[], Release], loads: Loads) -> None:
    installed = release()
    mappings = [loads.make("queue").mapping(), loads.make("topic").mapping()]
    installed.install(values(mappings, metrics={"podMonitor": {"enabled": True}}, keda={"enabled": True}))
    words = (f"--selector={installed.selector}",)
    (monitor,) = installed.cluster.objects("podmonitors.monitoring.coreos.com", *words)
    (scaled,) = installed.cluster.objects("scaledobjects.keda.sh", *words)
    chosen = monitor["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in chosen.items())
    (pod,) = installed.cluster.objects("pods", f"--selector={selector}")
    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}

    assert [endpoint["port"] in ports for endpoint in monitor["spec"]["podMetricsEndpoints"]] == [True]
    assert scaled["spec"]["scaleTargetRef"]["name"] == installed.workload.partition("/")[2]
    assert {trigger["type"] for trigger in scaled["spec"]["triggers"]} == {"aws-sqs-queue", "kafka"}


def test_a_service_monitor_is_accepted(release: Callable[[], Release], loads: Loads) -> None:
    installed = release()
    installed.install(values([loads.make("queue").mapping()], metrics={"serviceMonitor": {"enabled": True}}))
    (monitor,) = installed.cluster.objects("servicemonitors.monitoring.coreos.com", f"--selector={installed.selector}")
    services = installed.cluster.objects("services", f"--selector={installed.selector}")

    assert [
        endpoint["port"] in {port["name"] for service in services for port in service["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]
    ] == [True]


def test_the_definitions_are_in_force(release: Callable[[], Release], loads: Loads) -> None:
    installed = release()
    bad = values([loads.make("queue").mapping()], metrics={"podMonitor": {"enabled": True, "interval": "soon"}})
    refused = installed.cluster.helm("install", installed.name, str(CHART), "--values=-", given=bad, check=False)

    assert refused.code != 0
    assert "interval" in refused.stderr
