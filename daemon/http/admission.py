"""Who may have a connection: so many in all, so many of one user, and only some users if the operator says so. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import attrs

from daemon.http.limits import Limits
from daemon.http.message import Peer


@attrs.frozen
class Refusal:
    status: int
    text: str
    would_make_room: Callable[[Peer], bool] = lambda _: False
    """Whether it would help if a connection of this one went."""


class Admission:
    """Count each connection in with `admit` and out with `leave`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._total = 0
        self._by_uid: Counter[int | None] = Counter()

    def refusal(self, peer: Peer) -> Refusal | None:
        """Why it may not stay, if so."""
        limits, uid = self.limits, peer.uid
        if (denial := self.denial(peer)) is not None:
            return denial
        if self._by_uid[uid] >= limits.connections_per_uid_max:
            of_whom = f"of uid {uid}" if uid is not None else "over TCP"
            return Refusal(503, f"too many connections {of_whom}", lambda other: other.uid == uid)
        if self._total >= limits.connections_max:
            return Refusal(503, "too many connections", lambda _: True)
        return None

    def denial(self, peer: Peer) -> Refusal | None:
        """Why it may not use the daemon, if so: also one that has a connection, as the list may have changed."""
        allowed, uid = self.limits.allowed_uids, peer.uid
        if allowed is None or uid is None or uid in allowed:
            return None
        return Refusal(403, f"uid {uid} may not use this daemon")

    def admit(self, peer: Peer) -> None:
        self._total += 1
        self._by_uid[peer.uid] += 1

    def leave(self, peer: Peer) -> None:
        self._total -= 1
        self._by_uid[peer.uid] -= 1
        if not self._by_uid[peer.uid]:
            del self._by_uid[peer.uid]
