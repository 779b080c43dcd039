"""What a stranger may take of the server: sizes, numbers, times."""

from __future__ import annotations

import attrs

SPREAD = 0.1
"""The part of a time limit by which connections differ. Many that were opened together and then stall would else all have to be
answered in one turn of the event loop, and everybody's requests would wait for that."""

_SHARES = 256


@attrs.frozen(kw_only=True)
class Limits:
    """Each has its reason in `Config`, where it has the same name."""

    head_bytes_max: int
    headers_max: int
    connections_max: int
    connections_per_uid_max: int
    idle_grace_s: float
    allowed_uids: frozenset[int] | None
    head_timeout_s: float
    read_timeout_s: float
    body_timeout_s: float
    write_timeout_s: float


def share_of(descriptor: int) -> float:
    """How much of its time limits a connection has: between 1 - SPREAD and all. Neighbours have different shares."""
    return 1 - SPREAD * (descriptor % _SHARES) / _SHARES
