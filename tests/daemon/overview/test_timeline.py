"""The last minute, by a clock that the test turns."""

from __future__ import annotations

import pytest

from daemon.overview import Span
from daemon.overview.timeline import RECENT_S, SECONDS_KEPT, Timeline

EMPTY = Span(length_s=1, created=0, refused=0, failed=0, p50_s=None, p99_s=None, longest_s=None)


def test_each_whole_second_is_counted_by_itself_and_the_present_one_not_yet() -> None:
    timeline = Timeline(100.0)
    for now_s, outcome in (
        (100.1, "created"),
        (100.9, "conflict"),
        (102.0, "failed"),
        (102.1, "cancelled"),
        (103.5, "created"),
    ):
        timeline.add(now_s, outcome, 0.002)
    spans = timeline.spans(103.9)
    assert [(span.created, span.refused, span.failed) for span in spans] == [(1, 1, 0), (0, 0, 0), (0, 1, 1)]
    assert spans[1] == EMPTY
    assert timeline.spans(104.0)[-1].created == 1


def test_there_are_no_seconds_from_before_the_beginning() -> None:
    timeline = Timeline(100.5)
    assert timeline.spans(100.9) == timeline.spans(101.9) == ()
    assert timeline.recent(101.2).length_s == 0
    assert timeline.recent(101.2).created_per_s == 0
    timeline.add(101.5, "created", 0.001)
    assert timeline.recent(102.0).created_per_s == 1


def test_a_minute_is_kept_and_no_more() -> None:
    timeline = Timeline(0.0)
    for second in range(1000):
        timeline.add(second + 0.5, "created", 0.001)
    spans = timeline.spans(1000.0)
    assert len(spans) == SECONDS_KEPT
    assert {span.created for span in spans} == {1}
    assert len(timeline._seconds) <= SECONDS_KEPT + 1
    assert timeline.spans(5000.0) == (EMPTY,) * SECONDS_KEPT


@pytest.mark.parametrize("took_s", [2e-6, 0.00031, 0.0016, 0.25, 7.0, 3000.0])
def test_a_time_is_known_to_one_percent(took_s: float) -> None:
    timeline = Timeline(0.0)
    timeline.add(0.5, "created", took_s)
    span = timeline.recent(1.0)
    assert span.p50_s == span.p99_s == span.longest_s == pytest.approx(took_s, rel=0.01)


@pytest.mark.parametrize(("took_s", "told_s"), [(0.0, 1e-6), (1e9, 3600.0)])
def test_a_time_that_cannot_be_is_the_nearest_that_can(took_s: float, told_s: float) -> None:
    timeline = Timeline(0.0)
    timeline.add(0.5, "created", took_s)
    assert timeline.recent(1.0).longest_s == pytest.approx(told_s, rel=0.02)


def test_percentiles_are_of_what_was_created_in_the_last_ten_seconds() -> None:
    timeline = Timeline(0.0)
    timeline.add(5.0, "created", 60.0)  # too long ago
    for number in range(100):
        timeline.add(10.0 + number / 20, "created", (number + 1) / 1000)
    timeline.add(15.0, "not_found", 30.0)
    recent = timeline.recent(17.0)
    assert (recent.length_s, recent.created, recent.refused) == (RECENT_S, 100, 1)
    assert recent.p50_s == pytest.approx(0.050, rel=0.011)
    assert recent.p99_s == pytest.approx(0.099, rel=0.011)
    assert recent.longest_s == pytest.approx(0.100, rel=0.011)


def test_a_second_with_very_many_takes_no_more_memory_than_one_with_many() -> None:
    timeline = Timeline(0.0)
    for number in range(50_000):
        timeline.add(0.5, "created", 0.0005 + number % 1000 / 1e5)
    assert len(timeline._seconds[0].buckets) < 200
    assert timeline.spans(1.0)[0].created == 50_000
