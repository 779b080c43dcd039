from __future__ import annotations

import pytest

from loadtest.knee import PRECISION, TRIES_MAX, Knee, search


def searched(capacity: float, start: float = 100.0, **limits: float) -> tuple[list[float], Knee]:
    """The rates that are tried against a server that bears `capacity`, and what is concluded."""
    tries = search(start, **limits)
    rates = [next(tries)]
    while True:
        try:
            rates.append(tries.send(rates[-1] <= capacity))
        except StopIteration as stop:
            knee: Knee = stop.value
            return rates, knee


@pytest.mark.parametrize("capacity", [100, 101, 130, 250, 999, 5000])
def test_the_knee_is_found_to_its_precision_from_below(capacity: float) -> None:
    rates, knee = searched(capacity)
    assert knee.rate_per_s is not None
    assert knee.rate_per_s <= capacity <= knee.rate_per_s * (1 + PRECISION)
    assert knee.is_bounded
    assert len(rates) < TRIES_MAX


def test_the_steps_go_up_by_a_quarter_and_then_halve_what_is_between() -> None:
    rates, _ = searched(140)
    assert rates == [100, 125, 156.25, 140.625, 132.8125, 136.71875][: len(rates)]


def test_a_start_that_is_too_high_goes_down_by_halves_first() -> None:
    rates, knee = searched(30)
    assert rates[:3] == [100, 50, 25]
    assert knee.rate_per_s == pytest.approx(30, rel=PRECISION)


def test_a_server_that_bears_nothing_has_no_knee() -> None:
    rates, knee = searched(0)
    assert (rates[-1], knee) == (1.0, Knee(None, True))


def test_at_the_limit_the_search_ends_without_a_bound() -> None:
    rates, knee = searched(10_000, max_per_s=150)
    assert (rates, knee) == ([100, 125, 150], Knee(150, False))


def test_a_server_without_end_ends_the_search_all_the_same() -> None:
    rates, knee = searched(float("inf"))
    assert (len(rates), knee.is_bounded) == (TRIES_MAX, False)
