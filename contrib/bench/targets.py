"""What we promise, and whether a run's figures keep it. Pure.

Times and rates are promised as ratios to dockerd in the same run: only those can be compared from machine to machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs

from contrib.bench.plan import BURST, DOCKERD, ENGINES, FEW_PRESENT, GROWING, MANY, ONE, OURS, PRESENT, SUSTAINED
from contrib.bench.results import CREATES, DISK, INODES, LIST, MEMORY, P50, P99, START, Ratio, Samples, Verdict

LOOPS_FACTOR = 1.6
PRESENT_FACTOR = 1.2


@attrs.frozen(kw_only=True)
class Target:
    """`at_least` so many times better than `beside`, or `at_most` so many times worse; without it, at most so much."""

    text: str
    engine: str = OURS
    row: str
    metric: str
    beside: tuple[str, str] | None = None
    """An engine and its row."""
    at_least: float | None = None
    at_most: float | None = None
    aim: float | None = None

    def verdict(self, samples: Samples) -> Verdict:
        found = self._measured(samples)
        return Verdict(
            text=self.text,
            must=self._limit_text(self.at_least if self.at_least is not None else self.at_most),
            aim=self._limit_text(self.aim),
            measured=found.value if found else None,
            low=found.low if found else None,
            high=found.high if found else None,
            held=self._held(found),
        )

    def _measured(self, samples: Samples) -> Ratio | None:
        if self.beside is None:
            median = samples.median(self.engine, self.row, self.metric)
            return None if median is None else Ratio(median)
        ratio = samples.ratio(self.engine, self.row, self.metric, to=self.beside)
        if ratio is None or self.at_least is not None:
            return ratio
        return Ratio(1 / ratio.value, *(1 / bound if bound else None for bound in (ratio.high, ratio.low)))

    def _held(self, found: Ratio | None) -> str:
        if found is None:
            return "not measured"
        if self.aim is not None and found.value >= self.aim:
            return "aim"
        if self.at_least is not None:
            return "must" if found.value >= self.at_least else "missed"
        assert self.at_most is not None
        return "must" if found.value <= self.at_most else "missed"

    def _limit_text(self, limit: float | None) -> str:
        if limit is None:
            return ""
        amount = f"{limit:,g}" if self.beside is None else f"{limit:g}x"
        return f">= {amount}" if self.at_least is not None else f"<= {amount}"


def _targets() -> Iterator[Target]:
    for row, must, aim, p50, p99 in (
        (ONE, 8, 10, 8, 4),
        (BURST, 15, 25, 15, 10),
        (SUSTAINED, 10, 15, 10, 5),
        (MANY, 12, 20, 12, 8),
    ):
        beside = (DOCKERD, row)
        yield Target(text=f"creates/s, {row}", row=row, metric=CREATES, beside=beside, at_least=must, aim=aim)
        yield Target(text=f"p50, {row}: shorter", row=row, metric=P50, beside=beside, at_least=p50)
        yield Target(text=f"p99, {row}: shorter", row=row, metric=P99, beside=beside, at_least=p99)
    others = [engine for engine in ENGINES if engine.startswith("boatyard") and engine != OURS]
    for engine, row in itertools.product(others, (ONE, BURST, SUSTAINED, MANY)):
        text = f"{engine}, a create: longer than on uvloop, {row}"
        yield Target(text=text, engine=engine, row=row, metric=CREATES, beside=(OURS, row), at_most=LOOPS_FACTOR)
    text = "a create with many present: longer than with few"
    yield Target(text=text, row=PRESENT, metric=CREATES, beside=(OURS, FEW_PRESENT), at_most=PRESENT_FACTOR)
    grown = (DOCKERD, GROWING)
    yield Target(text="listing all: shorter", row=GROWING, metric=LIST, beside=grown, at_least=10)
    yield Target(text="start-up: shorter", row=GROWING, metric=START, beside=grown, at_least=20)
    yield Target(text="memory of a container, bytes", row=GROWING, metric=MEMORY, at_most=2048)
    yield Target(text="inodes of a container", row=GROWING, metric=INODES, at_most=6)
    yield Target(text="bytes on disk of a container: fewer", row=GROWING, metric=DISK, beside=grown, at_least=5)


TARGETS = tuple(_targets())
