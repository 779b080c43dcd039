from __future__ import annotations

from random import Random

import pytest

from loadtest.significance import mann_whitney, ratio_interval


@pytest.mark.parametrize(
    ("a", "b", "p"),
    [
        # The example in the documentation of scipy.stats.mannwhitneyu: U = 17, exact p = 0.1111.
        ([19, 22, 16, 29, 24], [20, 11, 17, 12], 0.1111111),
        # R: wilcox.test(c(0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46), c(1.15, 0.88, 0.90, 0.74, 1.21)),
        # W = 35, p = 0.2544 (Hollander and Wolfe, 1973, page 69).
        ([0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46], [1.15, 0.88, 0.90, 0.74, 1.21], 0.2544123),
        ([1, 2, 3], [4, 5, 6], 0.1),  # the furthest apart that three and three can be: 2 / 20
        ([1, 2, 3, 4], [5, 6, 7, 8], 2 / 70),
        ([5], [6], 1.0),
        ([], [1, 2], 1.0),
        ([3, 3, 3], [3, 3, 3], 1.0),
    ],
)
def test_p_is_that_of_the_books(a: list[float], b: list[float], p: float) -> None:
    assert mann_whitney(a, b) == pytest.approx(p, abs=1e-6)
    assert mann_whitney(b, a) == pytest.approx(p, abs=1e-6)


def test_ties_are_approximated_with_both_corrections() -> None:
    # By hand: ranks 1, 2.5, 5 and 2.5, 5, 5, so U = 2.5; variance 9 / 12 * (7 - (8 - 2 + 27 - 3) / 30) = 4.5.
    assert mann_whitney([1, 2, 3], [2, 3, 3]) == pytest.approx(0.4795001, abs=1e-6)


def test_the_approximation_is_close_to_the_count_where_both_are_possible() -> None:
    rng = Random(3)
    a, b = [rng.gauss(0, 1) for _ in range(20)], [rng.gauss(0.7, 1) for _ in range(20)]
    assert mann_whitney(a, b) == pytest.approx(mann_whitney(a * 4, b * 4) ** 0.25, rel=0.9)
    tied = [*a[:-1], b[0]]  # one tie sends it to the approximation
    assert mann_whitney(tied, b) == pytest.approx(mann_whitney([*a[:-1], b[0] - 1e-9], b), rel=0.1)


def test_when_nothing_differs_one_in_a_hundred_is_called_different() -> None:
    rng = Random(11)
    calls = sum(
        mann_whitney([rng.random() for _ in range(20)], [rng.random() for _ in range(20)]) < 0.01 for _ in range(1000)
    )
    assert calls == pytest.approx(10, abs=8)


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    rng = Random(5)
    hits = 0
    for _ in range(100):
        a = [rng.lognormvariate(0.5, 0.2) for _ in range(20)]
        b = [rng.lognormvariate(0.0, 0.2) for _ in range(20)]
        _, low, high = ratio_interval(a, b, rng, confidence=0.95, resamples=300)
        hits += low <= 1.6487 <= high  # e ** 0.5
    assert 88 <= hits <= 100


def test_a_ratio_is_that_of_the_medians_and_repeats_with_its_seed() -> None:
    a, b = [10.0, 20.0, 90.0], [5.0, 10.0, 11.0]
    assert ratio_interval(a, b, Random(1))[0] == 2.0
    assert ratio_interval(a, b, Random(1)) == ratio_interval(a, b, Random(1))
