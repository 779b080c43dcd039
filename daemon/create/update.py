"""`docker update`, decided: whether the new limits make sense, and what a container's settings are with them. Pure.

Rules: moby v28 daemon/update.go, container/container_unix.go UpdateContainer. What an update leaves out stays as it is, so 0
and an empty text change nothing; only of `pids_limit` is 0 a value.
"""

from __future__ import annotations

from msgspec.structs import replace

from daemon.container import ContainerConfig, HostConfig, RestartPolicy
from daemon.create.checks.host_config import restart_policy_is_known
from daemon.create.checks.resources import fit_limits
from daemon.create.request import CreateRequest
from daemon.errors import Conflict, InvalidParameter
from daemon.host import Host

RESOURCES = frozenset(
    (
        "cpu_shares memory nano_cpus cgroup_parent blkio_weight blkio_weight_device blkio_device_read_bps "
        "blkio_device_write_bps blkio_device_read_iops blkio_device_write_iops cpu_period cpu_quota cpu_realtime_period "
        "cpu_realtime_runtime cpuset_cpus cpuset_mems devices device_cgroup_rules device_requests kernel_memory "
        "kernel_memory_tcp memory_reservation memory_swap memory_swappiness oom_kill_disable pids_limit ulimits cpu_count "
        "cpu_percent io_maximum_iops io_maximum_bandwidth"
    ).split()
)
"""The limits that a request may speak of; those that an update changes are fewer."""

UPDATABLE = frozenset({*RESOURCES, "restart_policy"})

_CHANGED = (
    "blkio_weight cpu_shares nano_cpus cpu_period cpu_quota cpuset_cpus cpuset_mems memory memory_swap memory_reservation "
    "kernel_memory cpu_realtime_period cpu_realtime_runtime"
).split()


def check_update(limits: HostConfig, host: Host) -> tuple[HostConfig, tuple[str, ...]]:
    """The limits as this kernel can keep them, and what Docker warns of. Of `limits` only what is `UPDATABLE` counts.

    Raises:
        InvalidParameter: they make no sense in any container.
    """
    judged = limits
    if not limits.restart_policy.name:  # the policy stays, whatever else is said of it
        judged = replace(judged, restart_policy=RestartPolicy())
    text = restart_policy_is_known(CreateRequest(config=ContainerConfig(), host_config=judged), host)
    if text is not None:
        raise InvalidParameter(text)
    # An update may move the swap limit alone: the memory limit beside it is then the container's.
    alone = limits.memory_swap if not limits.memory else 0
    fitted, warnings = fit_limits(replace(limits, memory_swap=0) if alone else limits, host)
    if alone:
        fitted = replace(fitted, memory_swap=alone)
    if not host.is_ipv4_forwarding:
        warnings = (*warnings, "IPv4 forwarding is disabled. Networking will not work.")
    return fitted, warnings


def updated(present: HostConfig, limits: HostConfig) -> HostConfig:
    """The settings of a container after an update. Raises Conflict where the new limits do not fit those that stay."""
    for text, is_broken in (
        ("Nano CPUs cannot be updated as CPU Period has already been set", limits.nano_cpus > 0 < present.cpu_period),
        ("Nano CPUs cannot be updated as CPU Quota has already been set", limits.nano_cpus > 0 < present.cpu_quota),
        ("CPU Period cannot be updated as NanoCPUs has already been set", limits.cpu_period > 0 < present.nano_cpus),
        ("CPU Quota cannot be updated as NanoCPUs has already been set", limits.cpu_quota > 0 < present.nano_cpus),
    ):
        if is_broken:
            raise Conflict(f"Conflicting options: {text}")
    if limits.memory and not limits.memory_swap and limits.memory > present.memory_swap:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    policy = limits.restart_policy
    if policy.name not in ("", "no") and present.auto_remove:
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
    changes: dict[str, object] = {name: value for name in _CHANGED if (value := getattr(limits, name))}
    if limits.pids_limit is not None:
        changes["pids_limit"] = limits.pids_limit
    if policy.name:
        changes["restart_policy"] = policy
    return replace(present, **changes)
