"""What happened, told to everyone who listens, and the last few for those who ask what they missed.

A subscriber that falls behind by more than `PENDING_MAX` is cut off, with an error at the end of its stream. Unlike Moby,
which drops events for a slow subscriber without telling it (pkg/pubsub).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import anyio
import attrs

from daemon.errors import Unavailable

PENDING_MAX = 1024
"""Events that may wait for one subscriber, as in Moby."""


@attrs.frozen(kw_only=True)
class Event:
    type: str
    """`container`, `image`, `volume`."""
    action: str
    actor_id: str
    attributes: Mapping[str, str]
    time_ns: int
    """Since the epoch."""


class Subscription:
    """A subscriber's own queue: the bus fills it, one reader empties it."""

    def __init__(self) -> None:
        self._pending: deque[Event] = deque()
        self._news = anyio.Event()
        self._is_cut_off = False

    def push(self, event: Event) -> bool:
        """False if this subscriber has been cut off."""
        if len(self._pending) >= PENDING_MAX:
            self.cut_off()
        if self._is_cut_off:
            return False
        self._pending.append(event)
        self._news.set()
        return True

    @property
    def is_cut_off(self) -> bool:
        return self._is_cut_off

    def cut_off(self) -> None:
        """There will be no more events: it was too slow, its reader has left, or the bus is gone."""
        self._is_cut_off = True
        self._news.set()

    async def wait_events(self) -> list[Event]:
        """Everything new, at least one event.

        Raises:
            Unavailable: this subscriber has been cut off; what it will miss is unknown.
        """
        while not self._pending:
            if self._is_cut_off:
                raise Unavailable("the event stream has been cut off: it fell behind, or the event bus has restarted")
            self._news = anyio.Event()
            await self._news.wait()
        events = list(self._pending)
        self._pending.clear()
        return events


class EventBus:
    def __init__(self, kept_max: int) -> None:
        self._kept: deque[Event] = deque(maxlen=kept_max)
        self._subscriptions: list[Subscription] = []

    async def __aenter__(self) -> EventBus:
        return self

    async def __aexit__(self, *_: object) -> None:
        for subscription in self._subscriptions:
            subscription.cut_off()

    async def publish(self, event: Event) -> None:
        self._kept.append(event)
        self._subscriptions = [subscription for subscription in self._subscriptions if subscription.push(event)]

    async def subscribe(self, subscription: Subscription) -> tuple[Event, ...]:
        """The past events that are still kept; `subscription` gets every later one."""
        self._subscriptions.append(subscription)
        return tuple(self._kept)

    async def count_subscribers(self) -> int:
        """Those that will hear of the next event."""
        return sum(not subscription.is_cut_off for subscription in self._subscriptions)
