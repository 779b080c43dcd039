"""A bounded first-in-first-out queue of messages, one reader, and those who wait for room in it.

Owns the order and the bound; knows no actor and no supervisor, and never awaits except for its reader. An asker that
has gone away leaves a dead entry, which does not count against the bound and is never handled.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping

import attrs

from actors._backend import Backend, Slot
from actors._errors import ActorStopped, MailboxFull

_DEAD_MAX = 64
"""Dead entries that may lie in the queue before it is compacted: a retry storm against a stuck actor must not grow it."""


class State(enum.Enum):
    OUTSIDE = "not accepted, or abandoned before it was taken"
    WAITING = "waiting for room"
    QUEUED = "queued"
    STARTED = "taken by the actor"


class Envelope:
    """One message: which method, its arguments, and where the reply goes."""

    __slots__ = ("args", "error", "kwargs", "method", "reply_to", "room", "state", "value")

    def __init__(
        self,
        method: str,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        *,
        reply_to: Slot | None = None,
        room: Slot | None = None,
    ) -> None:
        self.method = method
        self.args = args
        self.kwargs = kwargs
        self.reply_to = reply_to
        """Fired when there is an answer; `None` for a tell."""
        self.room = room
        """Fired when the message is queued; `None` for those who do not wait for that."""
        self.state = State.OUTSIDE
        self.value: object = None
        self.error: BaseException | None = None

    def reply(self, value: object) -> None:
        self.value = value
        if self.reply_to is not None:
            self.reply_to.fire()

    def fail(self, error: BaseException) -> None:
        self.error = error
        if self.reply_to is not None:
            self.reply_to.fire()
        if self.room is not None:
            self.room.fire()


@attrs.frozen
class MailboxStatistics:
    queued: int
    waiting: int
    capacity: int


class Mailbox:
    def __init__(self, name: str, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"mailbox of {name!r} needs room for at least one message, not {capacity}")
        self._name = name
        self._capacity = capacity
        self._queue: deque[Envelope] = deque()
        self._waiting: deque[Envelope] = deque()
        self._live = 0
        self._reader: Slot | None = None
        self._is_closed = False

    def put_nowait(self, envelope: Envelope) -> None:
        """Queue it now.

        Raises:
            MailboxFull: no room, or others are waiting for room already: nobody overtakes.
            ActorStopped: it is closed.
        """
        self._check_open()
        if self._live >= self._capacity or self._waiting:
            raise MailboxFull(self._name, self._capacity)
        self._admit(envelope)

    def put(self, envelope: Envelope) -> bool:
        """Queue it and return true; or else keep it until there is room, and then fire `envelope.room`.

        Raises:
            ActorStopped: it is closed.
        """
        self._check_open()
        if self._live >= self._capacity or self._waiting:
            envelope.state = State.WAITING
            self._waiting.append(envelope)
            return False
        self._admit(envelope)
        return True

    def take(self) -> Envelope | None:
        """The next live message, marked as started; `None` if there is none."""
        queue = self._queue
        while queue:
            envelope = queue.popleft()
            if envelope.state is State.QUEUED:
                envelope.state = State.STARTED
                self._live -= 1
                if self._waiting:
                    self._fill()
                return envelope
        return None

    def abandon(self, envelope: Envelope) -> bool:
        """Its sender no longer waits: if it has not been taken it never will be. True if it had been."""
        if envelope.state is State.WAITING:
            envelope.state = State.OUTSIDE
            self._waiting.remove(envelope)
        elif envelope.state is State.QUEUED:
            envelope.state = State.OUTSIDE
            self._live -= 1
            self._fill()
            if len(self._queue) - self._live > max(self._live, _DEAD_MAX):
                self._queue = deque(entry for entry in self._queue if entry.state is State.QUEUED)
        return envelope.state is State.STARTED

    def close(self, make_error: Callable[[], BaseException]) -> list[Envelope]:
        """Accept nothing any more. Everything undelivered is failed with a fresh error each, and returned."""
        self._is_closed = True
        left = [entry for entry in (*self._queue, *self._waiting) if entry.state is not State.OUTSIDE]
        self._queue.clear()
        self._waiting.clear()
        self._live = 0
        for envelope in left:
            envelope.state = State.OUTSIDE
            envelope.fail(make_error())
        self.wake()
        return left

    def refuse_new(self) -> None:
        """Accept nothing any more, but keep what is there for the reader: the first half of a graceful stop."""
        self._is_closed = True
        self.wake()

    def wake(self) -> None:
        """Let the reader look again."""
        if self._reader is not None:
            self._reader.fire()

    async def wait(self, backend: Backend) -> None:
        """Until there may be something to take, or someone called `wake`."""
        self._reader = backend.slot()
        try:
            await self._reader.wait()
        finally:
            self._reader = None

    def statistics(self) -> MailboxStatistics:
        return MailboxStatistics(queued=self._live, waiting=len(self._waiting), capacity=self._capacity)

    def _check_open(self) -> None:
        if self._is_closed:
            raise ActorStopped(self._name)

    def _admit(self, envelope: Envelope) -> None:
        envelope.state = State.QUEUED
        self._queue.append(envelope)
        self._live += 1
        if self._reader is not None:
            self._reader.fire()

    def _fill(self) -> None:
        while self._waiting and self._live < self._capacity:
            envelope = self._waiting.popleft()
            self._admit(envelope)
            if envelope.room is not None:
                envelope.room.fire()
