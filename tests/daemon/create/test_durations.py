"""Durations as Go's time.ParseDuration takes and refuses them."""

from __future__ import annotations

import pytest

from daemon.create.durations import parse_duration
from daemon.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("1ns", 1),
        ("1.5s", 1_500_000_000),
        (".5ms", 500_000),
        ("1.s", 1_000_000_000),
        ("0.9999999999s", 999_999_999),
        ("1h2m3s", 3_723_000_000_000),
        ("-2us", -2_000),
        ("+2\u00b5s", 2_000),
    ],
)
def test_a_duration_is_a_sum_of_numbers_with_units(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("x", 'time: invalid duration "x"'),
        ("10", 'time: missing unit in duration "10"'),
        ("1s2", 'time: missing unit in duration "1s2"'),
        ("3d", 'time: unknown unit "d" in duration "3d"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
    ],
)
def test_what_is_none_is_refused_in_gos_words(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_duration(text)
    assert str(caught.value) == complaint
