"""Overviews of a daemon that does not exist."""

from __future__ import annotations

from typing import Any

import attrs

from daemon.overview import Actor, Creates, Happened, Overview, Span, Tree

SPAN = Span(length_s=1, created=0, refused=0, failed=0, p50_s=None, p99_s=None, longest_s=None)

EVIL = "<b>\x1b[31mred\x07\u202eevil</b>[bold]"
"""A name or an error by a stranger who tries everything."""


def span(created: int, *, ms: float = 1.5, refused: int = 0, failed: int = 0) -> Span:
    return Span(
        length_s=1,
        created=created,
        refused=refused,
        failed=failed,
        p50_s=ms / 1000 if created else None,
        p99_s=ms / 250 if created else None,
        longest_s=ms / 200 if created else None,
    )


def actor(name: str, **fields: Any) -> Actor:
    plain = Actor(
        name=name,
        state="up",
        queued=0,
        capacity=8192,
        waiting=0,
        waited_s=0.0,
        handling="",
        handled=0,
        handled_per_s=0.0,
        restarts=0,
        last_crash="",
        trees=(),
    )
    return attrs.evolve(plain, **fields)


STORAGE = Tree(
    name="storage", strategy="one_for_one", actors=(actor("database", handled_per_s=1234.5, waited_s=12e-6),)
)
SERVICES = Tree(
    name="services",
    strategy="rest_for_one",
    actors=(
        actor("events"),
        actor("allocator", queued=5000, waiting=2, state="restarting", restarts=3, last_crash=f"ValueError: {EVIL}"),
    ),
)

EVENTS = (
    Happened(time_ns=1_764_144_000_000_000_000, kind="container", action="create", name=EVIL, id="f" * 64, text=""),
    Happened(
        time_ns=1_764_144_001_000_000_000,
        kind="actor",
        action="crashed",
        name="allocator",
        id="",
        text="ValueError: no",
    ),
)

OVERVIEW = Overview(
    time_ns=1_764_144_002_000_000_000,
    version="1.2.3",
    pid=4711,
    uptime_s=192.5,
    creates=Creates(
        created=12_345,
        refused={"conflict": 2, "not_found": 1},
        failed=1,
        turned_away=7,
        under_way=4,
        under_way_max=256,
        recent=attrs.evolve(span(12_340), length_s=10),
        seconds=(span(900), SPAN, span(1300, refused=20), span(1234, ms=2)),
    ),
    trees=(STORAGE, SERVICES),
    events=EVENTS,
)
