"""A run over time, in intervals of one length. Pure.

Throughput and errors count where they were answered, times where the request was meant to start: so a stall shows as a gap in
the one and as a slope in the other. Percentiles of an interval describe the requests that were in it, however few; they are
no estimate.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import attrs

from loadtest.requests import OK
from loadtest.scenario import Operation
from loadtest.statistics import UNANSWERED, Samples, nearest_rank

INTERVALS_MAX = 120
_STEPS = (1, 2, 5)
_BANDS = (Fraction("0.5"), Fraction("0.9"), Fraction("0.99"), Fraction(1))


@attrs.frozen
class Interval:
    start_s: float
    created: int
    errors: int
    times_ns: tuple[int, int, int, int] | None
    """p50, p90, p99 and the longest response time of the creates meant to start in it; None if there were none."""


@attrs.frozen
class Series:
    interval_s: float
    intervals: tuple[Interval, ...]


def series(samples: Samples, *, is_expected_conflict: bool = False) -> Series:
    """`is_expected_conflict`: an answer 409 is no error."""
    answered = [sample for sample in samples if sample.status != UNANSWERED]
    if not answered:
        return Series(1.0, ())
    start_ns = min(sample.intended_start_ns for sample in answered)
    end_ns = max(sample.done_at_ns for sample in answered)
    step_ns = interval_ns(end_ns - start_ns)
    created: defaultdict[int, int] = defaultdict(int)
    errors: defaultdict[int, int] = defaultdict(int)
    times: defaultdict[int, list[int]] = defaultdict(list)
    for sample in answered:
        at = (sample.done_at_ns - start_ns) // step_ns
        if sample.status != OK[Operation(sample.operation)]:
            errors[at] += not (sample.status == 409 and is_expected_conflict)
        elif sample.operation == Operation.CREATE:
            created[at] += 1
            times[(sample.intended_start_ns - start_ns) // step_ns].append(sample.done_at_ns - sample.intended_start_ns)
    count = (end_ns - start_ns) // step_ns + 1
    return Series(
        step_ns / 1e9,
        tuple(Interval(at * step_ns / 1e9, created[at], errors[at], _bands(times[at])) for at in range(count)),
    )


def interval_ns(elapsed_ns: int) -> int:
    """1, 2 or 5 times a power of ten: the shortest that makes at most `INTERVALS_MAX` of it."""
    unit_ns = 1_000_000
    while True:
        for step in _STEPS:
            if elapsed_ns // (step * unit_ns) < INTERVALS_MAX:
                return step * unit_ns
        unit_ns *= 10


def _bands(values: list[int]) -> tuple[int, int, int, int] | None:
    if not values:
        return None
    values.sort()
    p50, p90, p99, longest = (nearest_rank(values, share) for share in _BANDS)
    return p50, p90, p99, longest
