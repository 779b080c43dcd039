"""What a stranger may take of the server: sizes, numbers, times."""

from __future__ import annotations

import attrs


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
