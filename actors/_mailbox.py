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
from actors._errors import ActorDown, ActorError, ActorStopped, MailboxFull

Overflow = Literal["wait", "reject", "drop_new", "drop_oldest"]
"""What becomes of a message for which there is no room: ask and send wait (a tell never does), or fail with MailboxFull; or it is
dropped, or the oldest in the queue is. Of a dropped ask the asker is told MailboxFull; any other is reported as undelivered."""

DEAD_MAX = 64
"""Dead entries that may lie in the queue before it is compacted: a retry storm against a stuck actor must not grow it."""


State = Literal["outside", "waiting", "queued", "started", "runs on"]
"""Of a message that somebody waits for: not accepted, or abandoned before it was taken; waiting for room; in the queue; taken
by the actor; taken, and its asker has gone away. Not an enum: looking up a member costs as much as queuing a message."""


class Receipt:
    """What is held by somebody who waits for a message: for its reply if it is an ask, and for room only if it is a send."""

    __slots__ = ("context", "error", "is_ask", "scope", "slot", "state", "value")

    def __init__(self, slot: Slot, *, is_ask: bool = True) -> None:
        self.slot = slot
        self.is_ask = is_ask
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
        if self.is_ask:
            fire(self.slot)

    def fail(self, error: BaseException) -> None:
        """Only while somebody waits: a sender whose message is in the mailbox is through, even if it has not run since."""
        self.error = error
        fire(self.slot)


Message = tuple[str, tuple[object, ...], Mapping[str, object] | None, Receipt | None]
"""The method that is named, its arguments, and what whoever waits holds: nothing for a tell. A bare tuple, because to make an
object would take as long as to queue the message and to take it out again; and a tell keeps no empty dictionary of keywords, as a
thousand of them in a mailbox would call for the garbage collector."""


NOTHING: deque[Message] = deque()
"""What is in every mailbox that has nothing: nobody appends to this one."""


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
    """`on_dropped` is called for every accepted message that is dropped and that nobody waits for: our name, its, and the reason.

    `now` is the clock that the time in the mailbox is measured with. One message at a time is a sample, of those that find the
    reader busy: a clock per message would cost as much as the queue.
    """

    __slots__ = tuple(
        (
            "_abandoned _capacity _dead _limit _now _on_dropped _overflow _queue _quiet_limit _reader _refusal _sample "
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
        on_dropped: Callable[[str, str, ActorError], None],
        now: Callable[[], float],
    ) -> None:
        if capacity < 1:
            raise ValueError(f"mailbox of {name!r} needs room for at least one message, not {capacity}")
        self.name = name
        self._capacity = capacity
        self._overflow = overflow
        self._on_dropped = on_dropped
        self._queue = NOTHING
        """No deque of its own while the reader waits: one is large, and most mailboxes are idle."""
        self._dead = 0
        self._limit = capacity
        """Entries that may be in the queue, dead or alive; none when this is closed. While anybody waits for room, it is full."""
        self._quiet_limit = 0
        """Entries below which a message is appended and nothing else, to ask once instead of four times: none unless a sample is
        in the queue, so that no reader waits either."""
        self._waiting: deque[Message] | None = None
        """Made when it is needed: most mailboxes are never full, and a deque is large."""
        self._reader: Slot | Waker | None = None
        self._refusal: Callable[[str], ActorError] | None = None
        """What everybody is told, by our name, if this is closed."""
        self._abandoned = 0
        self._now = now
        self._sample: Message | None = None
        self._sampled_at = self._time_in_mailbox_s = 0.0

    def put_nowait(self, message: Message) -> bool:
        """Queue it now and return true; or else it has been dropped.

        Raises:
            MailboxFull: there is no room, and this mailbox drops nothing.
            ActorStopped, ActorDown: it is closed, or is so for now.
        """
        if len(self._queue) < self._quiet_limit:
            self._queue.append(message)
            return True
        if len(self._queue) >= self._limit:
            self._make_room(message)
            if len(self._queue) >= self._limit:
                return False
        if self._queue is NOTHING:
            self._queue = deque()
        self._queue.append(message)
        reader, self._reader = self._reader, None
        if reader is not None:
            fire(reader)
        elif self._sample is None:
            self._sample, self._sampled_at, self._quiet_limit = message, self._now(), self._limit
        return True

    def put(self, message: Message) -> bool:
        """Queue it and return true; or else keep it until there is room, and then fire the slot of its receipt.

        Raises:
            MailboxFull: there is no room, and nobody may wait for it.
            ActorStopped, ActorDown: it is closed, or is so for now.
        """
        receipt = message[3]
        assert receipt is not None, "nobody waits for it"
        if len(self._queue) >= self._limit and self._overflow == "wait" and self._refusal is None:
            receipt.state = "waiting"
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(message)
            return False
        if self.put_nowait(message):
            receipt.state = "queued"
        return True

    def take(self) -> Message | None:
        """The next live message, marked as started; `None` if there is none."""
        while queue := self._queue:
            message = queue.popleft()
            if message is self._sample:
                self._time_in_mailbox_s = self._now() - self._sampled_at
                self._sample, self._quiet_limit = None, 0
            receipt = message[3]
            if receipt is not None:
                if receipt.state != "queued":
                    self._set_limit(dead=self._dead - 1)
                    continue
                receipt.state = "started"
            if self._waiting:
                self._give_room(self._waiting)
            return message
        return None

    def abandon(self, receipt: Receipt) -> bool:
        """Nobody waits any longer: if the message has not been taken it never will be. True if it had been."""
        if receipt.is_ask and receipt.state in ("waiting", "queued", "started"):
            self._abandoned += 1
        if receipt.state == "waiting":
            # By identity: comparing messages would compare their arguments.
            self._waiting = deque(message for message in self._waiting or () if message[3] is not receipt)
            receipt.state = "outside"
        elif receipt.state == "queued":
            receipt.state = "outside"
            self._set_limit(dead=self._dead + 1)
            if self._waiting:
                self._give_room(self._waiting)
            if self._dead > max(len(self._queue) // 2, DEAD_MAX):
                self._compact()
        elif receipt.state == "started":
            receipt.state = "runs on"
            if receipt.scope is not None:
                receipt.scope.cancel()
        return receipt.state == "runs on"

    def close(self) -> None:
        """Accept nothing any more. Everything undelivered is failed with a fresh error each, or reported as dropped."""
        self.refuse_new()
        left = [message for message in self._queue if _is_live(message)]
        left += self._waiting or ()
        self._queue, self._waiting, self._dead, self._sample = NOTHING, None, 0, None
        for message in left:
            self._drop(message, ActorStopped(self.name))

    def refuse_new(self, refusal: Callable[[str], ActorError] = ActorStopped) -> None:
        """Accept nothing any more, but keep what is there for the reader: the first half of a graceful stop."""
        self._refusal = refusal
        self._set_limit(dead=self._dead)
        self.wake()

    def go_down(self) -> None:
        """Accept nothing until `come_back`, and let nobody wait; keep what nobody waits for."""
        self.refuse_new(ActorDown)
        left, self._waiting = [*filter(_is_live, self._queue), *(self._waiting or ())], None
        for message in left:
            if _is_waited_for(message):
                self._drop(message, ActorDown(self.name))
        self._compact()

    def come_back(self) -> None:
        if self._refusal is ActorDown:
            self._refusal = None
            self._set_limit(dead=self._dead)

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
            self._queue = NOTHING

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
        self._set_limit(dead=0)
        if self._sample is not None and not _is_live(self._sample):
            self._sample = None

    def _make_room(self, message: Message) -> None:
        """There is none: raise, drop `message`, or drop the oldest in its favour."""
        method, _, _, receipt = message
        if self._refusal is not None:
            raise self._refusal(self.name)
        if self._overflow == "drop_oldest":
            oldest = self.take()
            assert oldest is not None, "a mailbox without room has a message"
            self._drop(oldest, MailboxFull(self.name, self._capacity))
        elif self._overflow == "drop_new" and (receipt is None or not receipt.is_ask):
            if receipt is not None:
                fire(receipt.slot)
            self._on_dropped(self.name, method, MailboxFull(self.name, self._capacity))
        else:
            raise MailboxFull(self.name, self._capacity)

    def _drop(self, message: Message, error: ActorError) -> None:
        """Tell whoever waits for it; one that was sent is on its own once it is in the mailbox, and is reported."""
        method, _, _, receipt = message
        if receipt is not None and _is_waited_for(message):
            receipt.fail(error)
        else:
            self._on_dropped(self.name, method, error)
        if receipt is not None:
            receipt.state = "outside"

    def _set_limit(self, *, dead: int) -> None:
        self._dead, self._quiet_limit = dead, 0
        self._limit = self._capacity + dead if self._refusal is None else 0

    def _give_room(self, waiting: deque[Message]) -> None:
        """A place has come free: it is for the first who waits for one."""
        self._queue.append(message := waiting.popleft())
        receipt = message[3]
        assert receipt is not None, "nobody waits for it"
        receipt.state = "queued"
        if not receipt.is_ask:
            fire(receipt.slot)


def _is_live(message: Message) -> bool:
    """Whether it is in the queue and to be handled."""
    return message[3] is None or message[3].state == "queued"


def _is_waited_for(message: Message) -> bool:
    """Of one in the queue, or that waits for room: a sender is through once it is in the queue."""
    return message[3] is not None and (message[3].is_ask or message[3].state == "waiting")
