"""The check of the restricted profile catches each rule's breach, so that a shape that passes it means something."""

import copy

import pytest

from tests.chart.pod_security import violations
from tests.chart.rendering import Cluster, render
from tests.chart.shapes import OPENSHIFT, shape

BREACHES = {
    "hostNetwork is true": {"hostNetwork": True},
    "hostPID is true": {"hostPID": True},
    "hostIPC is true": {"hostIPC": True},
    "the volume logs is a hostPath": {"volumes": [{"name": "logs", "hostPath": {"path": "/"}}]},
    "it sets kernel.msgmax": {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
    "runAsNonRoot is false": {"securityContext": {"runAsNonRoot": False}},
    "runAsUser is 0": {"securityContext": {"runAsUser": 0}},
    "the seccomp profile is Unconfined": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    "the AppArmor profile is off": {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
    "it sets SELinux's user, role or an unusual type": {"securityContext": {"seLinuxOptions": {"role": "admin"}}},
    "it is a process of the host": {"securityContext": {"windowsOptions": {"hostProcess": True}}},
}
OF_A_CONTAINER = {
    "it is privileged": {"privileged": True},
    "allowPrivilegeEscalation is not false": {"allowPrivilegeEscalation": None},
    "it does not drop all capabilities": {"capabilities": {"drop": ["CHOWN"]}},
    "it adds capabilities": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},
    "it has a /proc of its own kind": {"procMount": "Unmasked"},
    "runAsUser is 0": {"runAsUser": 0},
    "runAsNonRoot is false": {"runAsNonRoot": False},
}


def pod():
    return copy.deepcopy(render(shape("sqs")).pod)


@pytest.mark.parametrize("sentence", BREACHES)
def test_a_breach_of_the_pod_is_found(sentence):
    assert sentence in violations({**pod(), **BREACHES[sentence]})


@pytest.mark.parametrize("sentence", OF_A_CONTAINER)
def test_a_breach_of_a_container_is_found(sentence):
    broken = pod()
    broken["containers"][0]["securityContext"] |= OF_A_CONTAINER[sentence]

    assert f"outboard: {sentence}" in violations(broken)


def test_a_pod_that_says_nothing_is_refused():
    bare = {"containers": [{"name": "outboard", "ports": [{"containerPort": 80, "hostPort": 80}]}]}

    assert violations(bare) == [
        "outboard: allowPrivilegeEscalation is not false",
        "outboard: runAsNonRoot is not true",
        "outboard: it has no seccomp profile",
        "outboard: it does not drop all capabilities",
        "outboard: it has a port of the host",
    ]


def test_a_probe_of_another_host_is_found():
    broken = pod()
    broken["containers"][0]["livenessProbe"]["httpGet"]["host"] = "example.com"

    assert violations(broken) == ["outboard: a probe or hook names a host"]


def test_user_and_groups_are_fixed_but_on_openshift():
    fixed = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    free = {key: it for key, it in fixed.items() if key not in {"runAsUser", "runAsGroup", "fsGroup"}}
    there = Cluster(apis=(OPENSHIFT,))
    values = shape("sqs")

    def context(how, cluster):
        return render({**values, "adaptSecurityContext": how}, cluster).pod["securityContext"]

    assert {
        (how, at is there): context(how, at) for how in ("auto", "force", "disabled") for at in (Cluster(), there)
    } == {
        ("auto", False): fixed,
        ("auto", True): free,
        ("force", False): free,
        ("force", True): free,
        ("disabled", False): fixed,
        ("disabled", True): fixed,
    }


def test_the_container_may_do_nothing_and_write_nowhere_but_in_its_volumes():
    assert render(shape("sqs")).container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    }
