"""The defaults that Docker fills in, pure: what goes into the record where the request says nothing.

Rules: moby v28 daemon_unix.go adaptContainerSettings, daemon/create_unix.go. They come after the checks (`validate`).
"""

from __future__ import annotations

import posixpath

from msgspec.structs import replace

from daemon.container import (
    ContainerConfig,
    HostConfig,
    RestartPolicy,
    short_id,
)
from daemon.create.request import CreateRequest
from daemon.create.security import shares_labels
from daemon.host import Host

SHM_BYTES = 64 << 20

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def adapt(request: CreateRequest, host: Host, *, default_runtime: str) -> CreateRequest:
    """The request with every default in its place."""
    config = request.config
    if config.working_dir:
        config = replace(config, working_dir=_clean(config.working_dir))
    return replace(request, config=config, host_config=_with_defaults(request.host_config, host, default_runtime))


def with_hostname(config: ContainerConfig, *, container_id: str, network_mode: str, host: Host) -> ContainerConfig:
    if config.hostname:
        return config
    return replace(config, hostname=host.name if network_mode == "host" else short_id(container_id))


def _with_defaults(given: HostConfig, host: Host, default_runtime: str) -> HostConfig:
    is_swap_default = given.memory > 0 and given.memory_swap == 0
    masked, readonly = given.masked_paths, given.readonly_paths
    if not given.privileged:
        masked = (*MASKED_PATHS, *host.thermal_throttle_paths) if masked is None else masked
        readonly = READONLY_PATHS if readonly is None else readonly
    return replace(
        given,
        restart_policy=RestartPolicy(
            name=given.restart_policy.name or "no", maximum_retry_count=given.restart_policy.maximum_retry_count
        ),
        memory_swap=_twice(given.memory) if is_swap_default else given.memory_swap,
        shm_size=given.shm_size or SHM_BYTES,
        ipc_mode=given.ipc_mode or "private",
        cgroupns_mode=_cgroup_namespace(given, host),
        security_opt=_security_options(given),
        oom_kill_disable=bool(given.oom_kill_disable),
        runtime=given.runtime or default_runtime,
        masked_paths=masked,
        readonly_paths=readonly,
    )


def _cgroup_namespace(given: HostConfig, host: Host) -> str:
    """Private with version 2 of control groups, where even a privileged container has one of its own."""
    return given.cgroupns_mode or ("private" if host.is_cgroup_v2 else "host")


def _security_options(given: HostConfig) -> tuple[str, ...] | None:
    """Without SELinux labels where a container shares what they protect, unless the user has said otherwise.

    Docker writes that down whether there is SELinux or not (moby v28 daemon/create.go generateSecurityOpt).
    """
    options = given.security_opt
    has_labels = any(option.partition("=")[0] == "label" for option in options or ())
    return options if has_labels or shares_labels(given) else (*(options or ()), "label=disable")


def _clean(path: str) -> str:
    """As Go's path.Clean: a leading double slash is one slash."""
    return posixpath.normpath(path).replace("//", "/", 1)


def _twice(memory: int) -> int:
    """As Docker computes it, in 64 bits: clients read no more, so what is too much for them turns over."""
    return (2 * memory + (1 << 63)) % (1 << 64) - (1 << 63)
