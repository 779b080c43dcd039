"""What this process takes from the kernel, and what it keeps from others: descriptors, core dumps."""

from __future__ import annotations

import resource

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
