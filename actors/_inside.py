"""What an actor can do from the inside: tasks beside its handlers, timers, and its own ref.

All of it belongs to the incarnation: a crash or a stop ends the tasks and forgets the timers, and the next one starts
with none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar, TypeVarTuple

from actors._cell import CURRENT, Cell
from actors._dispatch import serve_methods
from actors._errors import ActorStopped
from actors._mailbox import Message
from actors._ref import Ref

A = TypeVar("A")
Ts = TypeVarTuple("Ts")


class Inside:
    """The part that `ActorContext` and `Inbox` share."""

    def __init__(self, cell: Cell[object]) -> None:
        self._cell = cell
        self._incarnation = cell.incarnation

    @property
    def name(self) -> str:
        return self._cell.name

    def spawn(self, function: Callable[[*Ts], Awaitable[object]], *args: *Ts) -> None:
        """Run `function(*args)` beside the handlers. What it raises is a crash of this actor, after the message in hand.

        It is cancelled when the incarnation ends, and the incarnation has not ended before it has. To bring a result back it
        tells this actor's own `ref`, or resolves a `Deferred` that a handler has returned.

        Raises:
            ActorStopped: this incarnation has ended.
        """
        self._check_is_running()
        self._cell.helpers.start(partial(function, *args), name=f"{self.name}: helper")

    def cancel_timer(self, key: Hashable) -> bool:
        """Whether there was one, of this incarnation."""
        return self._cell.is_running(self._incarnation) and self._cell.timers.cancel(key)

    def _set_timer(
        self,
        key: Hashable | None,
        message: Message,
        wait_s: float,
        *,
        is_repeated: bool = False,
        is_fixed_rate: bool = False,
    ) -> None:
        key = message[0] if key is None else key
        if wait_s < 0 or (is_repeated and wait_s == 0):
            raise ValueError(f"timer {key!r} of {self.name!r} cannot wait {wait_s:g} s")
        self._check_is_running()
        self._cell.timers.set(
            key,
            message,
            due_at=self._cell.parent.backend.now() + wait_s,
            period_s=wait_s if is_repeated else 0.0,
            is_fixed_rate=is_fixed_rate,
        )
        self._cell.notify()

    def _check_is_running(self) -> None:
        if not self._cell.is_running(self._incarnation):
            raise ActorStopped(self.name)


class ActorContext(Inside, Generic[A]):
    """Get it with `ActorContext.of(self)`, in `__init__`, `__aenter__` or a handler."""

    @classmethod
    def of(cls, actor: A) -> ActorContext[A]:
        """The context of `actor`.

        Raises:
            RuntimeError: this is not an actor's own task, or the actor is a loop, whose `Inbox` has all this.
        """
        cell = CURRENT.get()
        if cell is None or not cell.is_running_here():
            raise RuntimeError(f"{type(actor).__name__} is not in its own task, or was not started by a supervisor")
        if cell.serve is not serve_methods:
            raise RuntimeError(f"{cell.name} is a loop: use its inbox")
        return cls(cell)

    @property
    def ref(self) -> Ref[A]:
        return Ref(self._cell)

    def after(
        self, delay_s: float, method: Callable[[A, *Ts], Awaitable[object]], *args: *Ts, key: Hashable | None = None
    ) -> None:
        """Handle `method(*args)` once, in `delay_s` seconds, or as soon after as this actor is free.

        In place of a timer with the same `key`, even one that is due; the method's name is the key unless one is given.
        """
        self._set_timer(key, (method.__name__, args, {}, None), delay_s)

    def every(
        self,
        period_s: float,
        method: Callable[[A, *Ts], Awaitable[object]],
        *args: *Ts,
        key: Hashable | None = None,
        is_fixed_rate: bool = False,
    ) -> None:
        """Handle `method(*args)` again and again, the first time in `period_s` seconds.

        The next tick comes a period after the last one was taken or, at a fixed rate, at the next whole number of periods
        since the start. Either way an actor that is late gets one tick, not all it has missed.
        """
        message: Message = (method.__name__, args, {}, None)
        self._set_timer(key, message, period_s, is_repeated=True, is_fixed_rate=is_fixed_rate)
