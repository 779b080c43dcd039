"""What this process takes from the kernel, descriptors; and what it keeps from others, its memory."""

from __future__ import annotations

import ctypes
import resource

_DUMPABLE = 4
"""PR_SET_DUMPABLE of linux/prctl.h."""

DESCRIPTORS_WANTED = 65_536
"""Many times `connections_max`; where a hard limit is above that (it may be a thousand million) nobody needs so many."""

DESCRIPTORS_KEPT = 56
"""Not for connections: 25 that are always open, 16 of clients that are turned away, and what creates open in worker threads. A
create that finds none left would have to be refused, too."""


def raise_descriptor_limit() -> int:
    """As far as we may, and not above what we want; how many there may be now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft if soft != resource.RLIM_INFINITY else DESCRIPTORS_WANTED


def keep_memory_private() -> None:
    """No core dump, and no look at our memory for other processes of our user, but for root's: in it are the environments of
    containers and the passwords of registries. What we start has no core dump either (prctl(2), core(5))."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_DUMPABLE, 0, 0, 0, 0)  # fails for other values only
