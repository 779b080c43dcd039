"""The defaults that Docker fills in, pure: what goes into the record where the request says nothing.

Rules: moby v28 daemon_unix.go adaptContainerSettings, container_routes.go (by API version), docker-create's table of defaults.
"""

from __future__ import annotations

import posixpath

import attrs

from daemon.container import (
    ContainerConfig,
    HostConfig,
    MountRequest,
    RestartPolicy,
    short_id,
)
from daemon.create.endpoints import with_endpoints
from daemon.create.request import CreateRequest
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


def adapt(request: CreateRequest, host: Host, *, default_runtime: str) -> tuple[CreateRequest, tuple[str, ...]]:
    """The request with every default in its place, and the warnings for the client."""
    request, endpoint_warnings = with_endpoints(for_api_version(request))
    host_config = request.host_config
    warnings = _warnings(host_config, host)
    config = request.config
    if config.working_dir:
        config = attrs.evolve(config, working_dir=_clean(config.working_dir))
    adapted = attrs.evolve(
        request,
        config=config,
        host_config=_with_defaults(host_config, host, default_runtime),
    )
    return adapted, (*warnings, *endpoint_warnings)


def for_api_version(request: CreateRequest) -> CreateRequest:
    """What an old client means by what it does not say, or says and its daemon would not have known. Twice is once."""
    config, host_config, api_version = request.config, request.host_config, request.api_version
    if api_version < (1, 25):
        host_config = attrs.evolve(host_config, auto_remove=False)
    if api_version < (1, 40) and not host_config.ipc_mode:
        host_config = attrs.evolve(host_config, ipc_mode="shareable")
    if api_version < (1, 42):
        mounts = host_config.mounts and tuple(_mount_for(mount, api_version) for mount in host_config.mounts)
        host_config = attrs.evolve(host_config, console_size=(0, 0), mounts=mounts)
    else:
        host_config = attrs.evolve(host_config, kernel_memory=0)
    if api_version < (1, 43):
        host_config = attrs.evolve(host_config, annotations=None)
    if api_version < (1, 44) and config.healthcheck is not None:
        config = attrs.evolve(config, healthcheck=attrs.evolve(config.healthcheck, start_interval_ns=0))
    return attrs.evolve(request, config=config, host_config=host_config)


def with_hostname(config: ContainerConfig, *, container_id: str, network_mode: str, host: Host) -> ContainerConfig:
    if config.hostname:
        return config
    return attrs.evolve(config, hostname=host.name if network_mode == "host" else short_id(container_id))


def _mount_for(mount: MountRequest, api_version: tuple[int, int]) -> MountRequest:
    if api_version < (1, 42):  # such options were ignored on the wrong type
        mount = attrs.evolve(
            mount,
            volume_options=mount.volume_options if mount.type == "volume" else None,
            tmpfs_options=mount.tmpfs_options if mount.type == "tmpfs" else None,
        )
        if mount.bind_options is not None:
            is_non_recursive = mount.bind_options.non_recursive and api_version >= (1, 40)
            bind_options = attrs.evolve(mount.bind_options, create_mountpoint=False, non_recursive=is_non_recursive)
            mount = attrs.evolve(mount, bind_options=bind_options)
    return mount


def _with_defaults(given: HostConfig, host: Host, default_runtime: str) -> HostConfig:
    is_swap_default = given.memory > 0 and given.memory_swap == 0
    pids_limit = given.pids_limit if given.pids_limit is not None and given.pids_limit > 0 else None
    masked, readonly = given.masked_paths, given.readonly_paths
    if not given.privileged:
        masked = (*MASKED_PATHS, *host.thermal_throttle_paths) if masked is None else masked
        readonly = READONLY_PATHS if readonly is None else readonly
    return attrs.evolve(
        given,
        restart_policy=RestartPolicy(
            name=given.restart_policy.name or "no", maximum_retry_count=given.restart_policy.maximum_retry_count
        ),
        memory_swap=_twice(given.memory) if is_swap_default else given.memory_swap,
        memory_swappiness=None if given.memory_swappiness == -1 else given.memory_swappiness,
        shm_size=given.shm_size or SHM_BYTES,
        ipc_mode=given.ipc_mode or "private",
        cgroupns_mode=given.cgroupns_mode or ("private" if host.is_cgroup_v2 else "host"),
        oom_kill_disable=bool(given.oom_kill_disable) and not host.is_cgroup_v2,
        cpu_percent=0,
        pids_limit=pids_limit,
        runtime=given.runtime or default_runtime,
        port_bindings=given.port_bindings or {},
        masked_paths=masked,
        readonly_paths=readonly,
    )


def _warnings(host_config: HostConfig, host: Host) -> tuple[str, ...]:
    warnings = []
    if host_config.oom_kill_disable and host.is_cgroup_v2:  # which has no such switch
        warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
    elif host_config.oom_kill_disable and host_config.memory == 0:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    if host_config.cpu_percent > 0:
        warnings.append("linux does not support CPU percent. Percent discarded.")
    if not host.is_ipv4_forwarding and host_config.network_mode not in ("host", "none"):
        warnings.append("IPv4 forwarding is disabled. Networking will not work.")
    if host_config.network_mode == "host" and host_config.port_bindings:
        warnings.append("Published ports are discarded when using host network mode")
    return tuple(warnings)


def _clean(path: str) -> str:
    """As Go's path.Clean: a leading double slash is one slash."""
    return posixpath.normpath(path).replace("//", "/", 1)


def _twice(memory: int) -> int:
    """As Docker computes it, in 64 bits: clients read no more, so what is too much for them turns over."""
    return (2 * memory + (1 << 63)) % (1 << 64) - (1 << 63)
