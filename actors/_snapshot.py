"""A tree at one moment, as frozen data: pulled, so it costs nothing while nobody looks."""

from __future__ import annotations

from typing import Literal

import attrs

from actors._cell import Cell
from actors._child import Strategy
from actors._mailbox import MailboxStatistics


@attrs.frozen(kw_only=True)
class ChildSnapshot:
    name: str
    state: Literal["up", "restarting"]
    mailbox: MailboxStatistics
    handled: int
    """Messages, refused ones not counted."""
    restarts: int
    last_crash: str
    """Empty if there was none."""


@attrs.frozen(kw_only=True)
class Snapshot:
    name: str
    strategy: Strategy
    children: tuple[ChildSnapshot, ...]
    """In start order."""


def child_snapshot(cell: Cell[object]) -> ChildSnapshot:
    return ChildSnapshot(
        name=cell.name,
        state="up" if cell.is_up else "restarting",
        mailbox=cell.mailbox.statistics(),
        handled=cell.handled,
        restarts=cell.incarnation - 1,
        last_crash=cell.last_crash,
    )
