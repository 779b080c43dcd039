"""Namespaces, runtime and what else Linux decides. Rules and texts: moby v28 daemon_unix.go verifyPlatformContainerSettings."""

from __future__ import annotations

from daemon.create.mounts import destination_complaint
from daemon.create.request import CreateRequest
from daemon.host import Host

OOM_SCORES = range(-1000, 1001)
SLICE = ".slice"
RUNTIMES = ("", "runc")


def ipc_mode_is_known(request: CreateRequest, host: Host) -> str | None:
    mode = request.host_config.ipc_mode
    is_known = mode in ("", "none", "private", "shareable", "host") or mode.startswith("container:")
    return None if is_known else f"invalid IPC mode: {mode}"


def pid_mode_is_known(request: CreateRequest, host: Host) -> str | None:
    mode = request.host_config.pid_mode
    is_known = mode in ("", "host") or (mode.startswith("container:") and mode != "container:")
    return None if is_known else f"invalid PID mode: {mode}"


def shm_size_is_not_negative(request: CreateRequest, host: Host) -> str | None:
    return "SHM size can not be less than 0" if request.host_config.shm_size < 0 else None


def uts_mode_is_known(request: CreateRequest, host: Host) -> str | None:
    mode = request.host_config.uts_mode
    return None if mode in ("", "host") else f"invalid UTS mode: {mode}"


def oom_score_is_in_range(request: CreateRequest, host: Host) -> str | None:
    score = request.host_config.oom_score_adj
    return None if score in OOM_SCORES else f"Invalid value {score}, range for oom score adj is [-1000, 1000]"


def cgroup_parent_is_a_slice(request: CreateRequest, host: Host) -> str | None:
    """Where systemd has the tree of groups, which it has by default with version 2 of them."""
    parent = request.host_config.cgroup_parent
    if not parent or not (host.is_cgroup_v2 and host.is_systemd):
        return None
    if parent.endswith(SLICE) and parent != SLICE:
        return None
    return 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"'


def runtime_is_known(request: CreateRequest, host: Host) -> str | None:
    """Docker's own, or what containerd takes for the name of a shim: `io.containerd.runc.v2`."""
    runtime = request.host_config.runtime
    is_shim = "." in runtime and not runtime.startswith(".") and "/" not in runtime
    return None if runtime in RUNTIMES or is_shim else f"unknown or invalid runtime name: {runtime}"


def tmpfs_destinations_are_absolute(request: CreateRequest, host: Host) -> str | None:
    complaints = map(destination_complaint, request.host_config.tmpfs or ())
    return next((complaint for complaint in complaints if complaint is not None), None)


def cgroup_namespace_mode_is_known(request: CreateRequest, host: Host) -> str | None:
    mode = request.host_config.cgroupns_mode
    return None if mode in ("", "private", "host") else f"invalid cgroup namespace mode: {mode}"


def warnings(request: CreateRequest, host: Host) -> tuple[str, ...]:
    """Of what will not work as it is put, in Docker's order."""
    host_config = request.host_config
    rows = (
        (
            not host.is_ipv4_forwarding and host_config.network_mode not in ("host", "none"),
            "IPv4 forwarding is disabled. Networking will not work.",
        ),
        (
            host_config.network_mode == "host" and host_config.port_bindings,
            "Published ports are discarded when using host network mode",
        ),
        (
            host_config.cgroupns_mode == "private" and not host.abilities.cgroup_namespaces,
            "Your kernel does not support cgroup namespaces.  Cgroup namespace setting discarded.",
        ),
    )
    return tuple(text for is_so, text in rows if is_so)
