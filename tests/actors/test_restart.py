from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors._child import Restart, Strategy
from actors._mailbox import Mailbox
from actors._restart import Intensity, affected_siblings, is_restarted


@pytest.mark.parametrize(
    ("restart", "crashed", "expected"),
    [
        (Restart.PERMANENT, True, True),
        (Restart.PERMANENT, False, True),
        (Restart.TRANSIENT, True, True),
        (Restart.TRANSIENT, False, False),
        (Restart.TEMPORARY, True, False),
        (Restart.TEMPORARY, False, False),
    ],
)
def test_every_restart_type_in_every_case(restart: Restart, crashed: bool, expected: bool) -> None:
    assert is_restarted(restart, crashed=crashed) is expected


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("one_for_one", ("b",)), ("one_for_all", ("a", "b", "c")), ("rest_for_one", ("b", "c"))],
)
def test_every_strategy_names_its_siblings_in_start_order(strategy: Strategy, expected: tuple[str, ...]) -> None:
    assert affected_siblings(strategy, ("a", "b", "c"), "b") == expected


@given(st.integers(0, 5), st.integers(1, 20), st.lists(st.integers(0, 10), max_size=60))
def test_no_window_ever_holds_more_restarts_than_the_budget(budget: int, period: int, gaps: list[int]) -> None:
    intensity = Intensity(budget, float(period))
    now, allowed = 0, list[int]()
    for gap in gaps:
        now += gap
        if intensity.allows(now):
            allowed.append(now)
    for end in allowed:
        assert sum(end - period < at <= end for at in allowed) <= budget


@pytest.mark.parametrize(("restarts", "period"), [(-1, 5.0), (3, 0.0), (3, -1.0)])
def test_a_senseless_intensity_is_an_error(restarts: int, period: float) -> None:
    with pytest.raises(ValueError, match="intensity needs"):
        Intensity(restarts, period)


def test_a_mailbox_without_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="mailbox of 'x' needs room"):
        Mailbox("x", 0, on_dropped=lambda *_: None, now=lambda: 0.0)
