"""Knows the restricted profile of the Pod Security Standards, and what of a pod breaks it."""

from collections.abc import Iterator
from typing import Any

_VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
_SECCOMP = frozenset({"RuntimeDefault", "Localhost"})
_SELINUX = frozenset({"container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    }
)
_HANDLERS = ("startupProbe", "livenessProbe", "readinessProbe")


def violations(pod: dict[str, Any]) -> list[str]:
    """What the profile refuses in a pod's spec, as sentences; none if a restricted namespace takes it."""
    found = list(_of_the_pod(pod))
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(field, []):
            found += [f"{container['name']}: {it}" for it in _of_a_container(container, pod.get("securityContext", {}))]
    return found


def _of_the_pod(pod: dict[str, Any]) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{field} is true"
    for volume in pod.get("volumes", []):
        kinds = volume.keys() - {"name"}
        if not kinds <= _VOLUMES:
            yield f"the volume {volume['name']} is a {', '.join(sorted(kinds))}"
    context = pod.get("securityContext", {})
    for sysctl in context.get("sysctls", []):
        if sysctl["name"] not in _SYSCTLS:
            yield f"it sets {sysctl['name']}"
    yield from _of_either(context)


def _of_a_container(container: dict[str, Any], of_the_pod: dict[str, Any]) -> Iterator[str]:
    context = container.get("securityContext", {})
    yield from _of_either(context)
    if context.get("privileged"):
        yield "it is privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if not context.get("runAsNonRoot", of_the_pod.get("runAsNonRoot")):
        yield "runAsNonRoot is not true"
    if "seccompProfile" not in context and "seccompProfile" not in of_the_pod:
        yield "it has no seccomp profile"
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "it does not drop all capabilities"
    if not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}:
        yield "it adds capabilities"
    if context.get("procMount", "Default") != "Default":
        yield "it has a /proc of its own kind"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "it has a port of the host"
    if any(_names_a_host(container.get(it, {})) for it in _HANDLERS) or any(
        _names_a_host(it) for it in container.get("lifecycle", {}).values()
    ):
        yield "a probe or hook names a host"


def _names_a_host(handler: dict[str, Any]) -> bool:
    return any(handler.get(kind, {}).get("host") for kind in ("httpGet", "tcpSocket"))


def _of_either(context: dict[str, Any]) -> Iterator[str]:
    """Rules for a pod's security context and a container's."""
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot is false"
    if context.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if "seccompProfile" in context and context["seccompProfile"].get("type") not in _SECCOMP:
        yield f"the seccomp profile is {context['seccompProfile'].get('type')}"
    if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in _SECCOMP:
        yield "the AppArmor profile is off"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type", "container_t") not in _SELINUX or selinux.get("user") or selinux.get("role"):
        yield "it sets SELinux's user, role or an unusual type"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield "it is a process of the host"
