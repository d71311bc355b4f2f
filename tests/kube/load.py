"""Asks the parts in the cluster for load, and for what became of it."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.kube.cluster import Cluster, until
from tests.kube.parts.ports import CONTROL, FUNCTIONS, IDENTITY, SOURCES

NAME = "parts"  #: of the pod and its Service

_PORTS = {"control": CONTROL, "identity": IDENTITY} | {
    f"{what}-{kind}": port
    for what, ports in (("source", SOURCES), ("function", FUNCTIONS))
    for kind, port in ports.items()
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a load after its end. `lost`: never worked off; `again`: times that a message was worked off once
    more; `overtaken`: worked off after a later one of its key; `left`: not known to its source as done.
    """

    produced: int
    lost: tuple[int, ...]
    overtaken: tuple[int, ...]
    again: int
    left: int

    @property
    def failures(self) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """Lost ones, overtaken ones, and how many are left: there are to be none."""
        return self.lost, self.overtaken, self.left


#: The failures of a load that has none.
NONE = ((), (), 0)


class Load:
    """One load on a source of its own; its mapping has its name."""

    def __init__(self, cluster: Cluster, name: str, mapping: Mapping[str, object]) -> None:
        self.name = name
        self._cluster = cluster
        self._mapping = mapping

    def mapping(self, **fields: object) -> dict[str, object]:
        """An entry of EventSourceMappings; `fields` are added or take precedence."""
        return {"Name": self.name, **self._mapping, **fields}

    def begin(self) -> None:
        _ask(self._cluster, f"/loads/{self.name}/begin", method="POST")

    def statement(self) -> Mapping[str, Any]:
        said = _ask(self._cluster, f"/loads/{self.name}")
        assert said["trouble"] is None, f"{self.name} produces no more: {said['trouble']}"
        return said

    def processed(self) -> int:
        return int(self.statement()["processed"])

    def until_processed(self, more: int, *, seconds: float = 60) -> None:
        """Wait until so many more are worked off than now."""
        wanted = self.processed() + more
        until(lambda: self.processed() >= wanted, f"{more} more messages of {self.name} worked off", seconds=seconds)

    def end(self) -> None:
        """Produce no more."""
        _ask(self._cluster, f"/loads/{self.name}/end", method="POST")

    def outcome(self, *, seconds: float = 60) -> Outcome:
        """Wait until all is worked off and the source knows. What is not by then is lost."""
        with contextlib.suppress(AssertionError):
            until(self._settled, f"all of {self.name} worked off", seconds=seconds)
        said = self.statement()
        return Outcome(said["produced"], tuple(said["lost"]), tuple(said["overtaken"]), said["again"], said["left"])

    def _settled(self) -> bool:
        said = self.statement()
        return said["lostCount"] == 0 and said["left"] == 0


class Loads:
    """Makes loads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def make(self, source: str, **wishes: float) -> Load:
        """A load that does not produce yet: `queue`, `fifo`, `stream` or `topic`."""
        made = _ask(self._cluster, "/loads", method="POST", body={"source": source, **wishes})
        return Load(self._cluster, made["name"], made["mapping"])

    def begun(self, *sources: str, **wishes: float) -> list[Load]:
        """Loads that produce from now on."""
        made = [self.make(source, **wishes) for source in sources]
        for load in made:
            load.begin()
        return made


def outcomes(loads: Iterable[Load]) -> dict[str, Outcome]:
    """End them, and say what became of each."""
    ended = list(loads)
    for load in ended:
        load.end()
    return {load.name: load.outcome() for load in ended}


def _ask(cluster: Cluster, path: str, *, method: str = "GET", body: object = None) -> Mapping[str, Any]:
    service = cluster.path("services", f"{NAME}:{CONTROL}")
    answer = cluster.ask(f"{service}/proxy{path}", method=method, body=body)
    assert answer.status in (200, 201), f"the parts answered {answer.status} to {method} {path}: {answer.text}"
    said: Mapping[str, Any] = answer.json
    return said


def start_parts(cluster: Cluster, image: str) -> Loads:
    """Run the parts' pod, under the namespace's restrictions too."""
    cluster.kubectl(
        "apply", "--filename=-", given={"apiVersion": "v1", "kind": "List", "items": [_pod(image), _service()]}
    )
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{NAME}", "--timeout=180s", seconds=200)
    health = f"{cluster.path('services', f'{NAME}:{CONTROL}')}/proxy/health"
    until(lambda: cluster.ask(health).status == 200, "the parts' Service leads to them")
    return Loads(cluster)


def _pod(image: str) -> dict[str, object]:
    container = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [NAME],
        "readinessProbe": {"httpGet": {"path": "/health", "port": CONTROL}, "periodSeconds": 1, "timeoutSeconds": 10},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "restartPolicy": "Never",  # what it knew would be gone
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": {"app": NAME}}, "spec": spec}


def _service() -> dict[str, object]:
    ports = [{"name": name, "port": port} for name, port in _PORTS.items()]
    # A slow answer to a probe is no reason to cut everybody off.
    spec = {"selector": {"app": NAME}, "ports": ports, "publishNotReadyAddresses": True}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME}, "spec": spec}
