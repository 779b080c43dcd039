from __future__ import annotations

import pytest

from loadtest.sweep import Fit, fit

STEPS = (1, 2, 4, 8, 16, 32, 64)


@pytest.mark.parametrize(
    ("rate", "contention", "coherency", "best"),
    [(500.0, 0.05, 0.001, 30.8), (100.0, 0.5, 0.01, 7.07), (100.0, 0.2, 0.0, None), (100.0, 0.0, 0.0, None)],
)
def test_the_law_that_made_the_points_is_found(
    rate: float, contention: float, coherency: float, best: float | None
) -> None:
    law = Fit(rate, contention, coherency, 1.0)
    found = fit([(n, law.throughput(n)) for n in STEPS])
    assert found is not None
    assert (found.rate_per_s, found.contention, found.coherency) == pytest.approx(
        (rate, contention, coherency), rel=1e-6, abs=1e-9
    )
    assert found.r_squared == pytest.approx(1)
    if best is not None:
        assert found.best_concurrency == pytest.approx(best, rel=0.01)


def test_a_throughput_that_grows_faster_than_its_clients_has_no_negative_contention() -> None:
    found = fit([(1, 100.0), (2, 210.0), (4, 450.0), (8, 900.0)])
    assert found is not None
    assert (found.contention, found.coherency) == (0.0, 0.0)


def test_the_best_concurrency_is_where_neighbours_are_worse() -> None:
    found = Fit(100, 0.1, 0.002, 1.0)
    best = found.best_concurrency
    assert best is not None
    assert found.throughput(best) > max(found.throughput(best * 0.9), found.throughput(best * 1.1))


@pytest.mark.parametrize("points", [[], [(1, 10.0), (2, 20.0)], [(1, 10.0), (1, 11.0), (2, 20.0)], [(1, 0.0)] * 5])
def test_too_few_points_are_no_law(points: list[tuple[int, float]]) -> None:
    assert fit(points) is None


def test_of_the_laws_that_make_sense_the_one_that_is_nearest_is_taken() -> None:
    # Measured on a busy machine: what levels off is no coherency cost, though a negative one would fit best.
    points = [(1, 293.0), (2, 371.0), (4, 556.0), (8, 931.0), (16, 821.0), (32, 822.0), (64, 1271.0)]
    found = fit(points)
    assert found is not None
    assert found.coherency == 0.0
    assert found.contention == pytest.approx(0.22, rel=0.2)
    assert found.r_squared > 0.7
