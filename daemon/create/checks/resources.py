"""Limits that must fit each other and the machine. Rules and texts: moby v28 daemon_unix.go verifyPlatformContainerResources."""

from __future__ import annotations

from daemon.create.request import CreateRequest
from daemon.host import Host

MEMORY_BYTES_MIN = 6 << 20


def memory_limits_fit_each_other(request: CreateRequest, host: Host) -> str | None:
    limits = request.host_config
    rows = (
        (0 != limits.memory < MEMORY_BYTES_MIN, "Minimum memory limit allowed is 6MB"),
        (
            limits.memory > 0 and 0 < limits.memory_swap < limits.memory,
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            limits.memory == 0 and limits.memory_swap > 0,
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            limits.memory_swappiness not in (None, -1) and not 0 <= (limits.memory_swappiness or 0) <= 100,
            f"Invalid value: {limits.memory_swappiness}, valid memory swappiness range is 0-100",
        ),
        (0 < limits.memory_reservation < MEMORY_BYTES_MIN, "Minimum memory reservation allowed is 6MB"),
        (
            limits.memory > 0 and limits.memory_reservation > 0 and limits.memory < limits.memory_reservation,
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (0 < limits.kernel_memory < MEMORY_BYTES_MIN, "Minimum kernel memory limit allowed is 6MB"),
    )
    return next((text for is_broken, text in rows if is_broken), None)


def cpu_limits_fit_each_other(request: CreateRequest, host: Host) -> str | None:
    limits = request.host_config
    rows = (
        (
            limits.nano_cpus > 0 and limits.cpu_period > 0,
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            limits.nano_cpus > 0 and limits.cpu_quota > 0,
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (
            not 0 <= limits.nano_cpus <= host.cpus * 1_000_000_000,
            f"range of CPUs is from 0.01 to {host.cpus}.00, as there are only {host.cpus} CPUs available",
        ),
        (
            limits.cpu_period != 0 and not 1000 <= limits.cpu_period <= 1_000_000,
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (0 < limits.cpu_quota < 1000, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    )
    return next((text for is_broken, text in rows if is_broken), None)


def blkio_weight_is_in_range(request: CreateRequest, host: Host) -> str | None:
    weight = request.host_config.blkio_weight
    return "Range of blkio weight is from 10 to 1000" if weight != 0 and not 10 <= weight <= 1000 else None
