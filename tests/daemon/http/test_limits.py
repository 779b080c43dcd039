"""How much time a connection has of a limit."""

from __future__ import annotations

from daemon.http.limits import SPREAD, share_of


def test_300_connections_that_stall_at_once_are_not_given_up_at_once() -> None:
    shares = sorted(share_of(descriptor) for descriptor in range(20, 320))
    assert shares[0] > 1 - SPREAD
    assert shares[-1] == 1
    assert max(shares.count(share) for share in shares) <= 2
