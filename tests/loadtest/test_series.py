from __future__ import annotations

import pytest

from loadtest.scenario import Operation
from loadtest.series import INTERVALS_MAX, interval_ns, series
from loadtest.statistics import FAILED, Recorder, Samples, Times

S = 1_000_000_000


def recorded(*rows: tuple[float, float, int, int]) -> Samples:
    """Of (intended start, done, status, operation), times in seconds after the first."""
    recorder = Recorder(len(rows))
    for number, (start, done, status, operation) in enumerate(rows):
        times = Times(S + round(start * S), S + round(start * S), S + round(done * S), False)
        recorder.record(number, times, status, operation)
    return recorder.samples(len(rows))


def test_throughput_counts_when_it_was_done_and_times_when_it_was_meant_to_start() -> None:
    found = series(recorded((0, 100, 201, 0), (60, 100, 201, 0), (99, 100, 201, 0)))
    assert found.interval_s == 1
    first, last = found.intervals[0], found.intervals[100]
    assert (first.created, last.created) == (0, 3)
    assert first.times_ns == (100 * S,) * 4
    assert found.intervals[60].times_ns == (40 * S,) * 4
    assert found.intervals[50].times_ns is None


def test_failures_and_refusals_are_errors_and_other_operations_are_not_creates() -> None:
    rows = [(0, 1, 201, 0), (0, 1, 500, 0), (0, 1, FAILED, 0), (0, 1, 409, 0), (0, 1, 200, int(Operation.INSPECT))]
    (*_, last) = series(recorded(*rows)).intervals
    assert (last.created, last.errors) == (1, 3)
    (*_, last) = series(recorded(*rows), is_expected_conflict=True).intervals
    assert (last.created, last.errors) == (1, 2)


def test_a_run_without_answers_has_no_intervals() -> None:
    assert series(Recorder(3).samples(3)).intervals == ()


@pytest.mark.parametrize(
    ("elapsed_s", "expected_s"), [(0, 0.001), (0.1, 0.001), (0.2, 0.002), (1, 0.01), (30, 0.5), (599, 5), (600, 10)]
)
def test_the_interval_is_the_shortest_round_one_that_makes_few_enough(elapsed_s: float, expected_s: float) -> None:
    assert interval_ns(round(elapsed_s * S)) == expected_s * S
    assert round(elapsed_s * S) // interval_ns(round(elapsed_s * S)) < INTERVALS_MAX
