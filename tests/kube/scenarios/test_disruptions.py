"""Pods are deleted, evicted, drained and killed while messages keep coming: none is lost, and few come twice."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.kube.cluster import Cluster, until
from tests.kube.load import NONE, Load, Loads, outcomes
from tests.kube.release import Pod, Release, values
from tests.servers.availability import NOT_HERE
from tests.servers.processes import Child

#: A process that is killed may have had so many messages of each lane in work, or done and not yet settled: a batch,
#: and half a second of the load's messages.
_BATCH = 10
_HALF_A_SECOND = 20

_DRAIN = "OUTBOARD_KUBE_DRAIN"

#: The process's own number, in a pod whose containers see each other's processes.
_KILL = """
import os, pathlib, signal
for each in pathlib.Path("/proc").glob("[0-9]*"):
    if b"outboard" in (each / "cmdline").read_bytes() and int(each.name) != os.getpid():
        os.kill(int(each.name), signal.SIGKILL)
"""


def _mappings(loads: list[Load]) -> list[dict[str, object]]:
    """With few enough pollers of a queue that what a killed process held is bounded."""
    limited = {"ScalingConfig": {"MaximumConcurrency": 4}}
    return [load.mapping(**(limited if load.name.startswith("queue") else {})) for load in loads]


def test_a_deleted_pod_finishes_its_work(release: Callable[[], Release], loads: Loads) -> None:
    installed, made = release(), loads.begun("queue", "fifo", "topic")
    installed.install(values(_mappings(made), replicas=2))
    for load in made:
        load.until_processed(40)
    for pod in installed.pods():
        installed.cluster.kubectl("delete", "pod", pod.name)
        installed.until_available()
    for load in made:
        load.until_processed(40)

    for name, outcome in outcomes(made).items():
        assert (name, outcome.failures, outcome.again) == (name, NONE, 0)


def test_a_stream_goes_on_where_the_deleted_pod_stopped(
    release: Callable[[], Release], loads: Loads, persistence: Mapping[str, object]
) -> None:
    installed, made = release(), loads.begun("stream")
    installed.install(values(_mappings(made), persistence=persistence))
    made[0].until_processed(40)
    before = installed.the_pod()
    installed.cluster.kubectl("delete", "pod", before.name)
    installed.until_available()
    made[0].until_processed(40)
    outcome = outcomes(made)[made[0].name]

    assert installed.the_pod().uid != before.uid
    assert (outcome.failures, outcome.again) == (NONE, 0)


def test_a_killed_process_starts_again_and_loses_nothing(
    release: Callable[[], Release], loads: Loads, persistence: Mapping[str, object]
) -> None:
    installed, made = release(), loads.begun("queue", "fifo", "stream", "topic")
    installed.install(values(_mappings(made), persistence=persistence))
    # From inside its own process namespace nobody can kill process 1.
    shared = {"spec": {"template": {"spec": {"shareProcessNamespace": True}}}}
    installed.patch(shared)
    for load in made:
        load.until_processed(40)
    pod = installed.the_pod()
    installed.cluster.kubectl("exec", pod.name, "--", "python", "-c", _KILL)
    until(lambda: installed.the_pod().restarts == 1 and installed.the_pod().ready, "the container is back")
    for load in made:
        load.until_processed(40)

    lanes = {"queue": 4, "fifo": 4, "stream": 2, "topic": 4}
    for name, outcome in outcomes(made).items():
        assert (name, outcome.failures) == (name, NONE)
        assert outcome.again <= lanes[name.partition("-")[0]] * (_BATCH + _HALF_A_SECOND)
    assert installed.the_pod().uid == pod.uid


def test_one_pod_at_a_time_may_be_evicted(release: Callable[[], Release], loads: Loads) -> None:
    installed, made = release(), loads.begun("queue", "topic")
    installed.install(values(_mappings(made), replicas=2))
    for load in made:
        load.until_processed(20)
    first, second = installed.pods()
    answers = [_evict(installed, pod) for pod in (first, second)]
    installed.until_available()
    for load in made:
        load.until_processed(40)

    assert [status for status, _ in answers] == [201, 429]
    assert "would violate the pod's disruption budget" in answers[1][1]
    assert {pod.uid for pod in installed.pods()} >= {second.uid}
    for name, outcome in outcomes(made).items():
        assert (name, outcome.failures, outcome.again) == (name, NONE, 0)


def _evict(installed: Release, pod: Pod) -> tuple[int, str]:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod.name}}
    path = f"{installed.cluster.path('pods', pod.name)}/eviction"
    answer = installed.cluster.ask(path, method="POST", body=eviction)
    return answer.status, answer.text


def test_a_drained_node_keeps_one_pod_until_another_is_elsewhere(
    release: Callable[[], Release], cluster: Cluster, loads: Loads, tmp_path: Path
) -> None:
    if os.environ.get(_DRAIN) != "yes":
        pytest.skip(f"{NOT_HERE}draining makes a node unschedulable for a moment; set {_DRAIN}=yes if this one may be.")
    installed, made = release(), loads.begun("queue", "topic")
    installed.install(values(_mappings(made), replicas=2))
    before = installed.pods()
    node = before[0].node
    words = (f"--pod-selector={installed.selector}", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
    draining = cluster.start(tmp_path / "drain.log", "drain", node, *words)
    try:
        until(lambda: _holds(draining), "the budget holds the second pod", seconds=30)
        for load in made:
            load.until_processed(40)  # by the one that is left
        left = [pod for pod in installed.pods() if pod.ready]
    finally:
        cluster.kubectl("uncordon", node)
    until(lambda: draining.exit_code is not None, "the drain ends", seconds=90)
    installed.until_available()
    for load in made:
        load.until_processed(40)

    assert draining.exit_code == 0, draining.tail()
    assert len(left) == 1
    assert not {pod.uid for pod in before} & {pod.uid for pod in installed.pods()}
    for name, outcome in outcomes(made).items():
        assert (name, outcome.failures, outcome.again) == (name, NONE, 0)


def _holds(draining: Child) -> bool:
    assert draining.exit_code is None, f"the drain ended: {draining.tail()}"
    return "would violate the pod's disruption budget" in draining.tail()
