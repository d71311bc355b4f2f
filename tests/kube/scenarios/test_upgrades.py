"""Releases are upgraded and rolled back while messages keep coming: none is lost, none comes twice."""

from collections.abc import Callable

from tests.kube.load import NONE, Loads, outcomes
from tests.kube.release import Release, values


def test_a_rollout_replaces_three_pods_one_after_the_other(release: Callable[[], Release], loads: Loads) -> None:
    installed = release()
    made = [*loads.begun("queue", "fifo"), *loads.begun("topic", keys=6)]
    rollout = {"replicas": 3, "reload": "rollout"}
    installed.install(values([load.mapping() for load in made], **rollout))
    for load in made:
        load.until_processed(40)
    before, produced = installed.pods(), {load.name: load.statement()["produced"] for load in made}
    installed.upgrade(values([load.mapping(BatchSize=5) for load in made], **rollout))
    installed.until_available()
    for load in made:
        assert load.statement()["produced"] > produced[load.name]
        load.until_processed(40)

    assert len(installed.pods()) == 3
    assert not {pod.uid for pod in before} & {pod.uid for pod in installed.pods()}
    for name, outcome in outcomes(made).items():
        assert (name, outcome.failures, outcome.again) == (name, NONE, 0)


def test_an_upgrade_that_cannot_start_changes_nothing_and_is_rolled_back(
    release: Callable[[], Release], loads: Loads
) -> None:
    installed, made = release(), loads.begun("queue", "topic")
    mappings = [load.mapping() for load in made]
    installed.install(values(mappings, replicas=2))
    before = {pod.uid for pod in installed.pods()}
    broken = values(mappings, replicas=2, image={"tag": "never-built", "pullPolicy": "Never"})
    refused = installed.upgrade(broken, check=False, seconds=8)
    still = {pod.uid for pod in installed.pods() if pod.ready}
    for load in made:
        load.until_processed(40)
    installed.rollback(1)
    installed.until_available()
    for load in made:
        load.until_processed(40)

    assert refused.code != 0
    assert still == before
    assert {pod.uid for pod in installed.pods()} == before
    for name, outcome in outcomes(made).items():
        assert (name, outcome.failures, outcome.again) == (name, NONE, 0)
