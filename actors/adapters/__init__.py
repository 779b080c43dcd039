"""Bridges from a tree of actors to what a program watches itself with. The core knows nothing of them.

- `actors.adapters.logs`: every event as a record of `logging`
- `actors.adapters.otel`: OpenTelemetry's metrics, and what it takes for its traces (the extra `opentelemetry`)

A supervisor has one hook; `combine` makes one of several:

    async with Supervisor(on_event=combine(log_events(logging.getLogger("app")), metrics.on_event)) as supervisor:
        ...
"""

from __future__ import annotations

from actors._events import Event, EventHook

__all__ = ["combine"]


def combine(*hooks: EventHook) -> EventHook:
    """A hook that calls each of `hooks` in turn. What one raises ends the supervisor, as from any hook, and the rest miss it."""

    def call_each(event: Event) -> None:
        for hook in hooks:
            hook(event)

    return call_each
