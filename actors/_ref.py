"""The only handle on an actor that others hold. It survives restarts, and is typed by the actor's own methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, TypeVarTuple, overload

import anyio

from actors._cell import CURRENT, Cell, Exit
from actors._errors import AskTimeout
from actors._from_thread import ThreadRef
from actors._mailbox import Envelope, MailboxStatistics, Tell

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Ref(Generic[A_co]):
    """Send an actor messages, named by its methods: `await ref.ask(Counter.add, 2)`.

    Dispatch is by the method's name, so a `Ref[Counter]` may be passed on as a `Ref[SomeProtocol]`. The keyword `timeout`
    belongs to `ask`; a message that is given it passes its own arguments by position.
    """

    __slots__ = ("_cell", "_stop")

    def __init__(self, cell: Cell[A_co], stop: Callable[[Cell[object]], Awaitable[None]]) -> None:
        self._cell = cell
        self._stop = stop

    @property
    def name(self) -> str:
        return self._cell.name

    def __repr__(self) -> str:
        return f"<Ref {self.name!r}>"

    @overload
    async def ask(
        self: Ref[A], method: Callable[Concatenate[A, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    async def ask(self: Ref[A], method: Callable[[A, *Ts], Awaitable[R]], /, *args: *Ts, timeout: float) -> R: ...

    # A message whose method takes a `timeout` of its own must pass it by position: no signature can say that.
    async def ask(  # type: ignore[misc]
        self,
        method: Callable[..., Awaitable[object]],
        /,
        *args: object,
        timeout: float | None = None,
        **kwargs: object,
    ) -> object:
        """The reply. Waits for room in the mailbox, then for the answer; `timeout` (seconds) covers both.

        Cancelled or timed out before the actor has read the message, it is never read; afterwards the handler runs on and
        its reply is dropped, so whether it had an effect is unknown to the caller.

        Raises:
            Refused: the actor's answer is no.
            ActorCrashed: the handler failed; its exception is the `__cause__`.
            ActorStopped: the actor is gone.
            AskTimeout: no reply in time.
            AskCycle: the ask would wait for itself.
        """
        cell = self._cell
        slot = cell.backend.slot()
        envelope = Envelope(_name(method), args, kwargs, reply_to=slot)
        if cell.spec.context == "caller":
            envelope.context = copy_context()
        caller = CURRENT.get()
        if caller is not None and caller.is_running_here():
            caller.check_cycle(envelope.method, cell)
            caller.waiting_on = (envelope.method, cell)
        else:
            caller = None
        try:
            cell.mailbox.put(envelope)
            if timeout is None:
                await slot.wait()
            else:
                with anyio.move_on_after(timeout) as scope:
                    await slot.wait()
                if scope.cancelled_caught:
                    was_started = cell.mailbox.abandon(envelope)
                    raise AskTimeout(cell.name, envelope.method, timeout, was_started=was_started)
        except BaseException:
            cell.mailbox.abandon(envelope)
            raise
        finally:
            if caller is not None:
                caller.waiting_on = None
        return _outcome(envelope)

    async def send(
        self: Ref[A], method: Callable[Concatenate[A, P], Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Return when the message is in the mailbox: waits for room, not for the handler.

        Raises:
            ActorStopped: the actor is gone.
        """
        cell = self._cell
        slot = cell.backend.slot()
        envelope = Envelope(_name(method), args, kwargs, room=slot)
        try:
            if cell.mailbox.put(envelope):
                slot.fire()
            await slot.wait()
        except BaseException:
            cell.mailbox.abandon(envelope)
            raise
        _outcome(envelope)

    def tell(
        self: Ref[A], method: Callable[Concatenate[A, P], Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Put the message into the mailbox, now or never.

        Raises:
            MailboxFull: there is no room.
            ActorStopped: the actor is gone.
        """
        self._cell.mailbox.put_nowait(Tell(_name(method), args, kwargs))

    async def stop(self) -> None:
        """Stop the actor for good: no new messages, the queue is finished within its `stop_timeout_s`, then cancelled."""
        await self._stop(self._cell)

    @property
    def from_thread(self) -> ThreadRef[A_co]:
        """The same actor, for threads that have no event loop."""
        return ThreadRef(self._cell)

    async def watch(self) -> Exit:
        """Return when the actor is gone for good; at once if it is. Restarts are not noticed."""
        return await self._cell.wait_exit()

    def statistics(self) -> MailboxStatistics:
        return self._cell.mailbox.statistics()


def _name(method: Callable[..., Any]) -> str:
    # Any: a method of whatever class; only its name is used.
    return method.__name__


def _outcome(envelope: Envelope) -> object:
    error = envelope.error
    if error is None:
        return envelope.value
    envelope.error = None
    try:
        raise error
    finally:
        del error  # else the error, its traceback and this frame would keep each other alive until a collection
