"""What an actor and its supervisor do, as a pure model: one child, one message in hand, virtual time in quarters of a second.

It is written from SEMANTICS.md, not from the library: lists, no tasks, and after every step everything has settled.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs

from actors import Backoff, Overflow, Restart

STOP_TIMEOUT_S = 5.25
PERIOD_S = 10.0
BACKOFF = Backoff(first_s=1.0, factor=2.0, max_s=4.0, jitter=0.0)


@attrs.frozen(kw_only=True)
class Setup:
    capacity: int
    overflow: Overflow
    restart: Restart
    context: Literal["actor", "caller"]
    restarts_max: int
    has_backoff: bool
    while_down: Literal["queue", "reject"]


@attrs.define(eq=False)
class Message:
    name: str
    verb: str
    deadline: float
    fate: str | None = None
    """What its sender has been told."""


@attrs.define
class Model:
    setup: Setup
    now: float = 0.0
    life: Literal["up", "backing off", "gone"] = "gone"
    messages: list[Message] = attrs.field(factory=list)
    queue: list[Message] = attrs.field(factory=list)
    waiting: list[Message] = attrs.field(factory=list)
    in_hand: Message | None = None
    begun: list[str] = attrs.field(factory=list)
    events: list[str] = attrs.field(factory=list)
    abandoned: int = 0
    is_host_over: bool = False
    _has_crashed_outside: bool = False
    _stop_at: float = math.inf
    _due_at: float = math.inf
    _up_since: float = 0.0
    _restarts: list[float] = attrs.field(factory=list)
    _delay_s: float = 0.0

    def start(self) -> None:
        if self.life == "gone" and not self.is_host_over:
            self.abandoned, self._delay_s = 0, 0.0
            self._come_up()

    def submit(self, verb: str, timeout_s: float = math.inf) -> None:
        message = Message(f"m{len(self.messages)}", verb, self.now + timeout_s)
        self.messages.append(message)
        if self.life == "gone" or self._stop_at < math.inf:
            message.fate = "stopped"
        elif self.life == "backing off" and self.setup.while_down == "reject":
            message.fate = "down"
        elif len(self.queue) < self.setup.capacity:
            self._accept(message)
        elif self.setup.overflow == "wait" and verb != "tell":
            self.waiting.append(message)
        elif self.setup.overflow == "drop_oldest":
            self._drop(self.queue.pop(0), "full")
            self._accept(message)
        elif self.setup.overflow == "drop_new" and verb != "ask":
            message.fate = "accepted"
            self._drop(message, "full")
        else:
            message.fate = "full"
        self._settle()

    def cancel_sender(self, number: int) -> None:
        self._abandon(self.messages[number], "cancelled")

    def decide(self, verdict: Literal["replied", "refused", "crashed", "left"]) -> None:
        """The handler in hand ends like that."""
        message, self.in_hand = self.in_hand, None
        if message is None:
            return
        if message.verb == "ask":
            message.fate = message.fate or ("stopped in the middle" if verdict == "left" else verdict)
        elif verdict == "refused":
            self.events.append(f"{message.name} refused")
        if verdict in ("crashed", "left"):
            self._end(crashed=verdict == "crashed")
        self._settle()

    def crash_outside(self) -> None:
        self._has_crashed_outside = self.life == "up"
        self._settle()

    def stop(self) -> None:
        if self.life == "backing off":
            self._close()
        elif self.life == "up":
            self._stop_at = min(self._stop_at, self.now + STOP_TIMEOUT_S)
            self._settle()

    def cancel(self) -> None:
        if self.life != "gone":
            self._close()

    def end_host(self) -> None:
        self.is_host_over = True
        self.stop()

    def pass_a_quarter(self) -> None:
        self.now += 0.25
        for message in self.messages:
            if message.deadline <= self.now:
                self._abandon(message, "timed out")
        if self._stop_at <= self.now:
            self.events.append("stop timeout")
            self._close()
        if self._due_at <= self.now:
            self._come_up()

    def _come_up(self) -> None:
        self.life, self._up_since, self._due_at, self._has_crashed_outside = "up", self.now, math.inf, False
        self.events.append("started")
        self._settle()

    def _accept(self, message: Message) -> None:
        self.queue.append(message)
        if message.verb != "ask":
            message.fate = "accepted"

    def _drop(self, message: Message, reason: str) -> None:
        if message.fate is None:
            message.fate = reason
        else:
            self.events.append(f"{message.name} undelivered: {reason}")

    def _abandon(self, message: Message, fate: str) -> None:
        if message.fate is not None:
            return
        message.fate = fate
        self.abandoned += message.verb == "ask"
        if message is self.in_hand:
            message.fate += " in the middle" * (fate == "timed out")
        elif message in self.waiting:
            self.waiting.remove(message)
        else:
            self.queue.remove(message)
            self._admit()

    def _admit(self) -> None:
        if self.waiting:
            self._accept(self.waiting.pop(0))

    def _settle(self) -> None:
        while self.life == "up" and self.in_hand is None:
            if self._has_crashed_outside:
                self._end(crashed=True)
            elif self.queue:
                self.in_hand = self.queue.pop(0)
                self.begun.append(self.in_hand.name)
                self._admit()
            elif self._stop_at < math.inf:
                self._close()
            else:
                return

    def _end(self, *, crashed: bool) -> None:
        """The incarnation ends by itself."""
        restart = self.setup.restart
        if crashed:
            self.events.append("crashed")
        self._restarts = [at for at in self._restarts if at > self.now - PERIOD_S]
        if self._stop_at < math.inf or restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and not crashed):
            self._close()
        elif len(self._restarts) == self.setup.restarts_max:
            self.is_host_over = True
            self._close()
        elif self.setup.has_backoff:
            self._restarts.append(self.now)
            is_in_a_row = self._delay_s and self.now - self._up_since <= self._delay_s
            self._delay_s = min(self._delay_s * BACKOFF.factor, BACKOFF.max_s) if is_in_a_row else BACKOFF.first_s
            self.life, self._due_at = "backing off", self.now + self._delay_s
            if self.setup.while_down == "reject":
                self._reject_all_that_wait()
        else:
            self._restarts.append(self.now)
            self._come_up()

    def _reject_all_that_wait(self) -> None:
        for message in self.queue + self.waiting:
            message.fate = message.fate or "down"
        self.queue, self.waiting = [message for message in self.queue if message.fate != "down"], []

    def _close(self) -> None:
        self.life, self._stop_at, self._due_at = "gone", math.inf, math.inf
        if self.in_hand is not None and self.in_hand.fate is None:
            self.in_hand.fate = "stopped in the middle"
        left, self.in_hand, self.queue, self.waiting = self.queue + self.waiting, None, [], []
        for message in left:
            self._drop(message, "stopped")
        self.events.append("stopped")
