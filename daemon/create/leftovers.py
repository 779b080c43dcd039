"""Removing things goes past a point of no return: the record is gone, durably, and what is left of the thing must follow.

Failing at that is no answer to a client, who would take it that the thing is still there. Unlike Moby, where the record goes last
(daemon/delete.go cleanupContainer) and what cannot be removed stays listed, as dead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from actors import ActorError
from daemon.errors import DaemonError

_log = logging.getLogger(__name__)


@contextmanager
def left_to_recovery(what: str, note_residue: Callable[[], None]) -> Iterator[None]:
    """What cannot be cleared away in this block of `what` is told in the log, and goes when the daemon is started again.

    `note_residue` makes that start look for it; `fsck --repair` finds it, too.
    """
    try:
        yield
    except (DaemonError, ActorError) as error:
        note_residue()
        _log.error("what is left of %s, which has been removed, is left to the next start: %s", what, error)
