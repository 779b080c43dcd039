"""What the daemon looks like at one moment: its actors, its creates, what has happened lately.

    actors' snapshots, `recorder` (with `timeline`), the event bus -> `drawing` -> Overview -> `api/overview` -> `monitor/`

The types here are the format of `GET /boatyard/overview`: `docs/overview.schema.json` is generated from them. The last part of a
name is its unit; what could not be measured is null. Here they are plain data, which its readers need nothing else for.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Span:
    """The creates that came to an end in a stretch of time."""

    length_s: float
    created: int
    refused: int
    """For a reason of the client's, or because it had gone."""
    failed: int
    """For a reason of ours."""
    p50_s: float | None
    """How long those took that were created; to 1 %."""
    p99_s: float | None
    longest_s: float | None

    @property
    def created_per_s(self) -> float:
        return self.created / self.length_s if self.length_s else 0.0


@attrs.frozen(kw_only=True)
class Creates:
    created: int
    """Since the start, as are the next two."""
    refused: Mapping[str, int]
    """By reason: `conflict`, `not_found` and so on; those that occurred."""
    failed: int
    turned_away: int
    """Before they began, as too many were under way."""
    under_way: int
    under_way_max: int
    recent: Span
    """The last ten seconds."""
    seconds: tuple[Span, ...]
    """The last minute, second by second, the latest last; less if it has not run for so long."""


@attrs.frozen(kw_only=True)
class Actor:
    name: str
    state: str
    """`up`, `stopping`, `restarting`, `backing off`."""
    queued: int
    """Messages in its mailbox."""
    capacity: int
    """Of the mailbox."""
    waiting: int
    """Senders that wait for room in it."""
    waited_s: float
    """How long a message was in the mailbox when the actor was last busy; a sample."""
    handling: str
    """The message that it is handling; empty if none."""
    handled: int
    """Messages, since the start."""
    handled_per_s: float | None
    """Since the overview before; null in the first."""
    restarts: int
    last_crash: str
    """Empty if there was none."""
    trees: tuple[Tree, ...]
    """Of supervisors that it has itself."""


@attrs.frozen(kw_only=True)
class Tree:
    """A supervisor with its actors, in the order of their start."""

    name: str
    strategy: str
    actors: tuple[Actor, ...]


@attrs.frozen(kw_only=True)
class Happened:
    time_ns: int
    """Since the epoch."""
    kind: str
    """`container`, `image`, `volume`, `network`, or `actor`."""
    action: str
    """In Docker's words; of an actor `crashed`, `restarted`, `does not stop`."""
    name: str
    id: str
    """Empty of what has none."""
    text: str
    """What else there is to say: of a crash, the error."""


@attrs.frozen(kw_only=True)
class Overview:
    time_ns: int
    """Since the epoch."""
    version: str
    pid: int
    uptime_s: float
    creates: Creates
    trees: tuple[Tree, ...]
    events: tuple[Happened, ...]
    """The latest, oldest first."""
