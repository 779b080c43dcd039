"""When requests are meant to start in an open loop: an absolute schedule that does not know how the server is doing.

Pure. Each time is counted from the start, never from the request before it, so a delay does not move those after it: the
schedule is kept, not corrected afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

NS_PER_S = 1_000_000_000


def constant(rate_per_s: float) -> Iterator[int]:
    """Nanoseconds after the start: 0, 1 / rate, 2 / rate, ... without end."""
    number = 0
    while True:
        yield round(number * NS_PER_S / rate_per_s)
        number += 1


def poisson(rate_per_s: float, rng: Random) -> Iterator[int]:
    """As `constant`, with exponential gaps: as independent users come, in bunches and with pauses."""
    at_s = 0.0
    while True:
        at_s += rng.expovariate(rate_per_s)
        yield round(at_s * NS_PER_S)


def measured_part(arrivals: Iterator[int], *, warmup_ns: int, duration_ns: int | None, limit: int) -> Iterator[int]:
    """Those of a run: all of the warm-up, then at most `limit`, and none `duration_ns` after it or later."""
    measured = 0
    for at_ns in arrivals:
        if duration_ns is not None and at_ns >= warmup_ns + duration_ns:
            return
        if at_ns >= warmup_ns:
            if measured == limit:
                return
            measured += 1
        yield at_ns
