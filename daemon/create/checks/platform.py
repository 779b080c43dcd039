"""Namespaces, runtime and what else Linux decides. Rules and texts: moby v28 daemon_unix.go verifyPlatformContainerSettings."""

from __future__ import annotations

from daemon.create.checks.conflicts import is_container_mode
from daemon.create.mounts import destination_complaint
from daemon.create.request import CreateRequest
from daemon.host import Host


def namespace_modes_are_known(request: CreateRequest, host: Host) -> str | None:
    modes = request.host_config
    if modes.ipc_mode not in ("", "none", "private", "shareable", "host") and not _names_container(modes.ipc_mode):
        return f"invalid IPC mode: {modes.ipc_mode}"
    if modes.pid_mode not in ("", "host") and not _names_container(modes.pid_mode):
        return f"invalid PID mode: {modes.pid_mode}"
    if modes.uts_mode not in ("", "host"):
        return f"invalid UTS mode: {modes.uts_mode}"
    if modes.cgroupns_mode not in ("", "private", "host"):
        return f"invalid cgroup namespace mode: {modes.cgroupns_mode}"
    return None


def shm_size_is_not_negative(request: CreateRequest, host: Host) -> str | None:
    return "SHM size can not be less than 0" if request.host_config.shm_size < 0 else None


def oom_score_is_in_range(request: CreateRequest, host: Host) -> str | None:
    score = request.host_config.oom_score_adj
    return None if -1000 <= score <= 1000 else f"Invalid value {score}, range for oom score adj is [-1000, 1000]"


def runtime_is_known(request: CreateRequest, host: Host) -> str | None:
    runtime = request.host_config.runtime
    return None if runtime in ("", "runc") else f"unknown or invalid runtime name: {runtime}"


def tmpfs_destinations_are_absolute(request: CreateRequest, host: Host) -> str | None:
    complaints = map(destination_complaint, request.host_config.tmpfs or ())
    return next((complaint for complaint in complaints if complaint is not None), None)


def _names_container(mode: str) -> bool:
    return is_container_mode(mode) and len(mode) > len("container:")
