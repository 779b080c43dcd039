"""An incarnation's timers: which messages are due, and when the next one will be.

A timer is never in a mailbox: it is due or it is not when its actor looks. So setting a key anew replaces a tick that is due
and not yet handled, a full mailbox never blocks one, and an actor that is late gets one tick, not all it has missed.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Hashable

import attrs

from actors._mailbox import Message

STALE_MAX = 64
"""Stale entries that may lie in the heap beside one for each timer: who sets a far one anew all the time must not grow it."""


@attrs.define
class _Timer:
    number: int
    """Of the entry in the heap that counts; others of the same key are stale."""
    message: Message
    period_s: float
    """0 for one that ticks once."""
    is_fixed_rate: bool


class Timers:
    """Times are seconds of the event loop's clock, passed in. Costs the logarithm of how many timers there are."""

    def __init__(self) -> None:
        self._timers: dict[Hashable, _Timer] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._timers)

    def set(
        self, key: Hashable, message: Message, *, due_at: float, period_s: float = 0.0, is_fixed_rate: bool = False
    ) -> None:
        """In place of one with that key."""
        self._timers[key] = _Timer(self._push(due_at, key), message, period_s, is_fixed_rate)
        if len(self._heap) > 2 * len(self._timers) + STALE_MAX:
            self._heap = sorted(filter(self._counts, self._heap))

    def cancel(self, key: Hashable) -> bool:
        """Whether there was one."""
        return self._timers.pop(key, None) is not None

    @property
    def next_due_at(self) -> float:
        """Infinity if there is none."""
        while self._heap:
            if self._counts(self._heap[0]):
                return self._heap[0][0]
            heapq.heappop(self._heap)
        return math.inf

    def _counts(self, entry: tuple[float, int, Hashable]) -> bool:
        timer = self._timers.get(entry[2])
        return timer is not None and timer.number == entry[1]

    def take_due(self, now: float) -> Message | None:
        """The message of the timer that has been due for longest. A repeating one is set anew."""
        due_at = self.next_due_at
        if due_at > now:
            return None
        key = heapq.heappop(self._heap)[2]
        timer = self._timers[key]
        if not timer.period_s:
            del self._timers[key]
        elif timer.is_fixed_rate:
            timer.number = self._push(next_beat(due_at, timer.period_s, now), key)
        else:
            timer.number = self._push(now + timer.period_s, key)
        return timer.message

    def _push(self, due_at: float, key: Hashable) -> int:
        number = next(self._numbers)
        heapq.heappush(self._heap, (due_at, number, key))
        return number


def next_beat(due_at: float, period_s: float, now: float) -> float:
    """The first time after `now` that is a whole number of periods after `due_at`."""
    beat = due_at + (math.floor((now - due_at) / period_s) + 1) * period_s
    return beat if beat > now else beat + period_s  # rounded down
