"""What was measured: the document `results.json`, and medians and ratios of it. Pure.

The classes are the schema; `msgspec.json.decode(data, type=Results)` reads it back.
"""

from __future__ import annotations

import statistics
from random import Random

import msgspec

from contrib.bench.plan import DOCKERD
from loadtest.significance import ratio_interval

VERSION = 1

CREATES, P50, P99 = "creates/s", "p50", "p99"
LIST, START = "list", "start"
MEMORY, INODES, DISK = "memory", "inodes", "disk"
UNITS = {
    CREATES: "/s",
    P50: "ms",
    P99: "ms",
    LIST: "ms",
    START: "s",
    MEMORY: "bytes per container",
    INODES: "inodes per container",
    DISK: "bytes per container",
}
"""Of every metric; of all but the first, less is better."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured. It has no name."""

    cpu_model: str
    cpu_count: int
    kernel: str
    python: str
    file_system: str
    load_average: float
    """Over the minute before the first measurement: what else the machine did. It is to be well below 1."""


class Subject(msgspec.Struct, frozen=True):
    """An engine, and its loop if it is ours."""

    name: str
    version: str = ""
    """As it calls itself; empty when nothing of it could be measured."""
    skipped: str = ""
    """Why it was not measured; empty when it was."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One engine's samples of one metric in one row."""

    engine: str
    """The name of a subject."""
    row: str
    """The load, or `growing`."""
    metric: str
    unit: str
    samples: tuple[float, ...]
    """One for each round; a percentile of a load with too few creates to tell is missing."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A load."""

    name: str
    clients: int
    creates: int
    creates_slow: int
    """Of dockerd and podman."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A target, and whether it holds."""

    text: str
    must: str
    aim: str
    """Empty where there is none beyond `must`."""
    measured: float | None
    low: float | None
    high: float | None
    """The interval that holds the ratio with 95 %, by bootstrap; None for one round, and where nothing is compared."""
    held: str
    """`aim`, `must`, `missed` or `not measured`."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """All of a run."""

    version: int = VERSION
    started_at: str
    """UTC, ISO 8601."""
    is_quick: bool
    """So few creates that the figures mean nothing."""
    rounds: int
    warmup: int
    """Creates before each measurement."""
    present: int
    """Containers that are there in the row that says so."""
    grown: int
    """Containers in the row `growing`."""
    machine: Machine
    subjects: tuple[Subject, ...]
    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]
    failures: tuple[str, ...]
    verdicts: tuple[Verdict, ...] = ()


class Samples:
    """Figures while they are collected, and afterwards."""

    def __init__(self, figures: tuple[Figure, ...] = ()) -> None:
        self._samples = {(each.engine, each.row, each.metric): list(each.samples) for each in figures}

    def add(self, engine: str, row: str, metric: str, value: float) -> None:
        self._samples.setdefault((engine, row, metric), []).append(value)

    def of(self, engine: str, row: str, metric: str) -> list[float]:
        """Empty when it was not measured."""
        return self._samples.get((engine, row, metric), [])

    def median(self, engine: str, row: str, metric: str) -> float | None:
        samples = self.of(engine, row, metric)
        return statistics.median(samples) if samples else None

    def ratio(self, engine: str, row: str, metric: str, *, to: tuple[str, str] | None = None) -> Ratio | None:
        """How many times better than `to`, an engine and its row; dockerd in the same row unless it is given."""
        ours, theirs = self.of(engine, row, metric), self.of(*(to or (DOCKERD, row)), metric)
        if not (ours and theirs) or min(*ours, *theirs) <= 0:
            return None
        better, worse = (ours, theirs) if metric == CREATES else (theirs, ours)
        value, low, high = ratio_interval(better, worse, Random(0))
        has_interval = len(ours) > 1 and len(theirs) > 1
        return Ratio(value, low if has_interval else None, high if has_interval else None)

    def figures(self) -> tuple[Figure, ...]:
        return tuple(
            Figure(engine=engine, row=row, metric=metric, unit=UNITS[metric], samples=tuple(samples))
            for (engine, row, metric), samples in self._samples.items()
        )


class Ratio(msgspec.Struct, frozen=True):
    value: float
    low: float | None = None
    high: float | None = None
