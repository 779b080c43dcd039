"""Those who watch an engine: a few at a time, each at its own pace.

A watcher looks when it wants to, and nothing is made for it until then; between two looks it listens to the event bus, whose
messages wait for it in a queue that forgets the oldest. An engine with an actor that hangs or restarts can be watched, too:
that is when one does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import anyio

from actors import ActorError, CutOff, EndOfTopic, Subscription
from daemon.engine import Engine
from daemon.errors import Unavailable
from daemon.outcomes import CREATED, FAILED
from daemon.overview import Creates, Happened, Overview
from daemon.overview.drawing import Sight, overview_of
from daemon.overview.recorder import HAPPENED_MAX
from daemon.services.event_bus import Event, EventBus

WATCHERS_MAX = 16
"""Each costs about as much as a create, once a second."""

SUBSCRIBE_TIMEOUT_S = 0.2
"""An event bus that does not answer is shown as it is: without waiting for it."""


class Watchers:
    """Of one engine, which has been entered."""

    def __init__(self, engine: Engine, version: str) -> None:
        self._engine = engine
        self._version = version
        self._present = 0

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Raises Unavailable: there are as many as may be."""
        if self._present >= WATCHERS_MAX:
            raise Unavailable(f"{WATCHERS_MAX} clients are watching, that is as many as may")
        self._present += 1
        watcher = Watcher(self._engine, self._version)
        try:
            yield watcher
        finally:
            watcher.close()
            self._present -= 1


class Watcher:
    def __init__(self, engine: Engine, version: str) -> None:
        self._engine = engine
        self._version = version
        self._subscription: Subscription[Event] | None = None
        self._heard: deque[Happened] = deque(maxlen=HAPPENED_MAX)
        """From the event bus."""
        self._seen: Overview | None = None

    async def look(self) -> Overview:
        """How it is now; rates are since the last look."""
        if self._subscription is None or self._subscription.is_closed:
            await self._subscribe()
        self._seen = overview_of(self._sight(), self._seen)
        return self._seen

    async def listen(self, for_s: float) -> None:
        """Hear what happens, for so long."""
        with anyio.move_on_after(for_s):
            with suppress(CutOff, EndOfTopic):  # the bus restarts; the next look sees to it
                while self._subscription is not None:
                    self._hear(await self._subscription.receive_all())
            await anyio.sleep_forever()

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()

    async def _subscribe(self) -> None:
        subscription: Subscription[Event] = Subscription(capacity=HAPPENED_MAX, overflow="drop_oldest")
        try:
            events = self._engine.services.events
            past = await events.ask(EventBus.subscribe, subscription, timeout=SUBSCRIBE_TIMEOUT_S)
        except ActorError:
            subscription.close()  # it may still be subscribed
            return
        self._subscription = subscription
        self._hear(past[-HAPPENED_MAX:])

    def _hear(self, events: list[Event] | tuple[Event, ...]) -> None:
        self._heard.extend(map(happened, events))

    def _sight(self) -> Sight:
        engine, recorder = self._engine, self._engine.recorder
        now = recorder.now()
        return Sight(
            time_ns=recorder.now_ns(),
            version=self._version,
            uptime_s=now - recorder.began,
            creates=creates_of(engine, now),
            snapshots=engine.snapshots(),
            events=(*self._heard, *recorder.happened),
        )


def creates_of(engine: Engine, now: float) -> Creates:
    """`now` by the recorder's clock."""
    recorder = engine.recorder
    refused = {reason: count for reason, count in recorder.outcomes.items() if reason not in (CREATED, FAILED)}
    return Creates(
        created=recorder.outcomes[CREATED],
        refused=dict(sorted(refused.items())),
        failed=recorder.outcomes[FAILED],
        turned_away=engine.creates_turned_away,
        under_way=engine.creates_under_way,
        under_way_max=engine.config.creates_max,
        recent=recorder.timeline.recent(now),
        seconds=recorder.timeline.spans(now),
    )


def happened(event: Event) -> Happened:
    """Without its attributes, but for the name: labels are their owner's business."""
    return Happened(
        time_ns=event.time_ns,
        kind=event.type,
        action=event.action,
        name=event.attributes.get("name", event.actor_id),
        id=event.actor_id,
        text="",
    )
