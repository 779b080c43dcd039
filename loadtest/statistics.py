"""What was measured, raw, and the percentiles of it. Exact: nearest rank over all samples, never interpolated, never bucketed.

Times are nanoseconds of `time.perf_counter_ns`. `response_time` runs from the moment a request was meant to start, `service_time`
from the moment its first byte was handed to the kernel; both end when its answer was read. Only creates that were answered 201
are counted: a refusal is often quick and would flatter.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import attrs

UNANSWERED = 0
"""In place of a status: the request was not sent, or its answer was not waited for."""
FAILED = -1
"""In place of a status: the request got no answer that could be read."""

PERCENTILES = {
    "p50": Fraction("0.5"),
    "p75": Fraction("0.75"),
    "p90": Fraction("0.9"),
    "p99": Fraction("0.99"),
    "p99.9": Fraction("0.999"),
}
SAMPLES_BEYOND_PERCENTILE = 10  # fewer, and chance decides the number
_FIELDS = 4  # intended start, sent at, done at, status


class Sample(NamedTuple):
    """One request. All zero when it was never answered."""

    intended_start_ns: int
    sent_at_ns: int
    done_at_ns: int
    status: int


class Recorder:
    """Four numbers for each request, in one array that is allocated before the load."""

    def __init__(self, count: int) -> None:
        self._values = array("q", bytes(count * _FIELDS * 8))

    def record(self, number: int, intended_start_ns: int, sent_at_ns: int, done_at_ns: int, status: int) -> None:
        values = self._values
        at = number * _FIELDS
        values[at] = intended_start_ns
        values[at + 1] = sent_at_ns
        values[at + 2] = done_at_ns
        values[at + 3] = status

    def samples(self) -> Samples:
        """A snapshot."""
        return Samples(self._values[:])


@attrs.frozen(eq=False, repr=False)
class Samples:
    """All requests of a run in the order they were taken up."""

    _values: array[int]

    def __len__(self) -> int:
        return len(self._values) // _FIELDS

    def __iter__(self) -> Iterator[Sample]:
        return map(Sample, *(self._values[field::_FIELDS] for field in range(_FIELDS)))

    def statuses(self) -> Sequence[int]:
        return self._values[3::_FIELDS]

    def elapsed_ns(self) -> int:
        """From the first intended start to the last answer."""
        starts = [start for start in self._values[0::_FIELDS] if start]
        return max(self._values[2::_FIELDS]) - min(starts) if starts else 0


@attrs.frozen
class Percentile:
    name: str
    value_ns: int | None
    """None when there are fewer than `samples_needed`."""
    samples_needed: int


@attrs.frozen
class Distribution:
    """How long something took."""

    count: int
    percentiles: tuple[Percentile, ...]
    max_ns: int | None

    def value_ns(self, name: str) -> int | None:
        """`distribution.value_ns("p99")`; None when there are too few samples to tell. Raises `KeyError`."""
        return {percentile.name: percentile.value_ns for percentile in self.percentiles}[name]


@attrs.frozen
class Statistics:
    """A run in numbers."""

    created: int
    elapsed_s: float
    creates_per_s: float
    response_time: Distribution
    service_time: Distribution


def nearest_rank(ordered: Sequence[int], share: Fraction) -> int:
    """The smallest of the values that at least `share` (0 < share <= 1) of them do not exceed. `ordered` is not empty."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def samples_needed(share: Fraction) -> int:
    """How many samples leave `SAMPLES_BEYOND_PERCENTILE` of them beyond the percentile: p99.9 needs 10,000."""
    return math.ceil(SAMPLES_BEYOND_PERCENTILE / (1 - share))


def distribution(values: Sequence[int]) -> Distribution:
    ordered = sorted(values)
    percentiles = []
    for name, share in PERCENTILES.items():
        needed = samples_needed(share)
        value = nearest_rank(ordered, share) if len(ordered) >= needed else None
        percentiles.append(Percentile(name, value, needed))
    return Distribution(len(ordered), tuple(percentiles), ordered[-1] if ordered else None)


def summarize(samples: Samples, *, status: int) -> Statistics:
    """The statistics of the requests that were answered with `status`; elapsed time is that of the whole run."""
    counted = [sample for sample in samples if sample.status == status]
    elapsed_s = samples.elapsed_ns() / 1e9
    return Statistics(
        created=len(counted),
        elapsed_s=elapsed_s,
        creates_per_s=len(counted) / elapsed_s if elapsed_s else 0.0,
        response_time=distribution([sample.done_at_ns - sample.intended_start_ns for sample in counted]),
        service_time=distribution([sample.done_at_ns - sample.sent_at_ns for sample in counted]),
    )
