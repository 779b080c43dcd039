"""What the samples say: the least of each cell's, ratios to ours, and whether the targets hold. Pure functions of the results.

The least, as in `timeit`: what is slower than that has measured the machine, whose clock may change by half within seconds. It
is the same for every library, and all samples are in the results.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import attrs

from contrib.bench_actors.contract import MEASURE_OF, Figure, Measure
from contrib.bench_actors.runner import Results
from contrib.bench_actors.subjects import BY_KEY, Subject


@attrs.frozen
class Value:
    """One cell of the table: the least of its samples with its ratio to ours, or the text that stands in its place."""

    least: float | None = None
    """Microseconds, or bytes."""
    ratio: float | None = None
    text: str = ""


def value_of(results: Results, subject: Subject, figure: Figure) -> Value:
    samples = results.get((subject.key, MEASURE_OF[figure]))
    if samples is None:
        return Value(text="not measured")
    if samples.absent or samples.failure:
        return Value(text=samples.absent or "failed")
    least = min(samples.figures[figure])
    ours = least_of(results, subject.compared_with, figure)
    is_ours = subject.key == subject.compared_with
    return Value(least=least, ratio=None if ours is None or is_ours else least / ours)


def least_of(results: Results, key: str, figure: Figure) -> float | None:
    samples = samples_of(results, key, figure)
    return min(samples, default=None)


def samples_of(results: Results, key: str, figure: Figure) -> list[float]:
    samples = results.get((key, MEASURE_OF[figure]))
    return [] if samples is None else samples.figures.get(figure, [])


def failures(results: Results) -> Iterator[tuple[Subject, Measure, str]]:
    for (key, measure), samples in results.items():
        if samples.failure:
            yield BY_KEY[key], measure, samples.failure


class Verdict(StrEnum):
    HELD = "held"
    MISSED = "missed"
    NOT_MEASURED = "not measured"


@attrs.frozen(kw_only=True)
class Target:
    """What ours promises of one figure: `at_most` so much, or, with `beside`, so many times that one's; or to go `at_least` so
    many times into that one's."""

    key: str
    figure: Figure
    beside: str | None = None
    at_most: float | None = None
    at_least: float | None = None

    def value(self, results: Results) -> float | None:
        """Microseconds or bytes, or the ratio that the target is about."""
        ours = least_of(results, self.key, self.figure)
        if ours is None or self.beside is None:
            return ours
        other = least_of(results, self.beside, self.figure)
        if other is None:
            return None
        return ours / other if self.at_least is None else other / ours

    def verdict(self, results: Results) -> Verdict:
        value = self.value(results)
        if value is None:
            return Verdict.NOT_MEASURED
        if self.at_least is not None:
            return Verdict.HELD if value >= self.at_least else Verdict.MISSED
        assert self.at_most is not None
        return Verdict.HELD if value <= self.at_most else Verdict.MISSED

    def __str__(self) -> str:
        ours = BY_KEY[self.key]
        what = f"{self.figure} on {ours.loop}"
        if self.beside is None:
            assert self.at_most is not None
            limit = f"{self.at_most / 1024:g} KB" if self.figure is Figure.MEMORY else f"{self.at_most:g} us"
            return f"{what}: at most {limit}"
        other = BY_KEY[self.beside]
        if self.at_least is not None:
            return f"{what}: at least {self.at_least:g} times as fast as {other.label} on {other.loop}"
        return f"{what}: at most {self.at_most:g} times a {other.label}"


def _targets() -> Iterator[Target]:
    for loop in ("asyncio", "trio"):
        yield Target(key=f"ours-{loop}", figure=Figure.ASK, beside=f"bare-{loop}", at_most=1.5)
    for beside, one, many in (("pykka", 2, 10), ("triotp-trio", 4, 15), ("xoscar-uvloop", 4, 15)):
        yield Target(key="ours-uvloop", figure=Figure.ASK, beside=beside, at_least=one)
        yield Target(key="ours-uvloop", figure=Figure.ASK_MANY, beside=beside, at_least=many)
    yield Target(key="ours-asyncio", figure=Figure.TELL_AND_HANDLE, at_most=1.0)
    for loop in ("asyncio", "uvloop", "trio"):
        yield Target(key=f"ours-{loop}", figure=Figure.MEMORY, at_most=4096)


TARGETS = tuple(_targets())
