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
    state: Literal["up", "stopping", "restarting", "backing off"]
    pool: str
    """The name of the pool that it is a member of; empty if none."""
    mailbox: MailboxStatistics
    """Of a member of a pool: the pool's."""
    handled: int
    """Messages, those among them that it refused, and not the one that it crashed on."""
    handling: str
    """The method it is in; empty between messages."""
    restarts: int
    last_crash: str
    """Empty if there was none."""
    stop_timeout_s: float
    """How long its stop can take, without that of `supervisors`: its timeout, and that of its `__aexit__` if it has one."""
    supervisors: tuple[Snapshot, ...]
    """Those that the actor itself has entered."""


@attrs.frozen(kw_only=True)
class Snapshot:
    name: str
    strategy: Strategy
    children: tuple[ChildSnapshot, ...]
    """In start order."""

    @property
    def stop_timeout_s(self) -> float:
        """How long the stop of this tree can take, one child after the other, if none ignores its cancellation."""
        nested = sum(tree.stop_timeout_s for child in self.children for tree in child.supervisors)
        return nested + sum(child.stop_timeout_s for child in self.children)


def child_snapshot(cell: Cell[object], *, is_backing_off: bool) -> ChildSnapshot:
    state: Literal["up", "stopping", "restarting", "backing off"] = "restarting"
    if is_backing_off:
        state = "backing off"
    elif cell.is_up:
        state = "stopping" if cell.is_asked_to_stop else "up"
    return ChildSnapshot(
        name=cell.name,
        state=state,
        pool=cell.mailbox.name if cell.mailbox.is_shared else "",
        mailbox=cell.mailbox.statistics(),
        handled=cell.handled,
        handling=cell.handling[0] if cell.handling is not None else "",
        restarts=cell.incarnation - 1,
        last_crash=cell.last_crash,
        stop_timeout_s=cell.spec.stop_timeout_s + cell.cleanup_timeout_s,
        supervisors=tuple(snapshot() for snapshot in cell.subtrees),
    )
