"""What was measured, raw, and the percentiles of it. Exact: nearest rank over all samples, never interpolated, never bucketed.

Times are nanoseconds of `time.perf_counter_ns`. `response_time` runs from the moment a request was meant to start,
`service_time` from the moment its first byte was handed to the kernel; both end when its answer was read. Only creates that
were answered 201 are counted: a refusal is often quick and would flatter.
"""

from __future__ import annotations

import math
import mmap
from array import array
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from struct import Struct
from typing import NamedTuple

import attrs
import msgspec

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
_FIELDS = 6  # those of a Sample
_ROW = Struct(f"{_FIELDS}q")
_ROW_BYTES = _ROW.size


class Times(msgspec.Struct, frozen=True, gc=False):
    """Nanoseconds of the system's clock. In the closed model a request is meant to start when its client is free."""

    intended_start_ns: int
    sent_at_ns: int
    done_at_ns: int
    is_queued: bool
    """Whether it found no free connection when it was due. If it did, and was sent late all the same, the client was slow."""


class Sample(NamedTuple):
    """One request. All zero when it was never answered."""

    intended_start_ns: int
    sent_at_ns: int
    done_at_ns: int
    is_queued: int
    """1 if it was due and found no free connection."""
    status: int
    operation: int
    """Its place in `scenario.Operation`."""


class Recorder:
    """Six numbers for each request, in one array that is reserved before the load.

    Memory of the kernel's that is all zero until it is written to: room for a run of unknown length costs nothing until used.
    """

    def __init__(self, capacity: int) -> None:
        self._values = memoryview(mmap.mmap(-1, capacity * _ROW_BYTES)).cast("q")

    def record(self, number: int, times: Times, status: int, operation: int = 0) -> None:
        _ROW.pack_into(
            self._values,
            number * _ROW_BYTES,
            times.intended_start_ns,
            times.sent_at_ns,
            times.done_at_ns,
            times.is_queued,
            status,
            operation,
        )

    def sample(self, number: int) -> Sample:
        """As it is now. Whole as soon as it has a status, which is written after the times."""
        return Sample(*self._values[number * _FIELDS : (number + 1) * _FIELDS].tolist())

    def samples(self, count: int) -> Samples:
        """A snapshot of the first `count`."""
        return Samples(array("q", self._values[: count * _FIELDS]))


@attrs.frozen(eq=False, repr=False)
class Samples:
    """All requests of a run in the order they were taken up."""

    _values: array[int]

    def __len__(self) -> int:
        return len(self._values) // _FIELDS

    def __iter__(self) -> Iterator[Sample]:
        return map(Sample, *(self._values[field::_FIELDS] for field in range(_FIELDS)))

    @classmethod
    def joined(cls, parts: Iterable[Samples]) -> Samples:
        """One after the other: the times of each are moved to where those before it end."""
        values = array("q")
        end_ns = 0
        for part in parts:
            moved = array("q", part._values)
            starts = [start for start in moved[0::_FIELDS] if start]
            shift_ns = end_ns - min(starts) + 1 if starts else 0
            for at in range(0, len(moved), _FIELDS):
                if moved[at]:
                    moved[at] += shift_ns
                    moved[at + 1] += shift_ns
                    moved[at + 2] += shift_ns
                    end_ns = max(end_ns, moved[at + 2])
            values.extend(moved)
        return cls(values)

    def starting_with(self, number: int) -> Samples:
        """Without those before it."""
        return Samples(self._values[number * _FIELDS :])

    def statuses(self) -> Sequence[int]:
        return self._values[4::_FIELDS]

    def queued(self) -> Sequence[int]:
        return self._values[3::_FIELDS]

    def operations(self) -> Sequence[int]:
        return self._values[5::_FIELDS]

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

    ordered_ns: Sequence[int] = attrs.field(repr=False)
    """Every value, ascending."""

    @property
    def count(self) -> int:
        return len(self.ordered_ns)

    @property
    def max_ns(self) -> int | None:
        return self.ordered_ns[-1] if self.ordered_ns else None

    @property
    def percentiles(self) -> tuple[Percentile, ...]:
        return tuple(Percentile(name, self.at(share), samples_needed(share)) for name, share in PERCENTILES.items())

    def value_ns(self, name: str) -> int | None:
        """`distribution.value_ns("p99")`; None when there are too few samples to tell. Raises `KeyError`."""
        return self.at(PERCENTILES[name])

    def at(self, share: Fraction) -> int | None:
        """The percentile, or None when there are too few samples to tell."""
        return nearest_rank(self.ordered_ns, share) if self.count >= samples_needed(share) else None

    def curve(self) -> Iterator[tuple[float, int]]:
        """Points of the whole distribution, for plots: the share of all values that do not exceed the value."""
        for share in curve_shares(self.count):
            yield float(share), nearest_rank(self.ordered_ns, share)


@attrs.frozen
class Statistics:
    """A run in numbers."""

    created: int
    elapsed_s: float
    creates_per_s: float
    response_time: Distribution
    service_time: Distribution
    send_lag: Distribution
    """From the intended start to the sending."""
    client_lag: Distribution
    """That of the requests which found a free connection: then it is the client that was late."""


def nearest_rank(ordered: Sequence[int], share: Fraction) -> int:
    """The smallest of the values that at least `share` (0 < share <= 1) of them do not exceed. `ordered` is not empty."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def samples_needed(share: Fraction) -> int:
    """How many samples leave `SAMPLES_BEYOND_PERCENTILE` of them beyond the percentile: p99.9 needs 10,000."""
    return math.ceil(SAMPLES_BEYOND_PERCENTILE / (1 - share))


def curve_shares(count: int) -> list[Fraction]:
    """Every hundredth, and ten steps for each halving of what lies beyond, until that is a single value."""
    if not count:
        return []
    shares = {Fraction(number, 100) for number in range(1, 101)} | {Fraction(1, count)}
    beyond = Fraction(1)
    while beyond * count > 1:
        shares |= {1 - beyond * Fraction(20 - step, 20) for step in range(10)}
        beyond /= 2
    return sorted(shares - {Fraction(0)})


def distribution(values: Sequence[int]) -> Distribution:
    return Distribution(array("q", sorted(values)))


def summarize(samples: Samples, *, status: int, operation: int = 0, first: int = 0) -> Statistics:
    """The statistics of the requests for `operation` that were answered with `status`, from number `first` on.

    Elapsed time is that of all requests from there on.
    """
    measured = samples.starting_with(first)
    counted = [sample for sample in measured if sample.status == status and sample.operation == operation]
    elapsed_s = measured.elapsed_ns() / 1e9
    lags = [(sample.sent_at_ns - sample.intended_start_ns, sample.is_queued) for sample in counted]
    return Statistics(
        created=len(counted),
        elapsed_s=elapsed_s,
        creates_per_s=len(counted) / elapsed_s if elapsed_s else 0.0,
        response_time=distribution([sample.done_at_ns - sample.intended_start_ns for sample in counted]),
        service_time=distribution([sample.done_at_ns - sample.sent_at_ns for sample in counted]),
        send_lag=distribution([lag_ns for lag_ns, _ in lags]),
        client_lag=distribution([lag_ns for lag_ns, is_queued in lags if not is_queued]),
    )
