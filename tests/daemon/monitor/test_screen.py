"""The screen as text, of a terminal that is as wide and high as the test wants."""

from __future__ import annotations

import io
import re

import attrs
import pytest
from rich.console import Console

from daemon.monitor.screen import EVENTS_MIN, drawn
from daemon.monitor.words import local
from daemon.overview import Overview
from tests.daemon.overview.making import OVERVIEW, STORAGE, actor

SOCKET = "unix:///run/boatyard.sock"


def screen(
    overview: Overview = OVERVIEW, *, width: int = 100, height: int = 40, lost: str = "", **console: bool
) -> str:
    output = io.StringIO()
    to = Console(file=output, width=width, height=height, **console)  # type: ignore[arg-type]  # switches only
    to.print(drawn(overview, height=height, where=SOCKET, lost=lost))
    return output.getvalue()


def test_it_shows_everything_on_a_hundred_columns() -> None:
    lines = [line.rstrip() for line in screen().splitlines()]
    now = OVERVIEW.time_ns
    crashed, created = (local(event.time_ns, now) for event in reversed(OVERVIEW.events))
    assert lines == [
        "boatyardd 1.2.3   pid 4711   up 3 min 12 s   unix:///run/boatyard.sock",
        "",
        "creates    1,234/s  ▆▁██  peak 1,300/s",
        "p50        1.50 ms  ▆▁▆█  peak 2.00 ms",
        "p99        6.00 ms  ▆▁▆█  peak 8.00 ms",
        "in all   12,345 created, 1 failed, 4 of 256 under way, 7 turned away, 3 refused (2 conflict, 1 not …",
        "",
        "actor         state             mailbox   waited  handled  restarts  last crash",
        "storage       one_for_one",
        "└─ database   up                0/8,192  12.0 us  1,234/s         0",
        "services      rest_for_one",
        "├─ events     up                0/8,192        -      0/s         0",
        r"└─ allocator  restarting    5,000/8,192        -      0/s         3  ValueError: <b>\x1b[31mred\x…",
        "",
        f"{crashed}  actor crashed     allocator  ValueError: no",
        rf"{created}  container create  <b>\x1b[31mred\x07\u202eevil</b>[bold]  ffffffffffff",
    ]


def test_a_strangers_text_is_neither_markup_nor_a_command_to_the_terminal() -> None:
    text = screen(width=200)
    assert text.count("<b>\\x1b[31mred\\x07\\u202eevil</b>[bold]") == 2
    assert "\x1b" not in text
    assert screen(lost="[red]\x1b]0;gone").count("[red]\\x1b]0;gone") == 1


def test_without_colour_there_is_none_and_with_it_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[31m" in screen(force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in screen(force_terminal=True)


@pytest.mark.parametrize("height", [10, 24, 50])
def test_as_many_events_are_shown_as_there_is_room_for_the_latest_first(height: int) -> None:
    events = tuple(attrs.evolve(OVERVIEW.events[1], name=f"actor{number}") for number in range(20))
    lines = screen(attrs.evolve(OVERVIEW, events=events), height=height).splitlines()
    shown = [line.split()[3] for line in lines if " crashed " in line]
    assert shown == [f"actor{number}" for number in range(19, 19 - len(shown), -1)]
    assert len(shown) == {10: EVENTS_MIN, 24: 24 - 14, 50: len(events)}[height]
    assert height == 10 or len(lines) <= height


def test_nothing_to_show_is_said() -> None:
    idle = attrs.evolve(OVERVIEW, events=(), creates=attrs.evolve(OVERVIEW.creates, seconds=()))
    text = screen(idle)
    assert "nothing has happened yet" in text
    assert "peak" not in text


def test_who_is_lost_is_told_on_a_line_of_its_own() -> None:
    lines = screen(lost="the daemon has gone").splitlines()
    assert lines[1].rstrip() == "lost the daemon, trying again: the daemon has gone"


def test_trees_of_actors_are_below_their_actor() -> None:
    upper = actor("outer", trees=(attrs.evolve(STORAGE, name="inner"),))
    tree = attrs.evolve(STORAGE, actors=(upper, actor("second")))
    lines = screen(attrs.evolve(OVERVIEW, trees=(tree,))).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("storage"))
    assert [re.split(" +(?:up|one_)", line)[0] for line in lines[start : start + 5]] == [
        "storage",
        "├─ outer",
        "│  inner",
        "│  └─ database",
        "└─ second",
    ]
