"""The restart decision, pure: who is stopped, who is started again, when is it enough.

The clauses are those of OTP's supervisor (stdlib `supervisor`, "Supervision Principles").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import TypeVar

import attrs

from actors._child import Restart, Strategy

T = TypeVar("T")


def is_restarted(restart: Restart, *, crashed: bool) -> bool:
    """Whether a child that ended by itself is started again."""
    return restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and crashed)


def affected_siblings(strategy: Strategy, children: Sequence[T], failed: T) -> Sequence[T]:
    """The children to stop and start again because `failed` is restarted, itself included, in start order."""
    if strategy == "one_for_one":
        return (failed,)
    if strategy == "one_for_all":
        return tuple(children)
    return tuple(children[children.index(failed) :])


@attrs.frozen(kw_only=True)
class Backoff:
    """How long to wait before a restart: `first_s`, then `factor` times as long each time, at most `max_s`.

    `jitter` is the part of the delay that is drawn at random on top of it, so that many actors that lost the same thing do not
    come back for it at the same instant. A child that has been up for longer than its last delay starts over.
    """

    first_s: float = 0.1
    factor: float = 2.0
    max_s: float = 30.0
    jitter: float = 0.5

    def delay_s(self, restarts_in_a_row: int, rng: Random) -> float:
        """Before the restart of that number, counted from 1."""
        # The exponent is bounded because a float is: what is that far out is `max_s` anyway.
        grown = self.first_s * self.factor ** min(restarts_in_a_row - 1, _EXPONENT_MAX)
        return min(grown, self.max_s) * (1 + self.jitter * rng.random())


_EXPONENT_MAX = 64


class Intensity:
    """A budget of restarts: at most `restarts_max` in any window of `period_s` seconds."""

    def __init__(self, restarts_max: int, period_s: float) -> None:
        if restarts_max < 0 or period_s <= 0:
            raise ValueError(f"intensity needs restarts >= 0 and a period > 0, not ({restarts_max}, {period_s})")
        self.restarts_max = restarts_max
        self.period_s = period_s
        self._restarts: deque[float] = deque()

    def allows(self, now: float) -> bool:
        """Spend one restart; false when the budget is exhausted."""
        while self._restarts and self._restarts[0] <= now - self.period_s:
            self._restarts.popleft()
        if len(self._restarts) >= self.restarts_max:
            return False
        self._restarts.append(now)
        return True
