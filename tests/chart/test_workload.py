"""Which kind of workload there is, how many pods it may have, and what they look like."""

import pytest

from outboard.config.arns import Arn, SourceType, source_type_of
from outboard.config.support import STATEFUL
from tests.chart.mappings import config, msk, queue, stream, topic, values
from tests.chart.rendering import Cluster, refusal, render
from tests.chart.shapes import KEDA, shape

STATE = {"name": "state", "mountPath": "/var/lib/outboard"}
DYNAMODB = "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/clicks/stream/2025-01-31T00:00:00.000"
DOCUMENTDB = "arn:aws:rds:eu-west-1:123456789012:cluster:shop"
BROKER = "arn:aws:mq:eu-west-1:123456789012:broker:shop:b-1"
ARNS = {
    SourceType.SQS: queue()["EventSourceArn"],
    SourceType.KINESIS: stream()["EventSourceArn"],
    SourceType.DYNAMODB: DYNAMODB,
    SourceType.KAFKA: msk()["EventSourceArn"],
    SourceType.RABBITMQ: BROKER,
    SourceType.ACTIVEMQ: BROKER,
    SourceType.DOCUMENTDB: DOCUMENTDB,
}


def kind(given, **more):
    return render({"config": given, **more}).workload["kind"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (config(queue()), "Deployment"),
        (config(topic()), "Deployment"),
        (config(msk()), "Deployment"),
        (config(stream()), "StatefulSet"),
        (config(queue(), topic(), stream()), "StatefulSet"),
        (config(stream(EventSourceArn=DYNAMODB)), "StatefulSet"),
        (config(stream(EventSourceArn=DOCUMENTDB)), "StatefulSet"),
        (config(stream(), State={"Type": "sqlite"}), "StatefulSet"),
        (config(stream(), State={}), "StatefulSet"),
        (config(stream(), State={"Type": "memory"}), "Deployment"),
        (config(stream(Enabled=False)), "Deployment"),
        (config(stream(State="Disabled")), "Deployment"),
        (config(stream(State="Disabled", Enabled=True)), "StatefulSet"),
        (config(stream(State="Enabled")), "StatefulSet"),
        (config(stream(), Defaults={"Enabled": False}), "Deployment"),
        (config(stream(Enabled=True), Defaults={"Enabled": False}), "StatefulSet"),
        (config(stream(Enabled=False), Defaults={"Enabled": True}), "Deployment"),
        (config({"Name": "a", "FunctionName": "f"}, Defaults={"EventSourceArn": DYNAMODB}), "StatefulSet"),
        (config(topic(), Defaults={"EventSourceArn": DYNAMODB}), "Deployment"),
        (config(queue(), Defaults={"EventSourceArn": DYNAMODB}), "Deployment"),
    ],
)
def test_positions_in_a_file_need_a_stateful_set(given, expected):
    assert kind(given) == expected


@pytest.mark.parametrize("source", SourceType)
def test_the_chart_and_the_service_agree_on_which_sources_need_state(source):
    """RabbitMQ's brokers have the ARNs of ActiveMQ's."""
    arn = ARNS[source]
    assert source_type_of(Arn.parse(arn), endpoint="amqps://broker" if source == "rabbitmq" else None) == source

    assert kind(config(stream(EventSourceArn=arn))) == ("StatefulSet" if source in STATEFUL else "Deployment")


@pytest.mark.parametrize(("said", "expected"), [(True, "StatefulSet"), (False, "Deployment")])
def test_of_a_configuration_that_the_chart_cannot_see_one_says_whether_it_has_state(said, expected):
    assert render({"existingConfigMap": "mine", "stateful": said}).workload["kind"] == expected
    assert kind(config(queue()), stateful=said) == expected


def test_a_deployment_has_one_pod_more_while_it_changes_and_never_fewer():
    spec = render(values(queue(), replicas=3)).workload["spec"]

    assert spec["replicas"] == 3
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_two_pods_never_read_the_same_streams_from_memory():
    spec = render({"config": config(stream(), State={"Type": "memory"})}).workload["spec"]

    assert spec["strategy"] == {"type": "Recreate"}


def test_a_stateful_set_keeps_its_volume():
    rendered = render(shape("kinesis"))
    spec = rendered.workload["spec"]

    assert spec["replicas"] == 1
    assert spec["serviceName"] == "shop-outboard-headless"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["metadata"] == {"name": "state", "labels": spec["selector"]["matchLabels"]}
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    assert STATE in rendered.container["volumeMounts"]
    headless = next(it for it in rendered.all("Service") if it["metadata"]["name"] == "shop-outboard-headless")
    assert headless["spec"]["clusterIP"] == "None"


def test_what_a_stateful_set_may_not_change_does_not_change_with_versions_and_labels():
    """An upgrade that changed any of it would be refused by the cluster."""
    before = render(values(stream())).workload["spec"]
    more = {"commonLabels": {"team": "shop"}, "podLabels": {"tier": "back"}, "image": {"tag": "9.9.9"}}
    after = render(values(stream(), **more)).workload["spec"]

    for field in ("selector", "serviceName", "volumeClaimTemplates"):
        assert before[field] == after[field]
    assert after["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "outboard",
        "app.kubernetes.io/instance": "shop",
    }


@pytest.mark.parametrize(("said", "expected"), [(None, None), ("", ""), ("fast", "fast")])
def test_no_storage_class_is_not_the_default_one(said, expected):
    (claim,) = render(values(stream(), persistence={"storageClassName": said})).workload["spec"]["volumeClaimTemplates"]

    assert claim["spec"].get("storageClassName") == expected


def test_a_claim_of_ones_own_is_mounted_instead():
    rendered = render(values(stream(), persistence={"existingClaim": "positions"}))

    assert "volumeClaimTemplates" not in rendered.workload["spec"]
    assert {"name": "state", "persistentVolumeClaim": {"claimName": "positions"}} in rendered.pod["volumes"]
    assert STATE in rendered.container["volumeMounts"]


def test_positions_may_be_on_another_volume_of_ones_own():
    given = {"config": config(stream(), State={"Path": "/data/shop/outboard..db"})}
    mounted = {"extraVolumeMounts": [{"name": "mine", "mountPath": "/data/{{ .Release.Name }}"}]}

    assert refusal(given) != []
    assert refusal(given | mounted) == []


def test_no_pods_may_be_asked_for():
    assert render(values(stream(), replicas=0)).workload["spec"]["replicas"] == 0


def test_the_selector_of_everything_is_the_pods_labels():
    rendered = render(shape("everything"), Cluster(apis=(KEDA,)))
    labels = rendered.workload["spec"]["template"]["metadata"]["labels"]
    selectors = [
        rendered.workload["spec"]["selector"]["matchLabels"],
        rendered.one("Service")["spec"]["selector"],
        rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(it["labelSelector"]["matchLabels"] for it in rendered.pod["topologySpreadConstraints"]),
    ]

    assert [it for it in selectors if not it.items() <= labels.items()] == []
    (test,) = rendered.all("Pod")
    assert [it for it in selectors if it.items() <= test["metadata"]["labels"].items()] == []


def test_a_new_chart_alone_does_not_replace_pods():
    labels = render(shape("sqs")).workload["spec"]["template"]["metadata"]["labels"]

    assert "helm.sh/chart" not in labels
    assert labels["app.kubernetes.io/version"] == "0.1.0"


def test_probes_ask_outboard_alone():
    container = render(shape("sqs")).container

    assert container["startupProbe"] == {
        "httpGet": {"path": "/livez", "port": "http"},
        "periodSeconds": 2,
        "timeoutSeconds": 2,
        "failureThreshold": 30,
    }
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_memory_is_bounded_by_what_is_asked_for_and_cpu_is_not():
    assert render(shape("sqs")).container["resources"] == {
        "requests": {"cpu": "100m", "memory": "512Mi"},
        "limits": {"memory": "512Mi"},
    }


@pytest.mark.parametrize(
    ("more", "image"),
    [
        ({}, "outboard:0.1.0"),
        ({"image": {"tag": "1.2.3"}}, "outboard:1.2.3"),
        ({"image": {"registry": "images.example.com/"}}, "images.example.com/outboard:0.1.0"),
        ({"image": {"digest": "sha256:" + "a" * 64, "tag": "1"}}, "outboard@sha256:" + "a" * 64),
        ({"image": {"registry": "one"}, "global": {"imageRegistry": "other"}}, "other/outboard:0.1.0"),
    ],
)
def test_the_image_is_found_by_registry_tag_and_digest(more, image):
    rendered = render(values(queue(), **more))

    assert rendered.container["image"] == image
    assert rendered.one("Pod")["spec"]["containers"][0]["image"] == image


def test_a_chart_that_holds_this_one_may_have_globals_of_its_own():
    assert refusal(values(queue(), **{"global": {"storageClass": "fast"}})) == []


@pytest.mark.parametrize(
    ("release", "more", "name"),
    [
        ("shop", {}, "shop-outboard"),
        ("outboard", {}, "outboard"),
        ("my-outboard-2", {}, "my-outboard-2"),
        ("shop", {"nameOverride": "pollers"}, "shop-pollers"),
        ("shop", {"fullnameOverride": "pollers"}, "pollers"),
        ("r" * 53, {}, "r" * 52),
    ],
)
def test_names_follow_the_release_and_leave_room_for_hashes(release, more, name):
    assert render(values(queue(), **more), Cluster(release=release)).workload["metadata"]["name"] == name


def test_extras_reach_the_pod():
    rendered = render({**shape("extras"), "runtimeClassName": "gvisor", "schedulerName": "mine", "dnsPolicy": "None"})
    pod = rendered.pod

    assert pod["priorityClassName"] == "shop-pollers"
    assert (pod["runtimeClassName"], pod["schedulerName"], pod["dnsPolicy"]) == ("gvisor", "mine", "None")
    assert pod["enableServiceLinks"] is False
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["tolerations"][0]["key"] == "example.com/pollers"
    assert pod["hostAliases"] == [{"ip": "10.1.2.3", "hostnames": ["kafka.example.com"]}]
    assert pod["dnsConfig"] == {"options": [{"name": "ndots", "value": "1"}]}
    assert "nodeAffinity" in pod["affinity"]
    assert [it["name"] for it in pod["initContainers"]] == ["check"]
    assert [it["name"] for it in pod["containers"]] == ["outboard", "beside"]
    assert pod["initContainers"][0]["image"] == "outboard:0.1.0"
    assert {"name": "more", "mountPath": "/var/shop"} in rendered.container["volumeMounts"]
    assert {it["metadata"]["name"] for it in rendered.all("ConfigMap")} == {"shop-outboard", "shop-variables"}
    assert all(
        it["metadata"]["labels"]["example.com/team"] == "shop" for it in [rendered.workload, rendered.one("Pod")]
    )
    labels = rendered.workload["spec"]["template"]["metadata"]["labels"]
    assert (labels["example.com/tier"], labels["example.com/team"]) == ("backend", "shop")


def test_a_constraint_of_ones_own_keeps_its_selector():
    own = {"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}

    assert render(values(queue(), topologySpreadConstraints=[own])).pod["topologySpreadConstraints"] == [own]


def test_helm_test_has_the_service_check_its_configuration():
    pod = render(shape("kafka")).one("Pod")

    assert pod["metadata"]["annotations"] == {
        "helm.sh/hook": "test",
        "helm.sh/hook-delete-policy": "before-hook-creation",
    }
    (container,) = pod["spec"]["containers"]
    assert container["args"] == ["check", "/etc/outboard"]
    assert {it["mountPath"] for it in container["volumeMounts"]} == {
        "/etc/outboard",
        "/etc/outboard-secrets/kafka-ca",
        "/tmp",
    }
    assert render({**shape("sqs"), "tests": {"enabled": False}}).all("Pod") == []
