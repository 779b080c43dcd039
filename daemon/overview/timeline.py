"""The last minute of creates, second by second. Pure: it is told the time.

How long a create took is kept as the number of a bucket that is 2 % wider than the one before it, so a second takes as much
memory as there are different durations in it, a few hundred numbers at most, however many creates there were.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable

from daemon.outcomes import CREATED, FAILED
from daemon.overview import Span

SECONDS_KEPT = 60
"""What fits into a picture that is looked at for a second or two."""

RECENT_S = 10
"""Long enough for a percentile, short enough for now."""

_GROWTH = math.log(1.02)
_SHORTEST_S = 1e-6
_BUCKET_MAX = math.ceil(math.log(3600 / _SHORTEST_S) / _GROWTH)
"""An hour: longer than anything lasts here."""


class Timeline:
    """`now_s` is of any clock that only goes forward."""

    def __init__(self, now_s: float) -> None:
        self._began = math.ceil(now_s)
        """The first whole second."""
        self._seconds: deque[_Second] = deque()
        """Those in which there were any, the oldest first."""

    def add(self, now_s: float, outcome: str, took_s: float) -> None:
        number = math.floor(now_s)
        if not self._seconds or self._seconds[-1].number != number:
            self._forget(number)
            self._seconds.append(_Second(number))
        second = self._seconds[-1]
        if outcome == CREATED:
            second.buckets[_bucket(took_s)] += 1
        elif outcome == FAILED:
            second.failed += 1
        else:
            second.refused += 1

    def spans(self, now_s: float) -> tuple[Span, ...]:
        """Of each whole second."""
        present = math.floor(now_s)
        known = {second.number: second for second in self._seconds}
        numbers = range(max(self._began, present - SECONDS_KEPT), present)
        return tuple(_span([known[number]] if number in known else [], 1) for number in numbers)

    def recent(self, now_s: float) -> Span:
        """Of the last whole seconds together."""
        present = math.floor(now_s)
        first = max(self._began, present - RECENT_S)
        return _span([second for second in self._seconds if first <= second.number < present], max(present - first, 0))

    def _forget(self, number: int) -> None:
        while self._seconds and self._seconds[0].number < number - SECONDS_KEPT:
            self._seconds.popleft()


class _Second:
    def __init__(self, number: int) -> None:
        self.number = number
        self.buckets: Counter[int] = Counter()
        self.refused = 0
        self.failed = 0


def _span(seconds: Iterable[_Second], length_s: float) -> Span:
    buckets: Counter[int] = Counter()
    refused = failed = 0
    for second in seconds:
        buckets += second.buckets
        refused += second.refused
        failed += second.failed
    return Span(
        length_s=length_s,
        created=buckets.total(),
        refused=refused,
        failed=failed,
        p50_s=_quantile(buckets, 0.5),
        p99_s=_quantile(buckets, 0.99),
        longest_s=_quantile(buckets, 1.0),
    )


def _bucket(took_s: float) -> int:
    return min(round(math.log(max(took_s, _SHORTEST_S) / _SHORTEST_S) / _GROWTH), _BUCKET_MAX)


def _quantile(buckets: Counter[int], share: float) -> float | None:
    """By nearest rank; None of nothing."""
    rank = math.ceil(share * buckets.total())
    for bucket in sorted(buckets):
        rank -= buckets[bucket]
        if rank <= 0:
            return _SHORTEST_S * math.exp(bucket * _GROWTH)
    return None
