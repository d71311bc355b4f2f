"""Who reaches a pod, what a pod reaches, and who scrapes it: whole values."""

import pytest

from tests.chart.mappings import config, msk, queue, topic, values
from tests.chart.rendering import Cluster, render
from tests.chart.shapes import MONITORING, shape

SELECTOR = {"app.kubernetes.io/name": "outboard", "app.kubernetes.io/instance": "shop"}
OPERATOR = Cluster(apis=(MONITORING,))


def ports(given, **egress):
    """The TCP ports that may be reached anywhere."""
    policy = {"enabled": True, "egress": egress}
    spec = render({**given, "networkPolicy": policy}).one("NetworkPolicy")["spec"]
    return [it["port"] for it in spec["egress"][1]["ports"]]


def test_a_network_policy_lets_in_scrapes_and_out_what_outboard_needs():
    assert render(shape("networkpolicy")).one("NetworkPolicy")["spec"] == {
        "podSelector": {"matchLabels": SELECTOR},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "ports": [{"port": 8080, "protocol": "TCP"}],
                "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            }
        ],
        "egress": [
            {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
            {
                "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}],
                "ports": [{"port": it, "protocol": "TCP"} for it in (443, 8443, 9000, 9094)],
            },
            {
                "to": [
                    {"ipBlock": {"cidr": it}}
                    for it in ("169.254.170.23/32", "fd00:ec2::23/128", "169.254.169.254/32", "fd00:ec2::254/128")
                ],
                "ports": [{"port": 80, "protocol": "TCP"}],
            },
            {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 5671, "protocol": "TCP"}]},
        ],
    }


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        (queue(), [443]),
        (queue(SourceEndpointUrl="http://localstack:4566"), [443, 4566]),
        (queue(SourceEndpointUrl="http://localstack:4566/path/8"), [443, 4566]),
        (queue(FunctionEndpointUrl="http://functions"), [443, 80]),
        (queue(FunctionEndpointUrl="https://functions"), [443]),
        (topic(), [443, 9092, 9093]),
        (msk(), [443, 9092, 9094]),
        (msk(SourceEndpointUrl="b-1:9096,b-2:9098"), [443, 9096, 9098]),
        (topic(Enabled=False), [443]),
    ],
)
def test_the_ports_of_brokers_and_endpoints_are_open(mapping, expected):
    assert sorted(ports(values(mapping))) == sorted(expected)


def test_endpoints_from_the_defaults_are_open_too():
    given = {"config": config(queue(), Defaults={"SourceEndpointUrl": "http://localstack:4566"})}

    assert ports(given) == [443, 4566]


def test_of_a_configuration_that_the_chart_cannot_see_one_says_the_ports():
    assert ports({"existingConfigMap": "mine", "stateful": False}, ports=[9092]) == [443, 9092]


def test_addresses_for_credentials_and_all_egress_can_be_left_alone():
    def spec(**egress):
        return render(values(queue(), networkPolicy={"enabled": True, "egress": egress})).one("NetworkPolicy")["spec"]

    assert len(spec(podIdentity=False, instanceMetadata=False)["egress"]) == 2
    assert spec(enabled=False)["policyTypes"] == ["Ingress"]
    assert "egress" not in spec(enabled=False)


def test_a_pod_monitor_scrapes_pods():
    assert render(shape("podmonitor"), OPERATOR).one("PodMonitor")["spec"] == {
        "selector": {"matchLabels": SELECTOR},
        "podMetricsEndpoints": [
            {
                "port": "http",
                "path": "/metrics",
                "interval": "15s",
                "scrapeTimeout": "10s",
                "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"}],
            }
        ],
    }


def test_a_service_monitor_scrapes_through_one_service():
    values = {**shape("servicemonitor"), "stateful": True}
    rendered = render(values, OPERATOR)
    monitor = rendered.one("ServiceMonitor")

    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"] == {
        "selector": {"matchLabels": SELECTOR | {"app.kubernetes.io/component": "metrics"}},
        "endpoints": [
            {
                "port": "http",
                "path": "/metrics",
                "interval": "15s",
                "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}],
            }
        ],
    }
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    found = [it["metadata"]["name"] for it in rendered.all("Service") if wanted <= it["metadata"]["labels"].items()]
    assert found == ["shop-outboard"]


@pytest.mark.parametrize(("name", "kind"), [("podMonitor", "PodMonitor"), ("serviceMonitor", "ServiceMonitor")])
def test_a_monitor_can_be_left_out_where_nobody_knows_it_or_made_all_the_same(name, kind):
    def found(mode, *apis):
        monitor = {name: {"enabled": True, "renderMode": mode}}
        return len(render(values(queue(), metrics=monitor), Cluster(apis=apis)).all(kind))

    assert found("skipIfMissing") == 0
    assert found("skipIfMissing", MONITORING) == 1
    assert found("alwaysRender") == 1


def test_the_service_is_where_it_was_asked_for():
    service = render(shape("everything")).one("Service")

    assert service["metadata"]["annotations"] == {"example.com/internal": "true"}
    assert service["metadata"]["labels"]["example.com/kind"] == "port"
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    assert render(values(queue(), service={"enabled": False})).all("Service") == []


def test_one_pod_may_be_away_and_one_that_is_not_ready_never_blocks_a_drain():
    assert render(shape("replicas")).one("PodDisruptionBudget")["spec"] == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": SELECTOR},
    }
    assert render(values(queue(), podDisruptionBudget={"enabled": False})).all("PodDisruptionBudget") == []
