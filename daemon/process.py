"""What this process takes from the kernel, descriptors; what it keeps from others, its memory; the modes of its files."""

from __future__ import annotations

import ctypes
import resource
from pathlib import Path

UMASK = 0o022
"""As dockerd's: modes are those of images and of our own tables, not of whoever starts us."""

_DUMPABLE = 4
"""PR_SET_DUMPABLE of linux/prctl.h."""

DESCRIPTORS_WANTED = 65_536
"""Many times `connections_max`; where a hard limit is above that (it may be a thousand million) nobody needs so many."""

DESCRIPTORS_KEPT = 56
"""Not for connections: 25 that are always open, 16 of clients that are turned away, and what creates open in worker threads. A
create that finds none left would have to be refused, too."""


def raise_descriptor_limit() -> None:
    """As far as we may, and not above what we want. For a process that is the daemon's own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descriptor_limit() -> int:
    """How many there may be now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else DESCRIPTORS_WANTED


def keep_memory_private() -> None:
    """No core dump, and no look at our memory for other processes of our user, but for root's: in it are the environments of
    containers and the passwords of registries. What we start has no core dump either (prctl(2), core(5))."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_DUMPABLE, 0, 0, 0, 0)  # fails for other values only


def umask() -> int:
    """Of this process, read without setting it, as another thread may be making a file (proc(5), since Linux 4.7)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return UMASK
