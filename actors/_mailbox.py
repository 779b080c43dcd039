"""A bounded first-in-first-out queue of messages, one reader, and those who wait for room in it.

Owns the order and the bound; knows no actor and no supervisor, and never awaits except for its reader. An asker that
has gone away leaves a dead entry, which does not count against the bound and is never handled.

While anybody waits for room there is none: whoever takes a message hands its room to the first in the line, so nobody overtakes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Literal

import attrs
from anyio import CancelScope

from actors._backend import Slot, Waker, fire
from actors._errors import ActorError, ActorStopped, MailboxFull

Overflow = Literal["wait", "reject", "drop_new", "drop_oldest"]
"""What becomes of a message for which there is no room: ask and send wait (a tell never does), or fail with MailboxFull; or it is
dropped, or the oldest in the queue is. Of a dropped ask the asker is told MailboxFull; any other is reported as undelivered."""

DEAD_MAX = 64
"""Dead entries that may lie in the queue before it is compacted: a retry storm against a stuck actor must not grow it."""


State = Literal["outside", "waiting", "queued", "started", "runs on"]
"""Of a message that somebody waits for: not accepted, or abandoned before it was taken; waiting for room; in the queue; taken
by the actor; taken, and its asker has gone away. Not an enum: looking up a member costs as much as queuing a message."""


class Tell:
    """A message that nobody waits for: which method, and its arguments."""

    __slots__ = ("args", "kwargs", "method")

    context: Context | None = None
    reply_to: Slot | None = None

    def __init__(self, method: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        self.method = method
        self.args = args
        self.kwargs = kwargs


class Envelope(Tell):
    """A message that somebody waits for: for its reply (`reply_to`), or for room only (`room`)."""

    __slots__ = ("context", "error", "reply_to", "room", "scope", "state", "value")

    def __init__(
        self,
        method: str,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        reply_to: Slot | None,
        room: Slot | None = None,
    ) -> None:
        self.method = method
        self.args = args
        self.kwargs = kwargs
        self.reply_to = reply_to
        self.room = room
        self.context: Context | None = None
        """The asker's, to run the handler in; None for the actor's own."""
        self.state: State = "outside"
        self.scope: CancelScope | None = None
        """Around the handler, if it wants to be cancelled when its asker goes away."""
        self.value: object
        """Set by `reply`."""
        self.error: BaseException | None = None

    def reply(self, value: object) -> None:
        self.value = value
        assert self.reply_to is not None, "nobody asked"
        fire(self.reply_to)

    def fail(self, error: BaseException) -> None:
        """Only while somebody waits: a sender whose message is in the mailbox is through, even if it has not run since."""
        self.error = error
        for slot in (self.reply_to, self.room):
            if slot is not None:
                fire(slot)


@attrs.frozen
class MailboxStatistics:
    queued: int
    waiting: int
    """For room."""
    capacity: int
    abandoned: int
    """Asks whose asker has gone away before the reply, since the start."""
    time_in_mailbox_s: float
    """How long messages lie in the queue of a busy actor, by a sample: the last that was taken, or one that is still there if
    that is older."""


class Mailbox:
    """`on_dropped` is called with our name, every accepted message that is dropped and that nobody waits for, and the reason.

    `now` is the clock that the time in the mailbox is measured with. One message at a time is a sample, of those that find the
    reader busy: a clock per message would cost as much as the queue.
    """

    __slots__ = tuple(
        (
            "_abandoned _capacity _dead _free _is_closed _now _on_dropped _overflow _queue _reader _sample "
            "_sampled_at _time_in_mailbox_s _waiting name"
        ).split()
    )

    is_shared = False
    """Whether several actors read from it."""

    def __init__(
        self,
        name: str,
        capacity: int,
        *,
        overflow: Overflow = "wait",
        on_dropped: Callable[[str, Tell, ActorError], None],
        now: Callable[[], float],
    ) -> None:
        if capacity < 1:
            raise ValueError(f"mailbox of {name!r} needs room for at least one message, not {capacity}")
        self.name = name
        self._capacity = capacity
        self._overflow = overflow
        self._on_dropped = on_dropped
        self._queue: deque[Tell] | tuple[()] = ()
        """No deque while the reader waits: one is large, and most mailboxes are idle."""
        self._dead = 0
        self._free = capacity
        """Room left; none while somebody waits for it, and none when this is closed."""
        self._waiting: deque[Envelope] | None = None
        """Made when it is needed: most mailboxes are never full, and a deque is large."""
        self._reader: Slot | Waker | None = None
        self._is_closed = False
        self._abandoned = 0
        self._now = now
        self._sample: Tell | None = None
        self._sampled_at = 0.0
        self._time_in_mailbox_s = 0.0

    def put_nowait(self, message: Tell) -> bool:
        """Queue it now and return true; or else it has been dropped.

        Raises:
            MailboxFull: there is no room, and this mailbox drops nothing.
            ActorStopped: it is closed.
        """
        if self._free <= 0:
            self._make_room(message)
            if self._free <= 0:
                return False
        self._free -= 1
        queue = self._queue
        if isinstance(queue, tuple):
            queue = self._queue = deque()
        queue.append(message)
        reader = self._reader
        if reader is not None:
            self._reader = None
            fire(reader)
        elif self._sample is None:
            self._sample = message
            self._sampled_at = self._now()
        return True

    def put(self, envelope: Envelope) -> bool:
        """Queue it and return true; or else keep it until there is room, and then fire `envelope.room`.

        Raises:
            MailboxFull: there is no room, and nobody may wait for it.
            ActorStopped: it is closed.
        """
        if self._free <= 0 and self._overflow == "wait" and not self._is_closed:
            envelope.state = "waiting"
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(envelope)
            return False
        if self.put_nowait(envelope):
            envelope.state = "queued"
        return True

    def take(self) -> Tell | None:
        """The next live message, marked as started; `None` if there is none."""
        while queue := self._queue:
            message = queue.popleft()
            if message is self._sample:
                self._time_in_mailbox_s = self._now() - self._sampled_at
                self._sample = None
            if type(message) is Envelope:
                if message.state != "queued":
                    self._dead -= 1
                    continue
                message.state = "started"
            if self._waiting:
                self._admit_next()
            elif not self._is_closed:
                self._free += 1
            return message
        return None

    def abandon(self, envelope: Envelope) -> bool:
        """Its sender no longer waits: if it has not been taken it never will be. True if it had been."""
        if envelope.reply_to is not None and envelope.state in ("waiting", "queued", "started"):
            self._abandoned += 1
        if envelope.state == "waiting":
            assert self._waiting is not None
            self._waiting.remove(envelope)
            envelope.state = "outside"
        elif envelope.state == "queued":
            envelope.state = "outside"
            self._dead += 1
            if self._waiting:
                self._admit_next()
            elif not self._is_closed:
                self._free += 1
            if self._dead > max(len(self._queue) // 2, DEAD_MAX):
                self._compact()
        elif envelope.state == "started":
            envelope.state = "runs on"
            if envelope.scope is not None:
                envelope.scope.cancel()
        return envelope.state == "runs on"

    def close(self, make_error: Callable[[], ActorError]) -> None:
        """Accept nothing any more. Everything undelivered is failed with a fresh error each, or reported as dropped."""
        self.refuse_new()
        left = [message for message in self._queue if _is_live(message)]
        left += self._waiting or ()
        self._queue, self._waiting, self._dead, self._sample = (), None, 0, None
        for message in left:
            self._drop(message, make_error())

    def refuse_new(self) -> None:
        """Accept nothing any more, but keep what is there for the reader: the first half of a graceful stop."""
        self._is_closed = True
        self._free = 0
        self.wake()

    def wake(self) -> None:
        """Let the reader look again, or all of them."""
        reader = self._reader
        if reader is not None:
            self._reader = None
            fire(reader)

    def attach(self, slot: Slot) -> None:
        """Fire `slot` once there may be something to take, or someone calls `wake`; until `detach`."""
        self._reader = slot
        if not self._queue:
            self._queue = ()

    def detach(self, slot: Slot) -> None:
        if self._reader is slot:
            self._reader = None

    def statistics(self) -> MailboxStatistics:
        age_s = self._now() - self._sampled_at if self._sample is not None else 0.0
        return MailboxStatistics(
            queued=len(self._queue) - self._dead,
            waiting=len(self._waiting or ()),
            capacity=self._capacity,
            abandoned=self._abandoned,
            time_in_mailbox_s=max(age_s, self._time_in_mailbox_s),
        )

    def _compact(self) -> None:
        self._queue = deque(message for message in self._queue if _is_live(message))
        self._dead = 0
        if self._sample is not None and not _is_live(self._sample):
            self._sample = None

    def _make_room(self, message: Tell) -> None:
        """There is none: raise, drop `message`, or drop the oldest in its favour."""
        if self._is_closed:
            raise ActorStopped(self.name)
        if self._overflow == "drop_oldest":
            oldest = self.take()
            assert oldest is not None, "a mailbox without room has a message"
            self._drop(oldest, MailboxFull(self.name, self._capacity))
        elif self._overflow == "drop_new" and message.reply_to is None:
            if type(message) is Envelope and message.room is not None:
                fire(message.room)
            self._on_dropped(self.name, message, MailboxFull(self.name, self._capacity))
        else:
            raise MailboxFull(self.name, self._capacity)

    def _drop(self, message: Tell, error: ActorError) -> None:
        """Tell whoever waits for it; one that was sent is on its own once it is in the mailbox, and is reported."""
        is_told = False
        if type(message) is Envelope:
            is_told = message.reply_to is not None or message.state == "waiting"
            message.state = "outside"
            if is_told:
                message.fail(error)
        if not is_told:
            self._on_dropped(self.name, message, error)

    def _admit_next(self) -> None:
        """Hand the room that has just come free to the first who waits for it."""
        assert self._waiting
        envelope = self._waiting.popleft()
        self._free += 1
        self.put_nowait(envelope)
        envelope.state = "queued"
        if envelope.room is not None:
            fire(envelope.room)


def _is_live(message: Tell) -> bool:
    return type(message) is not Envelope or message.state == "queued"
