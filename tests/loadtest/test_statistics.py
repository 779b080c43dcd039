from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.statistics import (
    FAILED,
    PERCENTILES,
    Recorder,
    Sample,
    Times,
    distribution,
    nearest_rank,
    samples_needed,
    summarize,
)

VALUES = st.lists(st.integers(0, 10**12), min_size=1, max_size=300)
SHARES = st.fractions(min_value=Fraction(1, 1000), max_value=1)


@pytest.mark.parametrize(
    ("ordered", "share", "expected"),
    [
        ([15, 20, 35, 40, 50], "0.05", 15),  # the worked example of Wikipedia, "Percentile", nearest-rank method
        ([15, 20, 35, 40, 50], "0.3", 20),
        ([15, 20, 35, 40, 50], "0.4", 20),
        ([15, 20, 35, 40, 50], "0.5", 35),
        ([15, 20, 35, 40, 50], "1", 50),
        ([7], "0.5", 7),
        ([7], "0.999", 7),
        ([1, 2], "0.5", 1),
        (range(1, 101), "0.99", 99),
        (range(1, 101), "0.07", 7),  # ceil(0.07 * 100) is 8 in floating point
        (range(1, 10_001), "0.999", 9990),
    ],
)
def test_a_percentile_is_the_value_at_the_nearest_rank(ordered: list[int], share: str, expected: int) -> None:
    assert nearest_rank(ordered, Fraction(share)) == expected


@given(VALUES, SHARES)
def test_a_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(
    values: list[int], share: Fraction
) -> None:
    found = nearest_rank(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


@given(VALUES, SHARES, SHARES)
def test_a_higher_percentile_is_never_smaller(values: list[int], one: Fraction, other: Fraction) -> None:
    low, high = sorted([one, other])
    assert nearest_rank(sorted(values), low) <= nearest_rank(sorted(values), high)


@pytest.mark.parametrize(("name", "needed"), [("p50", 20), ("p75", 40), ("p90", 100), ("p99", 1000), ("p99.9", 10_000)])
def test_a_percentile_needs_ten_samples_beyond_it(name: str, needed: int) -> None:
    assert samples_needed(PERCENTILES[name]) == needed
    assert distribution(range(needed - 1)).value_ns(name) is None
    assert distribution(range(needed)).value_ns(name) is not None


def test_a_distribution_of_nothing_has_no_numbers() -> None:
    nothing = distribution([])
    assert (nothing.count, nothing.max_ns) == (0, None)
    assert all(percentile.value_ns is None for percentile in nothing.percentiles)


def test_response_time_counts_from_the_intended_start_and_service_time_from_sending() -> None:
    recorder = Recorder(1)
    recorder.record(0, Times(1_000, 1_200, 1_900, False), 201)
    statistics = summarize(recorder.samples(1), status=201)
    assert (statistics.response_time.max_ns, statistics.service_time.max_ns) == (900, 700)


def test_only_requests_with_the_status_are_counted_but_elapsed_time_is_that_of_all() -> None:
    recorder = Recorder(4)
    recorder.record(0, Times(1_000_000_000, 1_000_000_001, 1_500_000_000, False), 201)
    recorder.record(1, Times(1_000_000_000, 1_000_000_001, 2_000_000_000, False), FAILED)
    recorder.record(2, Times(1_500_000_000, 1_500_000_001, 3_000_000_000, False), 409)
    statistics = summarize(recorder.samples(4), status=201)
    assert (statistics.created, statistics.elapsed_s, statistics.creates_per_s) == (1, 2.0, 0.5)
    assert statistics.response_time.max_ns == 500_000_000


def test_a_run_without_answers_took_no_time() -> None:
    statistics = summarize(Recorder(3).samples(3), status=201)
    assert (statistics.created, statistics.elapsed_s, statistics.creates_per_s) == (0, 0.0, 0.0)


def test_samples_come_in_the_order_of_sending_and_do_not_change_afterwards() -> None:
    recorder = Recorder(2)
    recorder.record(1, Times(5, 6, 7, False), 201)
    samples = recorder.samples(2)
    recorder.record(0, Times(1, 2, 3, False), 409)
    assert list(samples) == [Sample(0, 0, 0, 0, 0, 0), Sample(5, 6, 7, 0, 201, 0)]
    assert (len(samples), list(samples.statuses())) == (2, [0, 201])
