"""What a stranger may take of the server: sizes, numbers, times."""

from __future__ import annotations

import attrs

SPREAD = 0.1
"""The part of a time limit by which connections differ. Many that were opened together and then stall would else all have to be
answered in one turn of the event loop, and everybody's requests would wait for that."""

_PLACES = 256


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


def spread_of(descriptor: int) -> float:
    """A connection's place between 0 and 1; neighbours have different ones."""
    return descriptor % _PLACES / _PLACES


def in_part(limit_s: float, spread: float) -> float:
    """What a connection of that place has of a time limit."""
    return limit_s * (1 - SPREAD * spread)
