"""Throughput by concurrency, and the law it follows. Pure.

Gunther's Universal Scalability Law ("Guerrilla Capacity Planning", 2007, chapter 4): X(N) = r N / (1 + a (N - 1) + b N (N -
1)). `a` is what must be done one after another, `b` what each has to do because of each other. N / X(N) is linear in the
three unknowns, so the fit is one weighted least squares; what comes out negative has no meaning and is held at zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs


@attrs.frozen
class Fit:
    rate_per_s: float
    """Of one client."""
    contention: float
    coherency: float
    r_squared: float

    def throughput(self, concurrency: float) -> float:
        n = concurrency
        return self.rate_per_s * n / (1 + self.contention * (n - 1) + self.coherency * n * (n - 1))

    @property
    def best_concurrency(self) -> float | None:
        """Where throughput is highest; None when it levels off, or grows without end."""
        if self.coherency <= 0:
            return None
        return math.sqrt(max(0.0, 1 - self.contention) / self.coherency)


def fit(points: Sequence[tuple[int, float]]) -> Fit | None:
    """From (concurrency, throughput). None from fewer than three different concurrencies that got anything done."""
    usable = [(n, x) for n, x in points if x > 0]
    if len({n for n, _ in usable}) < 3:
        return None
    fits = [found for columns in ((0, 1, 2), (0, 1), (0, 2), (0,)) if (found := _fit(usable, columns)) is not None]
    best = min(fits, key=lambda found: _relative_error(found, usable))
    return attrs.evolve(best, r_squared=_r_squared(best, usable))


def _fit(points: Sequence[tuple[int, float]], columns: Sequence[int]) -> Fit | None:
    """By those of the unknowns that are not held at zero; None when one comes out negative."""
    solved = _solve(points, columns)
    if solved is None or solved[0] <= 0 or min(solved[1:]) < 0:
        return None
    scale, linear, quadratic = solved
    return Fit(1 / scale, linear / scale, quadratic / scale, 0.0)


def _solve(points: Sequence[tuple[int, float]], columns: Sequence[int]) -> list[float] | None:
    """Least squares of N / X over 1, N - 1 and N (N - 1), of which only `columns` are used. Errors are taken as relative."""
    normal = [[0.0] * (len(columns) + 1) for _ in columns]
    for n, x in points:
        y = n / x
        row = [(1.0, n - 1.0, n * (n - 1.0))[column] / y for column in columns]
        for at, left in enumerate(row):
            for other, right in enumerate(row):
                normal[at][other] += left * right
            normal[at][-1] += left
    solved = _eliminate(normal)
    if solved is None:
        return None
    found = [0.0, 0.0, 0.0]
    for column, value in zip(columns, solved, strict=True):
        found[column] = value
    return found


def _eliminate(rows: list[list[float]]) -> list[float] | None:
    """Gauss, Jordan: the solution of a square system, its right side in the last column; None when there is none."""
    size = len(rows)
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        if abs(rows[at][at]) < 1e-12:
            return None
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for other in range(size):
            if other != at:
                factor = rows[other][at]
                rows[other] = [value - factor * above for value, above in zip(rows[other], rows[at], strict=True)]
    return [row[-1] for row in rows]


def _relative_error(found: Fit, points: Sequence[tuple[int, float]]) -> float:
    """What the least squares make least: of N / X, in shares of itself."""
    return sum((x / found.throughput(n) - 1) ** 2 for n, x in points)


def _r_squared(found: Fit, points: Sequence[tuple[int, float]]) -> float:
    mean = sum(x for _, x in points) / len(points)
    spread = sum((x - mean) ** 2 for _, x in points)
    missed = sum((x - found.throughput(n)) ** 2 for n, x in points)
    return 1 - missed / spread if spread else 1.0
