"""What adds pods and takes them away: whole values, since the operators' schemas do not know which fields there are."""

import json
import re

import pytest

from outboard.observe.catalogue import METRICS
from tests.chart.mappings import config, msk, queue, stream, topic, values
from tests.chart.rendering import Cluster, refusal, render
from tests.chart.shapes import KEDA, shape

WITH_KEDA = Cluster(apis=(KEDA,))
GROUP = {"ConsumerGroupId": "readers"}
PROMETHEUS = {"serverAddress": "http://prometheus:9090"}


def scaled(*mappings, **more):
    return render(values(*mappings, keda={"enabled": True, **more}), WITH_KEDA).one("ScaledObject")["spec"]


def test_a_horizontal_pod_autoscaler_scales_on_invokes_under_way_and_on_cpu():
    rendered = render(shape("hpa"))

    assert "replicas" not in rendered.workload["spec"]
    assert rendered.one("HorizontalPodAutoscaler")["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-outboard"},
        "minReplicas": 2,
        "maxReplicas": 6,
        "metrics": [
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "outboard_concurrency_in_use"},
                    "target": {"type": "AverageValue", "averageValue": "40"},
                },
            },
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 800}},
            },
        ],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}},
    }


def test_an_autoscaler_may_have_metrics_of_ones_own_alone():
    own = {"type": "External", "external": {"metric": {"name": "lag"}, "target": {"type": "Value", "value": "1"}}}
    rendered = render(values(queue(), autoscaling={"enabled": True, "metrics": [own]}))

    assert rendered.one("HorizontalPodAutoscaler")["spec"]["metrics"] == [own]


def test_keda_asks_each_source_itself():
    rendered = render(shape("keda"), WITH_KEDA)

    assert "replicas" not in rendered.workload["spec"]
    assert rendered.one("ScaledObject")["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-outboard"},
        "minReplicaCount": 0,
        "maxReplicaCount": 20,
        "pollingInterval": 30,
        "cooldownPeriod": 300,
        "fallback": {"failureThreshold": 3, "replicas": 3},
        "triggers": [
            {
                "type": "aws-sqs-queue",
                "metadata": {
                    "queueURL": "https://sqs.eu-west-1.amazonaws.com/123456789012/orders",
                    "queueLength": "500",
                    "awsRegion": "eu-west-1",
                    "scaleOnInFlight": "true",
                },
                "authenticationRef": {"name": "outboard-aws"},
            },
            {
                "type": "kafka",
                "metadata": {
                    "bootstrapServers": "kafka-1.example.com:9092",
                    "consumerGroup": "count-clicks",
                    "topic": "clicks",
                    "lagThreshold": "10000",
                    "offsetResetPolicy": "latest",
                    "tls": "disable",
                },
            },
        ],
    }


def test_keda_asks_prometheus_for_outboards_own_lag():
    spec = render(shape("keda-prometheus"), WITH_KEDA).one("ScaledObject")["spec"]

    assert spec["triggers"] == [
        {
            "type": "prometheus",
            "metricType": "Value",
            "metadata": {
                "serverAddress": "http://prometheus.monitoring.svc:9090",
                "query": 'max(outboard_oldest_unsettled_age_seconds{namespace="pollers",pod=~"shop-outboard-.+",'
                'mapping="orders"})',
                "threshold": "60",
            },
            "authenticationRef": {"name": "prometheus", "kind": "ClusterTriggerAuthentication"},
        },
        {
            "type": "prometheus",
            "metricType": "AverageValue",
            "metadata": {
                "serverAddress": "http://prometheus.monitoring.svc:9090",
                "query": 'sum(outboard_offset_lag{namespace="pollers",pod=~"shop-outboard-.+",mapping="clicks"})',
                "threshold": "10000",
            },
            "authenticationRef": {"name": "prometheus", "kind": "ClusterTriggerAuthentication"},
        },
        {
            "type": "cron",
            "metadata": {
                "timezone": "Europe/Berlin",
                "start": "0 8 * * *",
                "end": "0 18 * * *",
                "desiredReplicas": "2",
            },
        },
    ]


def test_every_metric_that_the_chart_asks_for_is_one_that_outboard_has():
    made = [
        render(shape("hpa")).one("HorizontalPodAutoscaler")["spec"],
        render(shape("keda-prometheus"), WITH_KEDA).one("ScaledObject")["spec"],
    ]
    asked = set(re.findall(r"outboard_([a-z_]+)", json.dumps(made)))

    assert asked == {"oldest_unsettled_age_seconds", "offset_lag", "concurrency_in_use"}
    assert asked <= {it.name for it in METRICS}


def test_a_mapping_that_is_disabled_has_no_trigger():
    triggers = scaled(queue(), queue("returns", Enabled=False))["triggers"]

    assert [it["metadata"]["queueURL"].rpartition("/")[2] for it in triggers] == ["orders"]


@pytest.mark.parametrize(
    ("mapping", "url", "endpoint"),
    [
        (queue("a.fifo"), "https://sqs.eu-west-1.amazonaws.com/123456789012/a.fifo", None),
        (
            queue(EventSourceArn="arn:aws-cn:sqs:cn-north-1:123456789012:a"),
            "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/a",
            None,
        ),
        (
            queue("a", SourceEndpointUrl="http://localstack:4566/"),
            "http://localstack:4566/123456789012/a",
            "http://localstack:4566/",
        ),
    ],
)
def test_a_queues_address_follows_from_its_arn_and_endpoint(mapping, url, endpoint):
    (trigger,) = scaled(mapping)["triggers"]

    assert (trigger["metadata"]["queueURL"], trigger["metadata"].get("awsEndpoint")) == (url, endpoint)


@pytest.mark.parametrize(
    ("mapping", "brokers", "tls", "policy"),
    [
        (topic(UUID="uuid"), "kafka-1:9092,kafka-2:9093", "disable", "earliest"),
        (topic(UUID="uuid", Tls=True), "kafka-1:9092,kafka-2:9093", "enable", "earliest"),
        (
            topic(UUID="uuid", SourceAccessConfigurations=[{"Type": "VPC_SUBNET", "URI": "subnet:1"}]),
            "kafka-1:9092,kafka-2:9093",
            "disable",
            "earliest",
        ),
        (
            topic(
                UUID="uuid", SourceAccessConfigurations=[{"Type": "SERVER_ROOT_CA_CERTIFICATE", "URI": "file:///ca"}]
            ),
            "kafka-1:9092,kafka-2:9093",
            "enable",
            "earliest",
        ),
        (msk(UUID="uuid", SourceEndpointUrl="b-1:9094,b-2:9094"), "b-1:9094,b-2:9094", "enable", "latest"),
        (msk(UUID="uuid", SourceEndpointUrl="b-1:9092", Tls=False), "b-1:9092", "disable", "latest"),
    ],
)
def test_brokers_group_and_tls_follow_from_the_mapping(mapping, brokers, tls, policy):
    (trigger,) = scaled(mapping)["triggers"]

    assert trigger["metadata"] == {
        "bootstrapServers": brokers,
        "consumerGroup": "uuid",
        "topic": "views",
        "lagThreshold": "10000",
        "offsetResetPolicy": policy,
        "tls": tls,
    }


def test_false_in_a_mapping_wins_over_true_in_the_defaults():
    given = config(topic(UUID="uuid", Tls=False), Defaults={"Tls": True})

    (trigger,) = render({"config": given, "keda": {"enabled": True}}, WITH_KEDA).one("ScaledObject")["spec"]["triggers"]

    assert trigger["metadata"]["tls"] == "disable"


def test_no_pod_at_all_is_allowed_where_something_else_sees_the_work():
    given = queue(), topic(SelfManagedKafkaEventSourceConfig=GROUP)

    assert refusal(values(*given, keda={"enabled": True, "minReplicaCount": 0}), WITH_KEDA) == []
    blind = {"enabled": True, "minReplicaCount": 0, "sqs": {"enabled": False}}
    assert refusal(values(*given, keda=blind), WITH_KEDA) != []
    assert refusal(values(*given, keda={**blind, "triggers": [{"type": "cron", "metadata": {}}]}), WITH_KEDA) == []


@pytest.mark.parametrize(
    ("mode", "apis", "there"),
    [
        ("skipIfMissing", (), False),
        ("skipIfMissing", (KEDA,), True),
        ("failIfMissing", (KEDA,), True),
        ("alwaysRender", (), True),
    ],
)
def test_a_scaled_object_and_a_number_of_pods_exclude_each_other(mode, apis, there):
    rendered = render(values(queue(), replicas=4, keda={"enabled": True, "renderMode": mode}), Cluster(apis=apis))

    assert (len(rendered.all("ScaledObject")), rendered.workload["spec"].get("replicas")) == (
        (1, None) if there else (0, 4)
    )


def test_a_disabled_stream_does_not_keep_queues_from_scaling():
    assert refusal(values(queue(), stream(Enabled=False), keda={"enabled": True}), WITH_KEDA) == []
