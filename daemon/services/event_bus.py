"""What happened, told to everyone who listens, and the last few for those who ask what they missed.

A subscriber that falls behind by more than `PENDING_MAX` is cut off, with an error at the end of its stream. Unlike Moby,
which drops events for a slow subscriber without telling it (pkg/pubsub).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from actors import CutOff, Subscription, Topic

PENDING_MAX = 1024
"""Events that may wait for one subscriber, as in Moby."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    """`container`, `image`, `volume`."""
    action: str
    actor_id: str
    attributes: Mapping[str, str]
    time_ns: int
    """Since the epoch."""


def new_subscription() -> Subscription[Event]:
    return Subscription(capacity=PENDING_MAX)


class EventBus:
    def __init__(self, kept_max: int) -> None:
        self._kept: deque[Event] = deque(maxlen=kept_max)
        self._topic: Topic[Event] = Topic()

    async def __aenter__(self) -> EventBus:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._topic.close(CutOff())  # the next incarnation knows none of them

    async def publish(self, event: Event) -> None:
        self._kept.append(event)
        self._topic.publish(event)

    async def subscribe(self, subscription: Subscription[Event]) -> tuple[Event, ...]:
        """The past events that are still kept; `subscription` gets every later one."""
        self._topic.subscribe(subscription)
        return tuple(self._kept)

    async def count_subscribers(self) -> int:
        return len(self._topic)
