"""Every scenario under some hundred seeds. `make simulate SEEDS=100000` runs more, and others each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

import pytest

from actors.testing import simulate
from tests.actors.linearizability import Call, is_linearizable
from tests.actors.scenarios import SCENARIOS, apply_to_lock

SEEDS = 200
BLOCK = 50


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_under_every_seed(scenario: Callable[[Random], Awaitable[None]], first: int) -> None:
    simulate(scenario, range(first, first + BLOCK))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([Call("acquire", "a", 0, 1, True), Call("acquire", "b", 2, 3, True)], False),
        ([Call("acquire", "a", 0, 3, True), Call("acquire", "b", 1, 2, True)], False),
        ([Call("acquire", "a", 0, 1, True), Call("acquire", "b", 2, 3, False)], True),
        ([Call("acquire", "a", 0, 3, False), Call("acquire", "b", 1, 2, True)], True),
        ([Call("acquire", "a", 0, 1, False), Call("acquire", "b", 2, 3, True)], False),
        ([Call("acquire", "a", 0), Call("acquire", "b", 2, 3, False)], True),  # the unknown one took effect
        ([Call("acquire", "a", 0), Call("acquire", "b", 2, 3, True)], True),  # it did not, or has not yet
        ([Call("acquire", "a", 0, 1), Call("acquire", "b", 2, 3, True)], True),  # it did not, and will not
        ([Call("acquire", "a", 0, 1), Call("acquire", "b", 2, 3, True), Call("acquire", "c", 4, 5, False),
          Call("release", "b", 6, 7, True), Call("acquire", "c", 8, 9, False)], False),
        ([Call("acquire", "a", 4), Call("acquire", "b", 2, 3, False)], False),
        ([Call("acquire", "a", 0), Call("release", "a", 5), Call("acquire", "b", 2, 3, False),
          Call("acquire", "b", 6, 7, True)], True),
    ],
)  # fmt: skip
def test_the_checker_tells_what_can_have_happened(history: list[Call], expected: bool) -> None:
    assert is_linearizable(history, apply_to_lock, "") == expected
