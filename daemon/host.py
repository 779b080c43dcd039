"""What this machine is and can do, found out once: the facts that validation and `info` depend on."""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path

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


@attrs.frozen(kw_only=True)
class Host:
    name: str
    kernel_version: str
    operating_system: str
    machine: str
    """As `uname -m` says."""
    architecture: str
    """As images say: `amd64`."""
    cpus: int
    memory_bytes: int
    is_cgroup_v2: bool
    is_ipv4_forwarding: bool
    thermal_throttle_paths: tuple[str, ...] = ()
    """Files under /sys that leak power use; masked in containers where they exist (GHSA-6fw5-f8r9-fgfm)."""


def detect() -> Host:
    uname = os.uname()
    throttles = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle")
    return Host(
        name=socket.gethostname(),
        kernel_version=uname.release,
        operating_system=_operating_system(),
        machine=uname.machine,
        architecture=ARCHITECTURES.get(uname.machine, uname.machine),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        is_cgroup_v2=Path("/sys/fs/cgroup/cgroup.controllers").exists(),
        is_ipv4_forwarding=_read("/proc/sys/net/ipv4/ip_forward") == "1",
        thermal_throttle_paths=tuple(sorted(str(path) for path in throttles)),
    )


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "Linux"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
