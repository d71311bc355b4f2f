"""One release of the chart: installed, upgraded and looked at as an operator does."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.kube.cluster import Cluster, Done, until
from tests.kube.load import NAME as PARTS
from tests.kube.parts.ports import IDENTITY
from tests.servers.elasticmq import REGION
from tests.servers.tools import REPOSITORY

CHART = REPOSITORY / "helm"
_PORT = 8080

#: No account stands behind these, and nothing outside the cluster is asked.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "example-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL_STS": f"http://{PARTS}:{IDENTITY}",
}


def values(mappings: Sequence[Mapping[str, object]], *, drain: int = 30, **more: object) -> dict[str, object]:
    """Values of the chart: these mappings, and `more` on top. Probes are quicker than an operator's, to save time."""
    return {
        "config": {
            "Aws": {"Region": REGION},
            "Shutdown": {"DrainTimeoutSeconds": drain},
            "EventSourceMappings": list(mappings),
        },
        "env": [{"name": name, "value": value} for name, value in CREDENTIALS.items()],
        "probes": {"startup": {"periodSeconds": 1, "failureThreshold": 60}, "readiness": {"periodSeconds": 1}},
        **more,
    }


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod as it is now. `restarts` are those of its container."""

    name: str
    uid: str
    node: str
    ready: bool
    restarts: int
    image: str
    leaving: bool


class Release:
    """One release. What `helm` and `kubectl` refuse is a CommandFailed."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.selector = f"app.kubernetes.io/instance={name}"
        self.workload = ""  #: `deployment/NAME` or `statefulset/NAME`, once it is installed

    def install(self, given: Mapping[str, object], *options: str, seconds: int = 90) -> Done:
        """Install it and wait until its pods are ready."""
        words = ("install", self.name, str(CHART), "--wait", f"--timeout={seconds}s", "--values=-", *options)
        done = self.cluster.helm(*words, given=given, seconds=seconds + 30)
        found = self.cluster.kubectl("get", "deployment,statefulset", f"--selector={self.selector}", "--output=name")
        self.workload = found.stdout.split()[0]
        return done

    def upgrade(self, given: Mapping[str, object], *options: str, check: bool = True, seconds: int = 120) -> Done:
        """Upgrade it to these values and wait until its pods are ready."""
        words = ("upgrade", self.name, str(CHART), "--wait", f"--timeout={seconds}s", "--values=-", *options)
        return self.cluster.helm(*words, given=given, check=check, seconds=seconds + 30)

    def rollback(self, revision: int) -> None:
        self.cluster.helm("rollback", self.name, str(revision), "--wait", "--timeout=90s")

    def patch(self, change: Mapping[str, object]) -> None:
        """Change its Deployment or StatefulSet past Helm, and wait for the new pods."""
        self.cluster.kubectl("patch", self.workload, "--type=strategic", f"--patch={json.dumps(change)}")
        self.until_available()

    def uninstall(self) -> None:
        self.cluster.helm("uninstall", self.name, "--ignore-not-found", check=False)

    # Its pods

    def pods(self) -> list[Pod]:
        """Its pods, the oldest first."""
        listed = self.cluster.objects("pods", f"--selector={self.selector}", "--sort-by=.metadata.creationTimestamp")
        return [_pod(each) for each in listed if "helm.sh/hook" not in each["metadata"].get("annotations", {})]

    def the_pod(self) -> Pod:
        """Its only pod."""
        (pod,) = self.pods()
        return pod

    def until_available(self, *, seconds: float = 90) -> None:
        """Wait until it has all the ready pods that it is to have, and no others."""
        self.cluster.kubectl("rollout", "status", self.workload, f"--timeout={seconds:g}s", seconds=seconds + 10)
        until(lambda: not any(pod.leaving for pod in self.pods()), f"{self.name} has no old pods", seconds=seconds)

    # What a pod says

    def page(self, pod: Pod, path: str) -> str:
        """A page of the status port, through the API server."""
        answer = self.cluster.ask(f"{self.cluster.path('pods', f'{pod.name}:{_PORT}')}/proxy{path}")
        assert answer.status == 200, f"{pod.name} answered {answer.status} to {path}: {answer.text}"
        return answer.text

    def status(self, pod: Pod) -> dict[str, Any]:
        """What `/mappings` shows."""
        shown: dict[str, Any] = json.loads(self.page(pod, "/mappings"))
        return shown

    def metric(self, pod: Pod, name: str, **labels: str) -> float:
        """The sum of all series of `name` that carry `labels`. Raises KeyError where there is none."""
        families = text_string_to_metric_families(self.page(pod, "/metrics"))
        samples = [sample for family in families for sample in family.samples]
        found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
        if not found:
            raise KeyError(f"{name} {labels}")
        return float(sum(found))

    def logged(self, pod: Pod, event: str, *, previous: bool = False) -> list[dict[str, Any]]:
        """The lines of one event in a pod's log."""
        words = ("logs", pod.name, *(("--previous",) if previous else ()))
        lines = [json.loads(line) for line in self.cluster.kubectl(*words).stdout.splitlines() if event in line]
        return [line for line in lines if line["event"] == event]

    # Trouble

    def report(self) -> str:
        """What an operator would look at: the release, its pods, the events, the end of each log."""
        kubectl, chosen = self.cluster.kubectl, f"--selector={self.selector}"
        said = [
            ("release", self.cluster.helm("status", self.name, check=False)),
            ("objects", kubectl("get", "pods,deployments,statefulsets,pdb,pvc", chosen, "--output=wide", check=False)),
            ("pods", kubectl("describe", "pods", chosen, check=False)),
            ("events", kubectl("get", "events", "--sort-by=.lastTimestamp", check=False)),
            ("logs", kubectl("logs", chosen, "--prefix", "--tail=60", check=False)),
            ("the parts' log", kubectl("logs", PARTS, "--tail=60", check=False)),
            ("earlier logs", kubectl("logs", chosen, "--prefix", "--tail=30", "--previous", check=False)),
        ]
        return "\n".join(f"--- {self.name}: {what}\n{done.stdout[-8000:]}{done.stderr[-1000:]}" for what, done in said)


def _pod(listed: Mapping[str, Any]) -> Pod:
    status, name = listed["status"], listed["metadata"]["name"]
    own = next((each for each in status.get("containerStatuses", ()) if each["name"] == "outboard"), {})
    conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
    container = next(each for each in listed["spec"]["containers"] if each["name"] == "outboard")
    return Pod(
        name,
        listed["metadata"]["uid"],
        listed["spec"].get("nodeName", ""),
        conditions.get("Ready") == "True",
        own.get("restartCount", 0),
        container["image"],
        "deletionTimestamp" in listed["metadata"],
    )
