"""An overview as a screen of a terminal: the daemon, its creates, its actors, what has happened. Draws; asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from daemon.monitor.words import known, local, rate, shown, totals, uptime, waited
from daemon.overview import Actor, Happened, Overview, Span, Tree
from loadtest.live import sparkline

SPARKS_MAX = 40
"""Of the last seconds: what fits beside two numbers on a line of 80."""

EVENTS_MIN = 3
"""Shown even where there is no room: the tree is cut then."""

ID_LENGTH = 12
"""As docker shows one."""

_STATES = {"up": "green", "restarting": "yellow", "backing off": "yellow", "stopping": "yellow"}
_ACTIONS = {"crashed": "red", "does not stop": "red", "restarted": "yellow", "create": "green", "destroy": "dim"}

_LINES_ABOVE = 9
"""Of head, creates and titles, with the empty lines between them."""


def drawn(overview: Overview, *, height: int, where: str, lost: str = "") -> RenderableType:
    """`height` of the terminal in lines; `where` the daemon is; `lost`: why this is not how it is now."""
    rows = _rows(overview.trees, "")
    room = max(height - _LINES_ABOVE - len(rows) - bool(lost), EVENTS_MIN)
    parts: list[RenderableType] = [_head(overview, where), ""]
    if lost:
        parts.insert(
            1, Text(f"lost the daemon, trying again: {shown(lost)}", "bold red", no_wrap=True, overflow="ellipsis")
        )
    parts += [_creates(overview), "", _table(rows), ""]
    parts.append(_events(overview.events[-room:], overview.time_ns))
    return Group(*parts)


def _head(overview: Overview, where: str) -> Text:
    head = Text("boatyardd ", "bold", no_wrap=True, overflow="ellipsis").append(shown(overview.version), "bold")
    return head.append(f"   pid {overview.pid}   up {uptime(overview.uptime_s)}   {shown(where)}", "dim")


def _creates(overview: Overview) -> RenderableType:
    creates, seconds = overview.creates, overview.creates.seconds[-SPARKS_MAX:]
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(style="dim", no_wrap=True, min_width=len("creates"))
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    grid.add_row("creates", _rates(creates.recent, seconds))
    grid.add_row("p50", _times(creates.recent.p50_s, seconds, lambda span: span.p50_s))
    grid.add_row("p99", _times(creates.recent.p99_s, seconds, lambda span: span.p99_s))
    grid.add_row("in all", Text(totals(creates), "red" if creates.failed else ""))
    return grid


def _rates(recent: Span, seconds: Sequence[Span]) -> Text:
    rates = [span.created_per_s for span in seconds]
    return _line(rate(recent.created_per_s), rates, rate(max(rates, default=0.0)))


def _times(recent_s: float | None, seconds: Sequence[Span], of: Callable[[Span], float | None]) -> Text:
    times = [of(span) or 0.0 for span in seconds]
    return _line(known(recent_s), times, known(max(times, default=0.0) or None))


def _line(now: str, values: Sequence[float], peak: str) -> Text:
    text = Text(f"{now:>9}", "bold")
    if any(values):
        text.append("  " + sparkline(values), "cyan").append(f"  peak {peak}", "dim")
    return text


def _table(rows: Iterable[Sequence[RenderableType]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    table.add_column("actor", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for title in ("mailbox", "waited", "handled", "restarts"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("last crash", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        table.add_row(*row)
    return table


def _rows(trees: Iterable[Tree], indent: str) -> list[Sequence[RenderableType]]:
    rows: list[Sequence[RenderableType]] = []
    for tree in trees:
        rows.append((Text(indent + shown(tree.name), "bold"), Text(shown(tree.strategy), "dim")))
        for number, actor in enumerate(tree.actors, 1):
            is_last = number == len(tree.actors)
            rows.append(_row(actor, f"{indent}{'└─' if is_last else '├─'} "))
            rows += _rows(actor.trees, f"{indent}{'  ' if is_last else '│ '} ")
    return rows


def _row(actor: Actor, branch: str) -> Sequence[RenderableType]:
    is_filling = actor.waiting or actor.queued > actor.capacity // 2
    mailbox = Text(f"{actor.queued:,}", "red" if is_filling else "").append(f"/{actor.capacity:,}", "dim")
    return (
        Text(branch, "dim").append(shown(actor.name), "not dim"),
        Text(shown(actor.state), _STATES.get(actor.state, "")),
        mailbox,
        waited(actor.waited_s),
        rate(actor.handled_per_s),
        Text(f"{actor.restarts:,}", "yellow" if actor.restarts else "dim"),
        Text(shown(actor.last_crash), "red"),
    )


def _events(events: Sequence[Happened], now_ns: int) -> RenderableType:
    if not events:
        return Text("nothing has happened yet", "dim")
    table = Table.grid(padding=(0, 2), expand=True)
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for event in reversed(events):
        what = Text(f"{shown(event.kind)} ").append(shown(event.action), _ACTIONS.get(event.action, ""))
        rest = Text(shown(event.name)).append(f"  {shown(event.id[:ID_LENGTH])}", "dim")
        table.add_row(Text(local(event.time_ns, now_ns), "dim"), what, rest.append(shown(event.text), "red"))
    return table
