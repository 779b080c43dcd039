"""What becomes of a create, in one word: for whoever counts them."""

from __future__ import annotations

import anyio

from daemon.errors import Cancelled, Conflict, Forbidden, InvalidParameter, NotFound, Unavailable

OUTCOMES: tuple[tuple[type[Exception], str], ...] = (
    (NotFound, "not_found"),
    (InvalidParameter, "invalid"),
    (Conflict, "conflict"),
    (Forbidden, "forbidden"),
    (Unavailable, "unavailable"),
    (Cancelled, "cancelled"),
)
"""Of one that is refused; the first that fits counts."""

CREATED, CANCELLED, FAILED = "created", "cancelled", "failed"


def outcome_of(error: BaseException) -> str:
    """What to call the end of a create by that error."""
    if isinstance(error, anyio.get_cancelled_exc_class()):
        return CANCELLED  # its client has gone away, or the daemon is stopping
    return next((name for kind, name in OUTCOMES if isinstance(error, kind)), FAILED)
