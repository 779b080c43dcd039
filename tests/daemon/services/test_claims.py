from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import RemovalInProgress
from daemon.services.claims import REMOVAL, Claim, Claims

WEB, DB = "a" * 64, "b" * 64


class Turns:
    """Who has been granted a turn, in order."""

    def __init__(self) -> None:
        self.claims = Claims()
        self.granted: list[Claim] = []
        self.given_up: list[Claim] = []

    def join(self, container_id: str, change: str) -> Claim:
        claim = Claim(change)

        def settle(has_turn: bool) -> None:
            (self.granted if has_turn else self.given_up).append(claim)

        self.claims.join(container_id, claim, settle, called="web")
        return claim


def test_the_first_has_its_turn_at_once_and_the_next_when_it_leaves() -> None:
    turns = Turns()
    first, second, third = (turns.join(WEB, change) for change in ("renaming", "update", REMOVAL))
    assert turns.granted == [first]
    assert turns.claims.leave(first) == WEB
    assert turns.granted == [first, second]
    assert turns.claims.leave(second) == WEB
    assert turns.granted == [first, second, third]
    assert turns.claims.leave(third) == WEB
    assert WEB not in turns.claims


def test_containers_do_not_wait_for_each_other() -> None:
    turns = Turns()
    assert turns.granted == [turns.join(WEB, REMOVAL), turns.join(DB, REMOVAL)]


@pytest.mark.parametrize("before", [[], ["renaming"], ["renaming", "update"]])
@pytest.mark.parametrize("change", ["renaming", "update", REMOVAL])
def test_behind_a_removal_nobody_waits(before: list[str], change: str) -> None:
    turns = Turns()
    for earlier in (*before, REMOVAL):
        turns.join(WEB, earlier)
    with pytest.raises(RemovalInProgress) as caught:
        turns.join(WEB, change)
    assert str(caught.value) == "removal of container web is already in progress"


def test_who_gives_up_waiting_gets_no_turn() -> None:
    turns = Turns()
    first, second, third = (turns.join(WEB, "update") for _ in range(3))
    assert turns.claims.leave(second) is None  # it had no turn to give
    assert (turns.granted, turns.given_up) == ([first], [second])
    turns.claims.leave(first)
    assert (turns.granted, turns.given_up) == ([first, third], [second])


def test_a_removal_that_is_given_up_lets_others_wait_again() -> None:
    turns = Turns()
    turns.claims.leave(turns.join(WEB, REMOVAL))
    assert turns.join(WEB, "update") in turns.granted


def test_to_leave_is_harmless_twice_and_without_having_come() -> None:
    turns = Turns()
    claim = turns.join(WEB, "update")
    assert turns.claims.leave(Claim("update")) is None
    assert turns.claims.leave(claim) == WEB
    assert turns.claims.leave(claim) is None


@given(st.lists(st.one_of(st.sampled_from(["renaming", "update", REMOVAL]), st.integers(0, 9)), max_size=40))
@settings(derandomize=True)
def test_whoever_comes_and_goes_one_has_the_turn_and_none_is_passed_over(steps: list[str | int]) -> None:
    turns, present = Turns(), list[Claim]()
    for step in steps:
        if isinstance(step, str):
            is_closing = bool(present) and present[-1].change == REMOVAL
            try:
                present.append(turns.join(WEB, step))
                assert not is_closing
            except RemovalInProgress:
                assert is_closing
        elif step < len(present):
            turns.claims.leave(present.pop(step))
        assert [claim for claim in present if claim in turns.granted] == present[:1]
        assert (WEB in turns.claims) == bool(present)
