"""The service in its pod works off real queues, streams and topics, under the restrictions it is installed with."""

from collections.abc import Callable, Mapping

from tests.kube.cluster import Cluster, until
from tests.kube.load import NONE, Loads, outcomes
from tests.kube.release import Release, values


def test_a_namespace_that_enforces_the_restricted_profile_refuses_other_pods(cluster: Cluster) -> None:
    refused = cluster.kubectl("run", "bare", "--image=bare", check=False)

    assert refused.code != 0
    assert 'violates PodSecurity "restricted:' in refused.stderr


def test_a_pod_works_off_queues_streams_and_topics(
    release: Callable[[], Release], loads: Loads, persistence: Mapping[str, object]
) -> None:
    installed, made = release(), loads.begun("queue", "fifo", "stream", "topic")
    installed.install(values([load.mapping() for load in made], persistence=persistence))
    for load in made:
        load.until_processed(100)
    became = outcomes(made)
    pod = installed.the_pod()

    for load in made:
        assert became[load.name].failures == NONE
        assert became[load.name].again == 0
        counted = installed.metric(pod, "outboard_delivered_events_total", mapping=load.name)
        assert counted == became[load.name].produced
    assert {each["name"]: each["state"] for each in installed.status(pod)["mappings"]} == dict.fromkeys(
        became, "Enabled"
    )


def test_the_process_has_no_privileges_and_cannot_write_to_its_image(
    release: Callable[[], Release], cluster: Cluster, loads: Loads
) -> None:
    installed = release()
    installed.install(values([loads.make("queue").mapping()]))
    pod = installed.the_pod().name
    told = cluster.kubectl("exec", pod, "--", "cat", "/proc/1/status").stdout
    status = {key: rest.split() for key, _, rest in (line.partition(":") for line in told.splitlines())}
    written = cluster.kubectl("exec", pod, "--", "touch", "/opt/written", check=False)

    assert {key: status[key] for key in ("Uid", "Gid", "CapEff", "NoNewPrivs", "Seccomp")} == {
        "Uid": ["65532"] * 4,
        "Gid": ["65532"] * 4,
        "CapEff": ["0" * 16],
        "NoNewPrivs": ["1"],
        "Seccomp": ["2"],
    }
    assert written.code != 0
    assert "Read-only file system" in written.stderr


def test_helm_test_checks_what_is_installed(release: Callable[[], Release], loads: Loads) -> None:
    installed = release()
    installed.install(values([loads.make("queue").mapping()]))
    tested = installed.cluster.helm("test", installed.name, "--timeout=60s")

    assert "Succeeded" in tested.stdout
    until(lambda: installed.the_pod().ready, "the pod itself is as before")
