"""Limits that must fit each other and the kernel: refused, or given up with a warning where the kernel cannot do it.

`RULES` is moby v28 daemon_unix.go verifyPlatformContainerResources, row by row and in its order: each sees what those above it
have left. Texts are Moby's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import attrs
from msgspec.structs import replace

from daemon.container import HostConfig
from daemon.errors import InvalidParameter
from daemon.host import CPUS_MAX, Host, parse_number_list

MEMORY_BYTES_MIN = 6 << 20

_asked_for = attrgetter(
    "memory",
    "memory_swap",
    "memory_swappiness",
    "memory_reservation",
    "kernel_memory",
    "oom_kill_disable",
    "pids_limit",
    "nano_cpus",
    "cpu_shares",
    "cpu_period",
    "cpu_quota",
    "cpu_percent",
    "cpuset_cpus",
    "cpuset_mems",
    "blkio_weight",
    "io_maximum_bandwidth",
    "io_maximum_iops",
    "blkio_weight_device",
    "blkio_device_read_bps",
    "blkio_device_write_bps",
    "blkio_device_read_iops",
    "blkio_device_write_iops",
)
"""Every field that a rule looks at."""

_NOTHING = _asked_for(HostConfig())

Complain = Callable[[HostConfig, Host], str | None]
Applies = Callable[[HostConfig, Host], bool]


@attrs.frozen
class Refuse:
    """The text that the client is told, if the limits break this rule."""

    complain: Complain


@attrs.frozen
class Discard:
    """What is taken back, and the warning for the client, which is empty where nobody minds."""

    applies: Applies
    warning: str
    changes: Mapping[str, Any]
    """Any: a field's name and its new value, whatever type that field has."""


def fit_limits(limits: HostConfig, host: Host) -> tuple[HostConfig, tuple[str, ...]]:
    """The limits as this kernel can keep them, and the warnings for the client.

    Raises:
        InvalidParameter: they break a rule.
    """
    if _asked_for(limits) == _NOTHING:
        return limits, ()  # as most: it is not worth going through the rules
    warnings = []
    for rule in RULES:
        if isinstance(rule, Refuse):
            if (text := rule.complain(limits, host)) is not None:
                raise InvalidParameter(text)
        elif rule.applies(limits, host):
            limits = replace(limits, **rule.changes)
            if rule.warning:
                warnings.append(rule.warning)
    return limits, tuple(warnings)


def _refuse(breaks: Applies, text: str) -> Refuse:
    return Refuse(lambda limits, host: text if breaks(limits, host) else None)


def _without(ability: str, is_set: Callable[[HostConfig], object], warning: str, **changes: object) -> Discard:
    """Given up where the kernel has not the ability."""
    return Discard(lambda limits, host: bool(is_set(limits)) and not getattr(host.abilities, ability), warning, changes)


def _swappiness(limits: HostConfig, host: Host) -> str | None:
    value = limits.memory_swappiness
    if value is None or 0 <= value <= 100:
        return None
    return f"Invalid value: {value}, valid memory swappiness range is 0-100"


def _cpu_range(limits: HostConfig, host: Host) -> str | None:
    if 0 <= limits.nano_cpus <= host.cpus * 1_000_000_000:
        return None
    return f"range of CPUs is from 0.01 to {host.cpus}.00, as there are only {host.cpus} CPUs available"


def _cpus(limits: HostConfig, host: Host) -> str | None:
    return _subset(limits.cpuset_cpus, host.abilities.cpus, field="cpus", things="CPUs")


def _memory_nodes(limits: HostConfig, host: Host) -> str | None:
    # Unlike Moby: against the nodes there are, where it looks among the CPUs (pkg/sysinfo applyCPUSetCgroupInfo).
    return _subset(limits.cpuset_mems, host.abilities.memory_nodes, field="mems", things="memory nodes")


def _subset(requested: str, available: str, *, field: str, things: str) -> str | None:
    if not requested:
        return None
    try:
        there = parse_number_list(available)
    except ValueError:
        there = frozenset()
    try:
        wanted = parse_number_list(requested, max(CPUS_MAX, *there, 0))
    except ValueError as error:
        return f"Invalid value {requested} for cpuset {field}: {error}"
    if wanted <= there:
        return None
    return f"Requested {things} are not available - requested {requested}, available: {available}"


_NO_MEMORY = (
    "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."
)
_NO_SWAP = (
    "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
)
_NO_SWAPPINESS = (
    "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
    "Memory swappiness discarded."
)
_NO_RESERVATION = (
    "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded."
)
_NO_KERNEL_MEMORY = (
    "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded."
)
_NO_OOM_SWITCH = "Your kernel does not support OomKillDisable. OomKillDisable discarded."
_NO_OOM_LIMIT = (
    "OOM killer is disabled for the container, but no memory limit is set, "
    "this can result in the system running out of resources."
)
_NO_PIDS = "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."
_NO_SHARES = "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded."
_NO_CFS = "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."
_NO_CPUSET = "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded."
_NO_WEIGHT = "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
_NO_WEIGHT_DEVICE = (
    "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded."
)
_NO_BPS = "Your kernel does not support BPS Block I/O {0} limit or the cgroup is not mounted. Block I/O BPS {0} limit discarded."
_NO_IOPS = "Your kernel does not support IOPS Block {0} limit or the cgroup is not mounted. Block I/O IOPS {0} limit discarded."

RULES: tuple[Refuse | Discard, ...] = (
    Discard(lambda limits, _: limits.memory_swappiness == -1, "", {"memory_swappiness": None}),
    # Memory
    _refuse(lambda limits, _: 0 != limits.memory < MEMORY_BYTES_MIN, "Minimum memory limit allowed is 6MB"),
    _without("memory_limit", lambda limits: limits.memory > 0, _NO_MEMORY, memory=0, memory_swap=-1),
    _without("swap_limit", lambda limits: limits.memory > 0 and limits.memory_swap != -1, _NO_SWAP, memory_swap=-1),
    _refuse(
        lambda limits, _: limits.memory > 0 and 0 < limits.memory_swap < limits.memory,
        "Minimum memoryswap limit should be larger than memory limit, see usage",
    ),
    _refuse(
        lambda limits, _: limits.memory == 0 and limits.memory_swap > 0,
        "You should always set the Memory limit when using Memoryswap limit, see usage",
    ),
    _without(
        "memory_swappiness", lambda limits: limits.memory_swappiness is not None, _NO_SWAPPINESS, memory_swappiness=None
    ),
    Refuse(_swappiness),
    _without("memory_reservation", lambda limits: limits.memory_reservation > 0, _NO_RESERVATION, memory_reservation=0),
    _refuse(
        lambda limits, _: 0 < limits.memory_reservation < MEMORY_BYTES_MIN, "Minimum memory reservation allowed is 6MB"
    ),
    _refuse(
        lambda limits, _: 0 < limits.memory < limits.memory_reservation,
        "Minimum memory limit can not be less than memory reservation limit, see usage",
    ),
    _without("kernel_memory", lambda limits: limits.kernel_memory > 0, _NO_KERNEL_MEMORY, kernel_memory=0),
    _refuse(
        lambda limits, _: 0 < limits.kernel_memory < MEMORY_BYTES_MIN, "Minimum kernel memory limit allowed is 6MB"
    ),
    _without("oom_kill_disable", lambda limits: limits.oom_kill_disable, _NO_OOM_SWITCH, oom_kill_disable=None),
    _without("oom_kill_disable", lambda limits: limits.oom_kill_disable is not None, "", oom_kill_disable=None),
    Discard(lambda limits, _: bool(limits.oom_kill_disable) and limits.memory == 0, _NO_OOM_LIMIT, {}),
    _without("pids_limit", lambda limits: limits.pids_limit and limits.pids_limit > 0, _NO_PIDS, pids_limit=None),
    _without("pids_limit", lambda limits: limits.pids_limit is not None, "", pids_limit=None),
    # CPU
    _refuse(
        lambda limits, _: limits.nano_cpus > 0 and limits.cpu_period > 0,
        "Conflicting options: Nano CPUs and CPU Period cannot both be set",
    ),
    _refuse(
        lambda limits, _: limits.nano_cpus > 0 and limits.cpu_quota > 0,
        "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
    ),
    _refuse(
        lambda limits, host: limits.nano_cpus > 0 and not host.abilities.cpu_cfs,
        "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
    ),
    Refuse(_cpu_range),
    _without("cpu_shares", lambda limits: limits.cpu_shares > 0, _NO_SHARES, cpu_shares=0),
    _without("cpu_cfs", lambda limits: limits.cpu_period or limits.cpu_quota, _NO_CFS, cpu_period=0, cpu_quota=0),
    _refuse(
        lambda limits, _: limits.cpu_period != 0 and not 1000 <= limits.cpu_period <= 1_000_000,
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    ),
    _refuse(lambda limits, _: 0 < limits.cpu_quota < 1000, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    Discard(
        lambda limits, _: limits.cpu_percent > 0,
        "linux does not support CPU percent. Percent discarded.",
        {"cpu_percent": 0},
    ),
    _without(
        "cpuset", lambda limits: limits.cpuset_cpus or limits.cpuset_mems, _NO_CPUSET, cpuset_cpus="", cpuset_mems=""
    ),
    Refuse(_cpus),
    Refuse(_memory_nodes),
    # Block devices
    _without("blkio_weight", lambda limits: limits.blkio_weight > 0, _NO_WEIGHT, blkio_weight=0),
    _refuse(
        lambda limits, _: limits.blkio_weight != 0 and not 10 <= limits.blkio_weight <= 1000,
        "Range of blkio weight is from 10 to 1000",
    ),
    _refuse(
        lambda limits, _: bool(limits.io_maximum_bandwidth or limits.io_maximum_iops),
        "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
    ),
    _without(
        "blkio_weight_device", lambda limits: limits.blkio_weight_device, _NO_WEIGHT_DEVICE, blkio_weight_device=()
    ),
    _without(
        "blkio_read_bps", lambda limits: limits.blkio_device_read_bps, _NO_BPS.format("read"), blkio_device_read_bps=()
    ),
    _without(
        "blkio_write_bps",
        lambda limits: limits.blkio_device_write_bps,
        _NO_BPS.format("write"),
        blkio_device_write_bps=(),
    ),
    _without(
        "blkio_read_iops",
        lambda limits: limits.blkio_device_read_iops,
        _NO_IOPS.format("read"),
        blkio_device_read_iops=(),
    ),
    _without(
        "blkio_write_iops",
        lambda limits: limits.blkio_device_write_iops,
        _NO_IOPS.format("write"),
        blkio_device_write_iops=(),
    ),
)
