"""Gives the pods disks: the cluster's default storage class, or, where it has none, folders of one node."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.kube.cluster import Cluster

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_COUNT = 12
_NODES_FOLDER = "/var/tmp/outboard-e2e"


@contextmanager
def disks(cluster: Cluster, image: str) -> Iterator[Mapping[str, object]]:
    """Yields the chart's `persistence` values. `image` has a shell; what is made is removed."""
    classes = cluster.objects("storageclasses")
    if any(each["metadata"].get("annotations", {}).get(_DEFAULT) == "true" for each in classes):
        yield {}
        return
    made = f"{cluster.namespace}-disks"
    cluster.kubectl("create", "namespace", made)
    try:
        node = _in_folder(cluster, made, "make", image, f"mkdir {made} && cd {made} && mkdir -m 0777 $(seq {_COUNT})")
        items = [_class(made), *(_volume(made, number, node) for number in range(1, _COUNT + 1))]
        cluster.kubectl("apply", "--filename=-", given={"apiVersion": "v1", "kind": "List", "items": items})
        yield {"storageClassName": made}
        _in_folder(cluster, made, "clear", image, f"rm -rf ./{made}")
    finally:
        chosen = f"--selector=outboard-e2e={made}"
        cluster.kubectl("delete", "storageclasses,persistentvolumes", chosen, "--wait=false", check=False)
        cluster.kubectl("delete", "namespace", made, "--wait=false", check=False)


def _in_folder(cluster: Cluster, namespace: str, name: str, image: str, script: str) -> str:
    """Run a shell script in the disks' folder on some node; returns which. This pod needs a namespace of its own."""
    words = ("--namespace", namespace)
    cluster.kubectl("apply", *words, "--filename=-", given=_pod(namespace, name, image, script))
    cluster.kubectl("wait", *words, "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s")
    return cluster.kubectl("get", *words, f"pod/{name}", "--output=jsonpath={.spec.nodeName}").stdout


def _pod(namespace: str, name: str, image: str, script: str) -> dict[str, object]:
    container = {
        "name": name,
        "image": image,
        "command": ["sh", "-ec", f"cd /disks && {script}"],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "disks", "mountPath": "/disks"}],
    }
    folder = {"path": _NODES_FOLDER, "type": "DirectoryOrCreate"}
    spec = {"containers": [container], "restartPolicy": "Never", "volumes": [{"name": "disks", "hostPath": folder}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def _class(name: str) -> dict[str, object]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "labels": {"outboard-e2e": name}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _volume(name: str, number: int, node: str) -> dict[str, object]:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{name}-{number}", "labels": {"outboard-e2e": name}},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOncePod" if number % 4 == 0 else "ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": name,
            "local": {"path": f"{_NODES_FOLDER}/{name}/{number}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
