from __future__ import annotations

import pytest

from loadtest.errors import BadScenario
from loadtest.units import parse_rate, parse_seconds, parse_steps, rate_text


@pytest.mark.parametrize(
    ("text", "expected"), [("500ms", 0.5), ("2s", 2), ("1.5m", 90), (".5h", 1800), ("3", 3), ("10us", 1e-5)]
)
def test_a_time_is_seconds(text: str, expected: float) -> None:
    assert parse_seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(("text", "expected"), [("200/s", 200), ("200", 200), ("600/m", 10), ("0.5/s", 0.5)])
def test_a_rate_is_per_second(text: str, expected: float) -> None:
    assert parse_rate(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 s", "1d", "1e3s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadScenario, match="is not a time"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", (1,)),
        ("1,2,4,8", (1, 2, 4, 8)),
        ("1, 5, 7", (1, 5, 7)),
        ("1,2,4,...,64", (1, 2, 4, 8, 16, 32, 64)),
        ("1,2,4,…,16", (1, 2, 4, 8, 16)),
        ("1,2,...,8", (1, 2, 4, 8)),
        ("1,2,3,...,6", (1, 2, 3, 4, 5, 6)),
        ("10,20,30,...,60", (10, 20, 30, 40, 50, 60)),
        ("3,9,...,81", (3, 9, 27, 81)),
    ],
)
def test_dots_go_on_as_the_list_began(text: str, expected: tuple[int, ...]) -> None:
    assert parse_steps(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0,1", "2,1", "1,1", "1,x", "...,4", "1,...,4", "1,2,4,...,50", "1,2,...,4,...,8"]
)
def test_a_list_that_does_not_rise_or_cannot_be_filled_is_refused(text: str) -> None:
    with pytest.raises(BadScenario, match="is not a rising list"):
        parse_steps(text)


@pytest.mark.parametrize(
    ("value", "expected"), [(1234.5, "1,234/s"), (100, "100/s"), (87.31, "87.3/s"), (5, "5.00/s"), (0, "0.00/s")]
)
def test_a_rate_has_three_digits(value: float, expected: str) -> None:
    assert rate_text(value) == expected
