"""Which rates to try, to find the highest that a server bears. Pure: a generator that is told how each went."""

from __future__ import annotations

from collections.abc import Generator

import attrs

STEP_FACTOR = 1.25
PRECISION = 0.05  # of the rate: closer than that, a run of a few seconds is chance
TRIES_MAX = 40
RATE_MIN_PER_S = 1.0


@attrs.frozen
class Knee:
    rate_per_s: float | None
    """The highest that was borne; None when not even the lowest was."""
    is_bounded: bool
    """Whether a higher one was tried that was not."""


def search(start_per_s: float, *, max_per_s: float = float("inf")) -> Generator[float, bool, Knee]:
    """Rates to try; to be sent whether each was borne. Up in steps of a quarter, then halving between the last two.

    When the first is too high already, it goes down by halves until one is borne.
    """
    rate_per_s = min(start_per_s, max_per_s)
    borne: float | None = None
    broken: float | None = None
    for _ in range(TRIES_MAX):
        if (yield rate_per_s):
            borne = rate_per_s
        else:
            broken = rate_per_s
        if broken is None and borne is not None:
            if borne >= max_per_s:
                break
            rate_per_s = min(borne * STEP_FACTOR, max_per_s)
        elif borne is None and broken is not None:
            if broken <= RATE_MIN_PER_S:
                break
            rate_per_s = max(broken / 2, RATE_MIN_PER_S)
        elif borne is not None and broken is not None:
            if broken - borne <= PRECISION * borne:
                break
            rate_per_s = (borne + broken) / 2
    return Knee(borne, broken is not None)
