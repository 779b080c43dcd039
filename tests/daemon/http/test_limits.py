"""How much time a connection has of a limit."""

from __future__ import annotations

from daemon.http.limits import SPREAD, in_part, spread_of


def test_300_connections_that_stall_at_once_are_not_given_up_at_once() -> None:
    limits_s = sorted(in_part(10, spread_of(descriptor)) for descriptor in range(20, 320))
    assert limits_s[0] > 10 * (1 - SPREAD)
    assert limits_s[-1] == 10
    assert max(limits_s.count(limit_s) for limit_s in limits_s) <= 2
