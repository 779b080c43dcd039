"""The daemon under some hundred seeds. `make simulate SCENARIO=daemon SEEDS=1000` runs more, and others each time."""

from __future__ import annotations

import pytest

from actors.testing import simulate
from tests.simulation.scenario import daemon

SEEDS = 100
BLOCK = 25


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_whatever_happens_nothing_is_lost_and_nothing_left(first: int) -> None:
    simulate(daemon, range(first, first + BLOCK))
