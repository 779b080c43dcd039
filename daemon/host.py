"""What this machine is and can do, found out once: the facts that validation and `info` depend on.

`detect` is the one function that reads; everything else parses what was read. What Docker asks of a kernel, and by which files
it tells, is in moby v28 pkg/sysinfo and oci/caps; the variants of processors are those of tonistiigi/go-archvariant.
"""

from __future__ import annotations

import os
import platform
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "s390x": "s390x",
    "ppc64le": "ppc64le",
}
"""The kernel's names of machines, and Go's, which images use."""

CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
"""In the order of their bits (capabilities(7))."""

CPUS_MAX = 8192
"""The most that Linux is built for; a list with a larger number is refused before it is spelled out (CVE-2018-20699)."""

INT_MAX = 2**63 - 1


@attrs.frozen(kw_only=True)
class Abilities:
    """What the control groups of this kernel can limit. By default everything."""

    memory_limit: bool = True
    swap_limit: bool = True
    memory_reservation: bool = True
    memory_swappiness: bool = True
    oom_kill_disable: bool = True
    kernel_memory: bool = True
    kernel_memory_tcp: bool = True
    cpu_shares: bool = True
    cpu_cfs: bool = True
    cpu_realtime: bool = True
    cpuset: bool = True
    cpus: str = ""
    """The list of those that may be asked for, `0-3`, as the kernel writes it."""
    memory_nodes: str = ""
    blkio_weight: bool = True
    blkio_weight_device: bool = True
    blkio_read_bps: bool = True
    blkio_write_bps: bool = True
    blkio_read_iops: bool = True
    blkio_write_iops: bool = True
    pids_limit: bool = True
    cgroup_namespaces: bool = True


_NONE: Mapping[str, Any] = {field.name: False for field in attrs.fields(Abilities) if field.default is True}
NO_ABILITIES = Abilities(**_NONE)


@attrs.frozen(kw_only=True)
class Host:
    name: str
    kernel_version: str
    operating_system: str
    machine: str
    """As `uname -m` says."""
    architecture: str
    """As images say: `amd64`."""
    variant: str = ""
    """Of the architecture, `v3`; empty where there is none."""
    cpus: int
    memory_bytes: int
    is_cgroup_v2: bool
    is_systemd: bool = False
    """Whether systemd owns the tree of control groups."""
    is_ipv4_forwarding: bool
    abilities: Abilities = Abilities()
    capabilities: frozenset[str] = frozenset(CAPABILITIES)
    """Those that containers can have here, without `CAP_`."""
    thermal_throttle_paths: tuple[str, ...] = ()
    """Files under /sys that leak power use; masked in containers where they exist (GHSA-6fw5-f8r9-fgfm)."""


def detect(root: Path = Path("/")) -> Host:
    """`root` is where `proc`, `sys` and `run` are."""
    uname = os.uname()
    architecture = ARCHITECTURES.get(uname.machine, uname.machine)
    is_cgroup_v2 = (root / "sys/fs/cgroup/cgroup.controllers").exists()
    is_systemd = (root / "run/systemd/system").is_dir()
    # Unlike Moby, whose daemon has all that it can give: our unit leaves this process fewer than its machine has.
    giver = "1" if is_systemd else "self"
    throttles = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle")
    return Host(
        name=socket.gethostname(),
        kernel_version=uname.release,
        operating_system=_operating_system(),
        machine=uname.machine,
        architecture=architecture,
        variant=processor_variant(_read(root / "proc/cpuinfo"), architecture),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        is_cgroup_v2=is_cgroup_v2,
        is_systemd=is_systemd,
        is_ipv4_forwarding=_read(root / "proc/sys/net/ipv4/ip_forward") == "1",
        abilities=_abilities_v2(root) if is_cgroup_v2 else _abilities_v1(root),
        capabilities=effective_capabilities(_read(root / f"proc/{giver}/status")),
        thermal_throttle_paths=tuple(sorted(f"/{path.relative_to(root)}" for path in throttles)),
    )


# Control groups ----------------------------------------------------------------------------------------------------------


def _abilities_v2(root: Path) -> Abilities:
    groups = root / "sys/fs/cgroup"
    has = set(_read(groups / "cgroup.controllers").split())
    # The root group has no limits of its own, so whether swap can be limited shows in this process's group.
    own = groups / unified_group(_read(root / "proc/self/cgroup")).lstrip("/")
    return attrs.evolve(
        NO_ABILITIES,
        memory_limit="memory" in has,
        swap_limit="memory" in has and (own / "memory.swap.max").exists(),
        memory_reservation="memory" in has,
        cpu_shares="cpu" in has,
        cpu_cfs="cpu" in has,
        cpuset="cpuset" in has,
        cpus=_read(groups / "cpuset.cpus.effective") if "cpuset" in has else "",
        memory_nodes=_read(groups / "cpuset.mems.effective") if "cpuset" in has else "",
        **dict.fromkeys(_BLKIO_FILES, "io" in has),
        pids_limit="pids" in has,
        cgroup_namespaces=(root / "proc/self/ns/cgroup").exists(),
    )


_BLKIO_FILES = {
    "blkio_weight": "blkio.weight",
    "blkio_weight_device": "blkio.weight_device",
    "blkio_read_bps": "blkio.throttle.read_bps_device",
    "blkio_write_bps": "blkio.throttle.write_bps_device",
    "blkio_read_iops": "blkio.throttle.read_iops_device",
    "blkio_write_iops": "blkio.throttle.write_iops_device",
}
_FILES_V1: Mapping[str, Mapping[str, str]] = {
    "memory": {
        "memory_limit": "",
        "swap_limit": "memory.memsw.limit_in_bytes",
        "memory_reservation": "memory.soft_limit_in_bytes",
        "memory_swappiness": "memory.swappiness",
        "oom_kill_disable": "memory.oom_control",
        "kernel_memory": "memory.kmem.limit_in_bytes",
        "kernel_memory_tcp": "memory.kmem.tcp.limit_in_bytes",
    },
    "cpu": {"cpu_shares": "cpu.shares", "cpu_cfs": "cpu.cfs_quota_us", "cpu_realtime": "cpu.rt_period_us"},
    "cpuset": {"cpuset": ""},
    "blkio": _BLKIO_FILES,
    "pids": {"pids_limit": ""},
}
"""By which file in a subsystem's root an ability is known; by the mount alone where that is empty."""


def _abilities_v1(root: Path) -> Abilities:
    mounts = subsystem_mounts(_read(root / "proc/self/mountinfo"), _read(root / "proc/self/cgroup"))
    found = {
        ability: (root / mounts[subsystem].lstrip("/") / file).exists()
        for subsystem, files in _FILES_V1.items()
        if subsystem in mounts
        for ability, file in files.items()
    }
    cpuset = root / mounts.get("cpuset", "/nowhere").lstrip("/")
    return attrs.evolve(
        NO_ABILITIES,
        **found,
        cpus=_read(cpuset / "cpuset.cpus"),
        memory_nodes=_read(cpuset / "cpuset.mems"),
        cgroup_namespaces=(root / "proc/self/ns/cgroup").exists(),
    )


def subsystem_mounts(mountinfo: str, own_groups: str) -> dict[str, str]:
    """Where each subsystem of control groups, version 1, is mounted: `/proc/self/mountinfo` and `/proc/self/cgroup`."""
    known = {name for line in own_groups.splitlines() for name in line.split(":", 2)[1].split(",") if name}
    mounts: dict[str, str] = {}
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        kind, *rest = right.split(" ")
        if not separator or kind != "cgroup" or not rest:
            continue
        for option in rest[-1].split(","):
            if option in known:
                mounts.setdefault(option.removeprefix("name="), _unescape(left.split(" ")[4]))
    return mounts


def unified_group(own_groups: str) -> str:
    """This process's group in version 2, the root where it says none."""
    return next((line[3:] for line in own_groups.splitlines() if line.startswith("0::")), "/")


def _unescape(path: str) -> str:
    """The kernel writes a blank in a path as `\\040` (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def parse_number_list(text: str, number_max: int = 0) -> frozenset[int]:
    """The numbers of `0-2,7`. A `number_max` of 0 is none.

    Raises:
        ValueError: it is no such list, or has a number above `number_max`; in Docker's words (pkg/sysinfo parseUintList).
    """
    bits = 0  # not a set, and nothing twice: 4 MB of "0-8192,0-8192" would hold the daemon up for minutes
    for part in dict.fromkeys(text.split(",")) if text else ():
        first, is_range, last = part.partition("-")
        start, end = _integer(first), _integer(last if is_range else first)
        if start is None or end is None or end < start:
            raise ValueError(f"invalid format: {text}")
        if number_max and end > number_max:
            raise ValueError(f"value of out range, maximum is {number_max}")
        bits |= (1 << end + 1) - (1 << start)
    return frozenset(number for number in range(bits.bit_length()) if bits >> number & 1)


def _integer(text: str) -> int | None:
    """As Go's strconv.Atoi, but for the minus sign, which is a dash here."""
    number = int(text) if re.fullmatch(r"\+?[0-9]{1,40}", text, re.ASCII) else INT_MAX + 1
    return number if number <= INT_MAX else None


# Capabilities and processors ---------------------------------------------------------------------------------------------


def effective_capabilities(status: str) -> frozenset[str]:
    """From the `status` of a process; all there are where that does not say."""
    match = re.search(r"^CapEff:\s*([0-9a-f]{1,16})$", status, re.ASCII | re.MULTILINE)
    if match is None:
        return frozenset(CAPABILITIES)
    bits = int(match[1], 16)
    has = frozenset(name for number, name in enumerate(CAPABILITIES) if bits >> number & 1)
    return has or frozenset(CAPABILITIES)  # with none, Docker leaves the answer to the runtime


_LEVELS: tuple[tuple[str, frozenset[str]], ...] = (
    ("v2", frozenset("pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm".split())),
    ("v3", frozenset("fma movbe xsave avx f16c bmi1 avx2 bmi2 abm".split())),
    ("v4", frozenset("avx512f avx512dq avx512cd avx512bw avx512vl".split())),
)
"""What a level of the x86-64 psABI has that those below it have not, in the names of /proc/cpuinfo."""

_ARM_VARIANTS = {"8": "v8", "aarch64": "v8", "7": "v7", "7m": "v7", "6": "v6", "6tej": "v6", "5": "v5", "5tej": "v5"}


def processor_variant(cpuinfo: str, architecture: str) -> str:
    """`v1` to `v4` of amd64, `v5` to `v8` of ARM; empty for others."""
    fields = _cpuinfo_fields(cpuinfo.splitlines())
    if architecture == "amd64":
        flags = set(fields.get("flags", "").split())
        variant = "v1"
        for name, needed in _LEVELS:
            if not needed <= flags:
                break
            variant = name
        return variant
    if architecture in ("arm", "arm64"):
        default = "8" if architecture == "arm64" else "7"
        return _ARM_VARIANTS.get(fields.get("cpu architecture", default).lower(), "unknown")
    return ""


def _cpuinfo_fields(lines: Iterable[str]) -> dict[str, str]:
    """Of the first processor; keys in lower case."""
    fields: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip().lower(), value.strip())
    return fields


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "Linux"


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
