"""Whether two sets of measurements differ, and by how much. Pure.

Mann, Whitney (1947): ranks instead of values, so nothing is assumed of their distribution, and an outlier counts as one. The
ratio's interval is a percentile bootstrap (Efron, Tibshirani 1993, chapter 13) of the ratio of medians.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from random import Random
from statistics import NormalDist, median

EXACT_MAX = 900  # of n * m up to which p is counted out instead of approximated, if there are no ties
RESAMPLES = 10_000


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """The two-sided p: how likely a difference in rank as large as this one is, if there is none. 1.0 when one is empty."""
    if not a or not b:
        return 1.0
    rank, ties = _ranks([*a, *b])
    u = sum(rank[value] for value in a) - len(a) * (len(a) + 1) / 2
    smaller = min(u, len(a) * len(b) - u)
    if not ties and len(a) * len(b) <= EXACT_MAX:
        return _exact_p(smaller, len(a), len(b))
    return _normal_p(smaller, len(a), len(b), ties)


def ratio_interval(
    a: Sequence[float], b: Sequence[float], rng: Random, *, confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float, float]:
    """median(a) / median(b), and the interval that holds it with `confidence`. Values are positive."""
    ratios = sorted(median(rng.choices(a, k=len(a))) / median(rng.choices(b, k=len(b))) for _ in range(resamples))
    tail = (1 - confidence) / 2
    low = ratios[math.floor(tail * (resamples - 1))]
    high = ratios[math.ceil((1 - tail) * (resamples - 1))]
    return median(a) / median(b), low, high


def _ranks(values: Sequence[float]) -> tuple[dict[float, float], list[int]]:
    """The mean rank of each value, from 1, and how many share a rank, for each rank that is shared."""
    ranks: dict[float, float] = {}
    ties: list[int] = []
    below = 0
    for value, count in sorted(Counter(values).items()):
        ranks[value] = below + (count + 1) / 2
        below += count
        if count > 1:
            ties.append(count)
    return ranks, ties


def _exact_p(u: float, n: int, m: int) -> float:
    """Twice the share of all arrangements whose U is at most this one's."""
    # ways[k][s]: choices of k ranks, of those looked at so far, whose U is s; a rank adds how many of the others lie below it.
    limit = int(u)
    ways = [[1] + [0] * limit] + [[0] * (limit + 1) for _ in range(n)]
    for position in range(n + m):
        for k in range(min(n, position + 1), 0, -1):
            below = position - (k - 1)  # of the others, if this rank is the k-th that is chosen
            if below > m:
                continue
            for s in range(below, limit + 1):
                ways[k][s] += ways[k - 1][s - below]
    return min(1.0, 2 * sum(ways[n]) / math.comb(n + m, n))


def _normal_p(u: float, n: int, m: int, ties: Sequence[int]) -> float:
    """By the normal approximation, corrected for ties and for continuity."""
    total = n + m
    correction = sum(count**3 - count for count in ties) / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - correction)
    if variance <= 0:
        return 1.0
    z = (n * m / 2 - u - 0.5) / math.sqrt(variance)
    return min(1.0, 2 * (1 - NormalDist().cdf(z)))
