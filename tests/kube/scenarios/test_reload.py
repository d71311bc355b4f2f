"""The configuration is edited under load: the same pod takes it up, mapping by mapping, or refuses it and says so."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.kube.cluster import until
from tests.kube.load import NONE, Load, Loads, outcomes
from tests.kube.release import Pod, Release, values

#: The kubelet brings a changed ConfigMap into the pod within its sync period and its cache's age: two minutes at most,
#: unless the cluster is set otherwise.
_BROUGHT = 150


def test_the_same_pod_takes_up_an_edited_configuration(release: Callable[[], Release], loads: Loads) -> None:
    installed = release()
    queue, topic, goes = loads.begun("queue", "topic", "topic")
    (comes,) = loads.begun("queue")
    installed.install(values(_mappings(queue, topic, goes)))
    pod = installed.the_pod()
    for load in (queue, topic, goes):
        load.until_processed(40)
    first = _untouched(installed, pod, queue, topic)

    # One goes, one comes.
    edited = _mappings(queue, topic, comes)
    installed.upgrade(values(edited))
    _until_mapped(installed, pod, queue, topic, comes)
    stopped = goes.processed()
    comes.until_processed(40)
    assert goes.processed() == stopped
    assert _untouched(installed, pod, queue, topic) == first
    assert _reloads(installed, pod) == [{"added": 1, "removed": 1, "changed": 0}]

    # What the values' schema cannot see is for Outboard to refuse.
    in_force = installed.status(pod)["configHash"]
    installed.upgrade(values([*_mappings(queue, topic), comes.mapping(BatchSize=100)]))
    refused = _until_reloaded(installed, pod, successful=False)
    assert [problem for problem in refused["problems"] if comes.name in problem and "BatchSize" in problem] != []
    assert installed.status(pod)["configHash"] == in_force
    assert installed.metric(pod, "outboard_config_last_reload_successful") == 0
    assert installed.metric(pod, "outboard_config_reloads_total", result="refused") == 1
    assert [line["problems"] for line in installed.logged(pod, "configuration refused")] == [refused["problems"]]
    for load in (queue, topic, comes):
        load.until_processed(40)

    # Back to what was in force: nothing changes, and all is well again.
    installed.rollback(2)
    _until_reloaded(installed, pod, successful=True)
    assert installed.metric(pod, "outboard_config_last_reload_successful") == 1
    assert _untouched(installed, pod, queue, topic) == first

    # What had gone goes on where it stopped; what is changed stops and goes on.
    installed.upgrade(values([*_mappings(queue, comes, goes), topic.mapping(BatchSize=5)]))
    _until_mapped(installed, pod, queue, topic, comes, goes)
    for load in (queue, topic, comes, goes):
        load.until_processed(40)
    assert _reloads(installed, pod)[-1] == {"added": 1, "removed": 0, "changed": 1}

    for name, outcome in outcomes((queue, topic, comes, goes)).items():
        assert (name, outcome.failures, outcome.again) == (name, NONE, 0)
    assert installed.the_pod() == pod


def _mappings(*loads: Load) -> list[dict[str, object]]:
    return [load.mapping() for load in loads]


def _until_mapped(installed: Release, pod: Pod, *loads: Load) -> None:
    """Wait until the pod has these mappings, and those that went have drained."""
    wanted = {load.name for load in loads}

    def mapped() -> bool:
        return {each["name"] for each in installed.status(pod)["mappings"]} == wanted

    until(mapped, f"{pod.name} has the mappings {sorted(wanted)}", seconds=_BROUGHT)


def _until_reloaded(installed: Release, pod: Pod, *, successful: bool) -> Mapping[str, Any]:
    def ended() -> Mapping[str, Any] | None:
        last: Mapping[str, Any] | None = installed.status(pod)["lastReload"]
        return last if last is not None and last["successful"] is successful else None

    said = "taken up" if successful else "refused"
    return until(ended, f"{pod.name} has {said} a configuration", seconds=_BROUGHT)


def _reloads(installed: Release, pod: Pod) -> Sequence[Mapping[str, int]]:
    lines = installed.logged(pod, "configuration reloaded")
    return [{key: line[key] for key in ("added", "removed", "changed")} for line in lines]


def _untouched(installed: Release, pod: Pod, *loads: Load) -> Mapping[str, object]:
    """What would change if these were stopped and started: what was logged of their states, how often a group's
    partitions were dealt out."""
    names = {load.name for load in loads}
    states = [line for line in installed.logged(pod, "mapping state") if line["mapping"] in names]
    topics = [name for name in names if name.startswith("topic")]
    dealt = {name: installed.metric(pod, "outboard_rebalances_total", mapping=name) for name in topics}
    return {"states": states, "rebalances": dealt}
