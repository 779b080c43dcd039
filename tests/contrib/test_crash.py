"""The crash harness finds nothing in a daemon that keeps its promises, and something in what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from contrib.crash.__main__ import EXIT_FAILED, EXIT_OK, main
from contrib.crash.audit import Verdict, compare
from contrib.crash.history import History, Kind, State, Thing


@pytest.mark.integration
@pytest.mark.parametrize("mode", ["sigkill", "ack", "sigterm", "powercut"])
def test_one_round_breaks_no_promise(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(["--rounds", "1", "--clients", "4", "--mode", mode])
    told = capsys.readouterr().out
    if exit_code == EXIT_FAILED:
        pytest.skip(told)
    assert exit_code == EXIT_OK, told
    assert mode in told


def thing(*steps: State) -> Thing:
    return Thing(Kind.CONTAINER, "c", steps=[(float(number), state) for number, state in enumerate(steps)])


@pytest.mark.parametrize(
    ("steps", "cut_at", "state"),
    [
        ([State.ASKED, State.THERE], 2, State.THERE),
        ([State.ASKED, State.THERE], 1, State.ASKED),
        ([State.ASKED, State.THERE], 0, State.ASKED),
        ([State.ASKED, State.THERE, State.LEAVING], 2, State.ASKED),
        ([State.ASKED, State.THERE, State.LEAVING], 3, State.LEAVING),
        ([State.ASKED, State.THERE, State.LEAVING, State.GONE], 3, State.ASKED),
        ([State.ASKED, State.THERE, State.LEAVING, State.GONE], 4, State.GONE),
        ([State.ASKED, State.GONE], 1, State.ASKED),
    ],
)
def test_what_was_told_when_the_power_was_off_has_not_been_told(steps: list[State], cut_at: int, state: State) -> None:
    history = History(things=[thing(*steps)])
    history.forget_after(cut_at)
    assert history.things[0].state is state


LISTED = {Kind.CONTAINER: {"c": "1"}, Kind.IMAGE: {}, Kind.VOLUME: {}}


def verdict_of(thing: Thing, root: Path, *directories: str, listed: bool) -> Verdict:
    for name in ("containers", "volumes", "staging", *directories):
        (root / name).mkdir()
    return compare(History(things=[thing]), LISTED if listed else {kind: {} for kind in Kind}, root)


@pytest.mark.parametrize(
    ("state", "directories", "listed", "field"),
    [
        (State.THERE, ["containers/1"], True, ""),
        (State.THERE, [], False, "lost"),
        (State.THERE, [], True, "lost"),
        (State.THERE, ["containers/1", "containers/2"], True, "left"),
        (State.THERE, ["containers/1", "staging/1"], True, "left"),
        (State.GONE, [], False, ""),
        (State.GONE, ["containers/1"], True, "back"),
        (State.ASKED, [], False, ""),
        (State.ASKED, ["containers/1"], True, ""),
        (State.ASKED, ["containers/1"], False, "left"),
        (State.LEAVING, [], False, ""),
        (State.LEAVING, ["containers/1"], True, ""),
    ],
)
def test_what_is_broken_is_found(
    state: State, directories: list[str], listed: bool, field: str, tmp_path: Path
) -> None:
    verdict = verdict_of(thing(state), tmp_path, *directories, listed=listed)
    assert [name for name in ("lost", "back", "unusable", "left") if getattr(verdict, name)] == [field][: bool(field)]
    assert verdict.present + verdict.absent == (state in (State.ASKED, State.LEAVING))


def test_another_container_under_the_name_is_a_loss(tmp_path: Path) -> None:
    (tmp_path / "containers" / "1").mkdir(parents=True)
    (tmp_path / "volumes").mkdir()
    (tmp_path / "staging").mkdir()
    other = thing(State.THERE)
    other.id = "2"
    assert compare(History(things=[other]), LISTED, tmp_path).lost


def test_what_nobody_has_asked_for_is_left(tmp_path: Path) -> None:
    for name in ("containers/1", "volumes", "staging"):
        (tmp_path / name).mkdir(parents=True)
    assert compare(History(), LISTED, tmp_path).left == ["nobody has asked for container c"]
