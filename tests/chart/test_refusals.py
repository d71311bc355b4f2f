"""What the chart refuses, each with the sentence that says why and what to do."""

import pytest

from tests.chart.mappings import config, msk, queue, stream, topic, values
from tests.chart.rendering import Cluster, refusal
from tests.chart.shapes import KEDA, MONITORING

CA = "SERVER_ROOT_CA_CERTIFICATE"
SECRET = "file:///etc/outboard-secrets/kafka-ca/certificate"
ROLE = "arn:aws:iam::123456789012:role/outboard"
OWN_RELEASE = "to share queues and topics, give them a release of their own."
IN_A_FILE = "the positions of clicks are in a file that one process has at a time"
IN_MEMORY = "every pod would read every shard of the streams of clicks"

#: Field by field, by the schema.
BY_SCHEMA = {
    "'/config/EventSourceMappings/0/BatchSize': minimum: got 0, want 1": values(queue(BatchSize=0)),
    "'/config/EventSourceMappings/0/BatchSize': maximum: got 10,001, want 10,000": values(queue(BatchSize=10_001)),
    "'/config/EventSourceMappings/0/BatchSize': got string, want integer": values(queue(BatchSize="ten")),
    "'/config/EventSourceMappings/0': additional properties 'Batchsize' not allowed": values(queue(Batchsize=1)),
    "'/config/EventSourceMappings/0/StartingPosition': value must be one of 'TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP'": (
        values(stream(StartingPosition="NOW"))
    ),
    "'/config/EventSourceMappings/0/ScalingConfig/MaximumConcurrency': minimum: got 1, want 2": values(
        queue(ScalingConfig={"MaximumConcurrency": 1})
    ),
    "'/config/Logging/Level': value must be one of 'debug', 'info', 'warning', 'error'": {
        "config": config(queue(), Logging={"Level": "loud"})
    },
    "'/config': additional properties 'Mappings' not allowed": {"config": {"Mappings": []}},
    "'/config/Server/Port': maximum: got 70,000, want 65,535": {"config": config(queue(), Server={"Port": 70_000})},
    "'/config/Shutdown/DrainTimeoutSeconds': maximum: got 7,201, want 7,200": {
        "config": config(queue(), Shutdown={"DrainTimeoutSeconds": 7201})
    },
    "'': additional properties 'replicaCount' not allowed": values(queue(), replicaCount=1),
    "'': missing property 'config'": {"config": None},
    "'': missing property 'reload'": values(queue(), reload=None),
    "'/metrics/podMonitor': additional properties 'intervall' not allowed": values(
        queue(), metrics={"podMonitor": {"intervall": "30s"}}
    ),
    "'/reload': value must be one of 'hot', 'rollout'": values(queue(), reload="both"),
    "'/stateful': value must be one of 'auto', true, false": values(queue(), stateful="perhaps"),
    "'/replicas': minimum: got -1, want 0": values(queue(), replicas=-1),
    "'/image/digest': 'latest' does not match pattern '^($|sha256:[0-9a-f]{64}$)'": values(
        queue(), image={"digest": "latest"}
    ),
    "'/secrets/0': missing property 'existingSecret'": values(queue(), secrets=[{"name": "kafka-ca"}]),
    "'/secrets/0/name': 'Kafka_CA' does not match pattern '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'": values(
        queue(), secrets=[{"name": "Kafka_CA", "existingSecret": "ca"}]
    ),
    "'/secrets/0': additional properties 'value' not allowed": values(
        queue(), secrets=[{"name": "ca", "existingSecret": "ca", "value": "secret"}]
    ),
    "'': additional properties 'terminationGracePeriodSeconds' not allowed": values(
        queue(), terminationGracePeriodSeconds=30
    ),
    "'/probes/liveness': additional properties 'httpGet' not allowed": values(
        queue(), probes={"liveness": {"httpGet": {"path": "/"}}}
    ),
    "'/webIdentity/roleArn': 'outboard' does not match pattern '^($|arn:aws[a-zA-Z0-9-]*:iam::[0-9]{12}:role/.+)'": (
        values(queue(), webIdentity={"roleArn": "outboard"})
    ),
    "'/persistence/accessModes/0': value must be one of 'ReadWriteOnce', 'ReadWriteOncePod'": values(
        stream(), persistence={"accessModes": ["ReadWriteMany"]}
    ),
}

#: What the fields mean together, by the chart's own checks.
BY_CHECK = {
    "config and existingConfigMap are both set: give the configuration in one of them.": values(
        queue(), existingConfigMap="mine", stateful=False
    ),
    "config.EventSourceMappings is empty: list a mapping there, or name a ConfigMap of your own in existingConfigMap.": {},
    "reload is rollout, but the chart does not see when existingConfigMap changes: set reload to hot.": {
        "existingConfigMap": "mine",
        "stateful": False,
        "reload": "rollout",
    },
    "stateful is auto, but the chart cannot look into existingConfigMap: set stateful to true if it reads streams with "
    "State.Type sqlite, else to false.": {"existingConfigMap": "mine"},
    "existingConfig.port is set without existingConfigMap: set it in config instead.": values(
        queue(), existingConfig={"port": 9090}
    ),
    "config.EventSourceMappings has two mappings named orders: give each a Name of its own.": values(queue(), queue()),
    "config.Server.Port is 0, any free port, where no probe finds it: set a port, or leave it out for 8080.": {
        "config": config(queue(), Server={"Port": 0})
    },
    "config.Server.Host is 127.0.0.1, where the kubelet's probes do not reach it: leave it out.": {
        "config": config(queue(), Server={"Host": "127.0.0.1"})
    },
    "config.State.Path is /data/outboard.db, which is on no volume: leave it out, or name a file in /var/lib/outboard.": {
        "config": config(stream(), State={"Path": "/data/outboard.db"})
    },
    "config.State.Path is ../outboard.db, which is on no volume: leave it out, or name a file in /var/lib/outboard.": {
        "config": config(stream(), State={"Path": "../outboard.db"})
    },
    "secrets has two entries named ca: give each a name of its own.": values(
        queue(), secrets=[{"name": "ca", "existingSecret": it} for it in ("one", "two")]
    ),
    f"mapping views refers to {SECRET}, but secrets has no entry named kafka-ca: add one with the Secret's name as "
    "existingSecret.": values(topic(SourceAccessConfigurations=[{"Type": CA, "URI": SECRET}])),
    "mapping views refers to env:KAFKA_CA, but env has no variable KAFKA_CA: add it with a valueFrom, or use envFrom.": (
        values(topic(SourceAccessConfigurations=[{"Type": CA, "URI": "env:KAFKA_CA"}]))
    ),
    f"replicas is 2, but {IN_A_FILE}: set replicas to 1; {OWN_RELEASE}": values(stream(), replicas=2),
    f"replicas is 3, but {IN_MEMORY}: set replicas to 1; {OWN_RELEASE}": {
        "config": config(stream(), State={"Type": "memory"}),
        "replicas": 3,
    },
    "replicas is 2, but stateful is true, and positions are in a file that one process has at a time: set replicas to "
    f"1; {OWN_RELEASE}": {"existingConfigMap": "mine", "stateful": True, "replicas": 2},
    f"autoscaling.enabled is true, but {IN_A_FILE}: set it to false; {OWN_RELEASE}": values(
        stream(), autoscaling={"enabled": True, "targetConcurrency": 20}
    ),
    f"keda.enabled is true, but {IN_A_FILE}: set it to false; {OWN_RELEASE}": values(
        stream(), queue(), keda={"enabled": True}
    ),
    "stateful is false, but the positions of clicks are in a file, which would go with the pod: set stateful to auto, "
    "or config.State.Type to memory for tests.": values(stream(), stateful=False),
    "podDisruptionBudget.maxUnavailable is 0, which blocks every drain of a node: set it to 1 or more.": values(
        queue(), podDisruptionBudget={"maxUnavailable": 0}
    ),
    "podDisruptionBudget.maxUnavailable is 0%, which blocks every drain of a node: set it to 1 or more.": values(
        queue(), podDisruptionBudget={"maxUnavailable": "0%"}
    ),
    "commonLabels sets app.kubernetes.io/name, which is part of the selector: remove it, or set nameOverride.": values(
        queue(), commonLabels={"app.kubernetes.io/name": "mine"}
    ),
    "podLabels sets app.kubernetes.io/instance, which is part of the selector: remove it, or set nameOverride.": values(
        queue(), podLabels={"app.kubernetes.io/instance": "mine"}
    ),
    "serviceAccount.create is false and serviceAccount.name is empty: name the ServiceAccount to use.": values(
        queue(), serviceAccount={"create": False}
    ),
    "webIdentity.roleArn and the annotation eks.amazonaws.com/role-arn are both set: keep the annotation where EKS's "
    "webhook runs, else webIdentity.roleArn.": values(
        queue(),
        webIdentity={"roleArn": ROLE},
        serviceAccount={"annotations": {"eks.amazonaws.com/role-arn": ROLE}},
    ),
    "autoscaling and keda are both enabled, and each would undo what the other does: enable one of them.": values(
        queue(), autoscaling={"enabled": True, "targetConcurrency": 20}, keda={"enabled": True}
    ),
    "autoscaling.enabled is true without anything to scale on: set autoscaling.targetConcurrency, "
    "targetCPUUtilizationPercentage or metrics.": values(queue(), autoscaling={"enabled": True}),
    "autoscaling.minReplicas is 6, above maxReplicas, 5: lower it.": values(
        queue(), autoscaling={"enabled": True, "targetConcurrency": 20, "minReplicas": 6}
    ),
    "keda.minReplicaCount is 11, above maxReplicaCount, 10: lower it.": values(
        queue(), keda={"enabled": True, "minReplicaCount": 11}
    ),
    "keda.kafka needs the consumer group of mapping views: set its ConsumerGroupId, or keda.kafka.enabled to false and "
    "keda.prometheus.serverAddress.": values(topic(), keda={"enabled": True}),
    "keda.kafka needs the brokers of mapping views: set its SourceEndpointUrl, or keda.kafka.enabled to false and "
    "keda.prometheus.serverAddress.": values(
        msk(AmazonManagedKafkaEventSourceConfig={"ConsumerGroupId": "readers"}), keda={"enabled": True}
    ),
    "keda.minReplicaCount is 0, but without a pod nothing shows the work of orders: set it to 1, or enable the trigger "
    "of the source.": values(
        queue(),
        keda={"enabled": True, "minReplicaCount": 0, "sqs": {"enabled": False}, "prometheus": {"serverAddress": "x"}},
    ),
    "keda.enabled is true without a trigger: enable keda.sqs or keda.kafka for a mapping of that kind, or list "
    "keda.triggers.": {"existingConfigMap": "mine", "stateful": False, "keda": {"enabled": True}},
    "metrics.podMonitor and metrics.serviceMonitor are both enabled, and each pod would be scraped twice: enable one of "
    "them.": values(queue(), metrics={"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}),
    "metrics.serviceMonitor.enabled is true, but service.enabled is false: enable the Service, or metrics.podMonitor "
    "instead.": values(queue(), metrics={"serviceMonitor": {"enabled": True}}, service={"enabled": False}),
}

#: What only this cluster lacks.
BY_CLUSTER = {
    "keda.enabled is true, but the cluster does not know keda.sh/v1alpha1: install KEDA, or set keda.renderMode to "
    "skipIfMissing or alwaysRender.": values(queue(), keda={"enabled": True}),
    "metrics.podMonitor.enabled is true, but the cluster does not know monitoring.coreos.com/v1: install the Prometheus "
    "operator, or set metrics.podMonitor.renderMode to skipIfMissing or alwaysRender.": values(
        queue(), metrics={"podMonitor": {"enabled": True}}
    ),
    "metrics.serviceMonitor.enabled is true, but the cluster does not know monitoring.coreos.com/v1: install the "
    "Prometheus operator, or set metrics.serviceMonitor.renderMode to skipIfMissing or alwaysRender.": values(
        queue(), metrics={"serviceMonitor": {"enabled": True}}
    ),
}
WITH_ALL = Cluster(apis=(MONITORING, KEDA))


@pytest.mark.parametrize("sentence", BY_SCHEMA)
def test_the_schema_refuses_a_bad_value_by_its_field(sentence):
    assert refusal(BY_SCHEMA[sentence], WITH_ALL) == [sentence]


@pytest.mark.parametrize("sentence", BY_CHECK)
def test_the_chart_refuses_what_cannot_work_and_says_what_would(sentence):
    assert refusal(BY_CHECK[sentence], WITH_ALL) == [sentence]


@pytest.mark.parametrize("sentence", BY_CLUSTER)
def test_what_the_cluster_lacks_is_named(sentence):
    assert refusal(BY_CLUSTER[sentence]) == [sentence]
    assert refusal(BY_CLUSTER[sentence], WITH_ALL) == []


def test_a_mapping_needs_a_name():
    assert refusal(values({"FunctionName": "work"})) == [
        "'/config/EventSourceMappings/0': 'anyOf' failed",
        "'/config/EventSourceMappings/0': missing property 'Name'",
        "'/config/EventSourceMappings/0': missing property 'UUID'",
    ]


def test_all_that_is_wrong_is_said_at_once():
    broken = values(queue(), stream(), replicas=2, podDisruptionBudget={"maxUnavailable": 0})

    assert refusal(broken) == [
        f"replicas is 2, but {IN_A_FILE}: set replicas to 1; {OWN_RELEASE}",
        "podDisruptionBudget.maxUnavailable is 0, which blocks every drain of a node: set it to 1 or more.",
    ]
